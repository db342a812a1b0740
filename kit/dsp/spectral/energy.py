"""Energy and zero crossings of frames."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Num, Shaped

from kit.dsp.arrays import axis_moved, known, moved_back, of_numpy, traceable
from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    as_waveform,
    check_values,
    known_waveform,
    positive_int,
    require,
)
from kit.dsp.framing import fit, frame, frame_count, pad_ends
from kit.dsp.jit import Empty, Length, by_clip
from kit.dsp.spectral.normalize import power_of_two
from kit.dsp.stft import as_spectrogram, needs_length


def check_frames(given: dict[str, Any]) -> None:
    """Refuse signals shorter than a frame."""
    frame_length = positive_int("frame_length", given["frame_length"])
    positive_int("hop_length", given["hop_length"])
    y = given["y"]
    if y is not None and np.ndim(y) > 0:
        as_waveform(y[..., :1])
        most = y.shape[-1] + 2 * (frame_length // 2) * bool(given.get("center", True))
        rule = f"y has {y.shape[-1]} samples"
        require(frame_length <= most, "frame_length", frame_length, rule)


def _check_spectrum(given: dict[str, Any]) -> None:
    S, frame_length = given["S"], given["frame_length"]
    if given["y"] is None and S is None:
        raise ParameterError("y and S: give one of them")
    if given["y"] is None and S.ndim >= 2:
        bins = S.shape[-2]
        rule = f"S has {bins} bins: {2 * bins - 2} or {2 * bins - 1}"
        require(bins == frame_length // 2 + 1, "frame_length", frame_length, rule)
    check_frames(given)


def rms_of_known(
    y: np.ndarray,
    *,
    frame_length: int,
    hop_length: int,
    center: bool,
    pad_mode: Any,
    dtype: Any,
    S: None = None,
    empty: Empty | None = None,
) -> np.ndarray:
    """Return `rms` of one known waveform, in NumPy."""
    y = known_waveform(y)
    peak = max(y.max(), -y.min())
    # Squares of other samples would overflow or vanish in single precision.
    scale = y.dtype.type(1)
    if not 2.0**-8 <= peak <= 2.0**8:
        _, exponent = np.frexp(np.abs(y[np.isfinite(y)]).max(initial=0))
        most = np.finfo(y.dtype).maxexp - 2
        scale = np.ldexp(scale, np.clip(exponent, -most, most))
        y = y / scale
    sides = frame_length // 2 if center else 0
    frames = frame_count(len(y) + 2 * sides, frame_length, hop_length)
    if pad_mode in ("constant", "empty"):
        # Whole hops of zeros need no copy of the signal.
        before, rest = divmod(sides, hop_length)
        y = np.pad(y, (rest, 0)) if rest else y
    else:
        y, before = np.pad(y, sides, mode=pad_mode), 0
    hops = frames + frame_length // hop_length
    # NumPy sums other layouts in another order.
    rows = np.ascontiguousarray(y[: (hops - before) * hop_length])
    whole = len(rows) // hop_length
    rows, tail = rows[: whole * hop_length].reshape(whole, hop_length), rows[whole * hop_length :]

    def sums_of(first: int) -> np.ndarray:
        sums = np.zeros(hops, y.dtype)
        np.einsum("ij,ij->i", rows[:, :first], rows[:, :first], out=sums[before : before + whole])
        if len(tail):
            sums[before + whole] = np.dot(tail[:first], tail[:first])
        return sums

    power = _frame_sums(sums_of, frame_length, hop_length, frames) / frame_length
    return (np.sqrt(power) * scale).astype(dtype)[None]


@by_clip(
    y="t",
    S="bt",
    check=_check_spectrum,
    exact=needs_length,
    of_known=lambda given: rms_of_known if given["y"] is not None else None,
)
def rms(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    pad_mode: Any = "constant",
    dtype: Any = np.float32,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the root mean square of each frame.

    Args:
        y: waveforms.
        S: magnitudes of their STFT in place of y; both agree for a window of ones.
        frame_length: samples of a frame.
        hop_length: samples between frames.
        center, pad_mode: pad the signal by half a frame at both ends.
        dtype: dtype of the result.
    Raises:
        ParameterError: neither y nor S, bins that do not fit `frame_length`, fewer samples than a
            frame.
    Source: librosa 0.11 `feature.rms`.

    Example:
        >>> y = np.sin(2 * np.pi * 100 * np.arange(8000) / 8000)
        >>> round(float(kit.dsp.rms(y=y)[0, 4]), 3)  # of a sine, 1 / sqrt(2)
        0.708
    """
    if y is not None:
        y, before = as_waveform(y), 0
        sides = frame_length // 2 if center else 0
        frames = frame_count(len(y) + 2 * sides, frame_length, hop_length)
        if pad_mode in ("constant", "empty") and sides % hop_length == 0:
            # Whole hops of zeros need no copy of the signal.
            before, n = sides // hop_length, n + 2 * sides
        elif center:
            y, n = pad_ends(y, n, sides, pad_mode)
        hops = frames + frame_length // hop_length

        def power_of(y: Float[jax.Array, "samples"]) -> Float[jax.Array, "frames"]:
            squares = fit(jnp.square(y), (hops - before) * hop_length)
            sums_of = _sums_of_hops(squares, hop_length, before)
            return _frame_sums(sums_of, frame_length, hop_length, frames) / frame_length

        def scaled() -> tuple[jax.Array, jax.Array]:
            scale = power_of_two(jnp.abs(y), (0,))
            return power_of(y / scale), scale[0]

        # Squares of very large or small samples overflow or vanish in single precision.
        power = power_of(y)
        loudest = jnp.max(power)
        in_range = (loudest > 2.0**-40) & (loudest < 2.0**40)
        power, scale = lax.cond(in_range, lambda: (power, jnp.ones_like(loudest)), scaled)
        n = frame_count(n, frame_length, hop_length)
    else:
        magnitude = jnp.abs(as_spectrogram(cast(Any, S)))
        # The inner bins count for their negative frequencies too.
        weight = np.full((len(magnitude), 1), 2.0)
        weight[0] = 1.0
        if frame_length % 2 == 0:
            weight[-1] = 1.0
        peak = power_of_two(magnitude, (0,))
        squared = jnp.square(magnitude / peak) * jnp.asarray(weight, magnitude.dtype)
        power, scale = jnp.sum(squared, axis=0) / frame_length**2, peak[0]
    # The root has no finite slope at zero.
    root = jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), power)
    return (root * scale).astype(dtype)[None], n


def _sums_of_hops(
    hops: Float[jax.Array, "samples"], hop_length: int, before: int = 0
) -> Callable[[int], Float[jax.Array, "hops"]]:
    """Return `sums_of` for samples that fill whole hops, after `before` hops of zeros."""
    rows = hops.reshape(-1, hop_length)
    return lambda first: jnp.pad(rows[:, :first].sum(axis=-1), (before, 0))


def _frame_sums(
    sums_of: Callable[[int], Any], frame_length: int, hop_length: int, frames: int
) -> Any:
    """Return the sums of all frames; each hop is summed once, not in each of its frames.

    `sums_of(k)` sums the first k samples of each of `frames + frame_length // hop_length` hops.
    """
    whole, part = divmod(frame_length, hop_length)
    total = sums_of(part)[whole:] if part else 0
    # Sums of 1, 2, 4, … hops; a frame is a sum of some of these.
    sums, width, done = sums_of(hop_length), 1, 0
    while width <= whole:
        if whole & width:
            total = total + sums[done : done + frames]
            done += width
        sums, width = sums[:-width] + sums[width:], 2 * width
    return total


def _signs(
    y: Float[jax.Array, "*shape"], threshold: Any, zero_pos: bool
) -> Num[jax.Array, "*shape"] | Bool[jax.Array, "*shape"]:
    y = jnp.where(jnp.abs(y) <= threshold, 0, y)
    return y < 0 if zero_pos else jnp.sign(y)


def _check_crossings(given: dict[str, Any]) -> None:
    y = given["y"]
    if not isinstance(y, Tracer) and jnp.issubdtype(y.dtype, jnp.inexact):
        # A boolean result cannot hold NaN.
        check_values(np.isfinite(np.asarray(y)), "y", "they must be finite to have a sign")


def zero_crossings(
    y: Num[AnyArray, "..."],
    *,
    threshold: Number = 1e-10,
    ref_magnitude: Number | Callable[..., Any] | None = None,
    pad: bool = True,
    zero_pos: bool = True,
    axis: int = -1,
) -> Bool[jax.Array, "..."]:
    """Return where the sign differs from the sign of the previous sample.

    Args:
        y: any shape.
        threshold: samples up to this magnitude count as 0.
        ref_magnitude: factor of `threshold`: a number, or a function of `|y|`.
        pad: count the first sample as a crossing.
        zero_pos: count 0 as positive; otherwise 0 is a third sign.
        axis: axis of samples.
    Raises:
        ParameterError: known samples that are not finite.
    Source: librosa 0.11 `zero_crossings`.

    Example:
        >>> kit.dsp.zero_crossings(np.array([1.0, -1.0, -2.0, 3.0]))
        Array([ True,  True, False,  True], dtype=bool)
    """
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(-y.ndim <= axis < y.ndim, "axis", axis, f"y has {y.ndim} axes")
    options: dict[str, Any] = {"threshold": threshold, "pad": pad, "zero_pos": zero_pos}
    y, traced = known(y), isinstance(y, Tracer)
    reference: Any = 1.0 if ref_magnitude is None else ref_magnitude
    if callable(reference):
        reference = (traceable if traced else of_numpy)(reference)(abs(y))
    if not traced and np.ndim(reference) and not isinstance(reference, Tracer):
        options["references"] = np.moveaxis(np.broadcast_to(reference, y.shape), axis, -1)
        reference = None
    crossed = _crossings(y=axis_moved(y, axis, -1), reference=reference, **options)
    return moved_back(crossed, -1, axis)


@by_clip(y="t", reference="", references="t", check=_check_crossings)
def _crossings(
    n: Length,
    *,
    y: Any,
    reference: Any,
    references: Any = None,
    threshold: Number,
    pad: bool,
    zero_pos: bool,
) -> tuple[Bool[jax.Array, "samples"], Length]:
    sign = _signs(y, threshold * (reference if references is None else references), zero_pos)
    first = jnp.full(min(1, y.shape[0]), pad)
    return jnp.concatenate([first, sign[1:] != sign[:-1]]), n


def _needs_frames(given: dict[str, Any]) -> bool:
    return callable(given.get("ref_magnitude"))


@by_clip(y="t", check=check_frames, exact=_needs_frames, passes=(zero_crossings,))
def zero_crossing_rate(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    **kwargs: Any,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the share of each frame's samples at which the sign changes.

    Args:
        y: waveforms.
        frame_length, hop_length: samples.
        center: pad the signal with its end samples by half a frame.
        kwargs: arguments of `zero_crossings`; `pad` is False here by default.
    Returns:
        NaN for frames with a sample that is not finite.
    Raises:
        ParameterError: fewer samples than a frame.
    Source: librosa 0.11 `feature.zero_crossing_rate`.

    Example:
        >>> y = np.tile([1.0, 1.0, -1.0, -1.0], 2048)
        >>> round(float(kit.dsp.zero_crossing_rate(y)[0, 8]), 2)
        0.5
    """
    options: dict[str, Any] = {"threshold": 1e-10, "ref_magnitude": None}
    options |= {"pad": False, "zero_pos": True} | {k: v for k, v in kwargs.items() if k != "axis"}
    y = as_waveform(y)
    if center:
        y, n = pad_ends(y, n, frame_length // 2, "edge")
    reference = options["ref_magnitude"]
    if callable(reference):
        reference = traceable(reference)(
            jnp.abs(frame(y, frame_length=frame_length, hop_length=hop_length))
        )
        require(jnp.ndim(reference) == 0, "ref_magnitude", reference, "it must give one number")
    threshold = options["threshold"] * (1 if reference is None else reference)
    sign = _signs(y, threshold, options["zero_pos"])
    crossed = jnp.concatenate([jnp.zeros(1, y.dtype), (sign[1:] != sign[:-1]).astype(y.dtype)])
    crossed = jnp.where(jnp.isfinite(y), crossed, jnp.nan)
    frames = frame_count(len(y), frame_length, hop_length)
    hops = fit(crossed, (frames + frame_length // hop_length) * hop_length)
    sums = _frame_sums(_sums_of_hops(hops, hop_length), frame_length, hop_length, frames)
    # A frame's first sample has no predecessor in its frame.
    first = crossed[::hop_length][: len(sums)]
    share = (sums - first + (1 if options["pad"] else 0)) / frame_length
    return share[None], frame_count(n, frame_length, hop_length)

"""Energy and zero crossings of frames, and where a signal is not silent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, as_waveform, positive_int, require
from kit.dsp.decibel import Reference, amplitude_to_db
from kit.dsp.framing import frame
from kit.dsp.jit import compiled
from kit.dsp.stft import pad_ends


@compiled("y", "S")
def rms(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    pad_mode: Any = "constant",
    dtype: Any = np.float32,
) -> Float[jax.Array, "*batch 1 frames"]:
    """Root mean square of each frame.

    Args:
        y: waveforms.
        S: magnitudes of their STFT in place of y (a window of ones makes both agree).
        frame_length: samples of a frame.
        hop_length: samples between frames.
        center, pad_mode: the signal is continued by half a frame at both ends.
        dtype: of the result.
    Raises:
        ParameterError: neither y nor S, bins that do not fit `frame_length`.
    Source: librosa 0.11 `feature.rms`.
    """
    frame_length = positive_int("frame_length", frame_length)
    if y is not None:
        y = as_waveform(y)
        y = pad_ends(y, frame_length // 2, pad_mode) if center else y
        power = _mean_squares(y, frame_length, positive_int("hop_length", hop_length))
    elif S is not None:
        S = jnp.asarray(S)
        require(
            S.shape[-2] == frame_length // 2 + 1,
            "frame_length",
            frame_length,
            f"S has {S.shape[-2]} bins: {2 * S.shape[-2] - 2} or {2 * S.shape[-2] - 1}",
        )
        # The bins between stand for their negative frequencies too.
        weight = np.full((S.shape[-2], 1), 2.0)
        weight[0] = 1.0
        if frame_length % 2 == 0:
            weight[-1] = 1.0
        squared = jnp.square(jnp.abs(S))
        power = jnp.sum(squared * jnp.asarray(weight, squared.dtype), axis=-2, keepdims=True)
        power = power / frame_length**2
    else:
        raise ParameterError("y and S: give one of them")
    # A root has no slope at zero.
    root = jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), power)
    return root.astype(dtype)


def _mean_squares(
    y: Float[jax.Array, "*batch samples"], frame_length: int, hop_length: int
) -> Float[jax.Array, "*batch 1 frames"]:
    if frame_length % hop_length:
        frames = frame(y, frame_length=frame_length, hop_length=hop_length)
        return jnp.mean(jnp.square(frames), axis=-2, keepdims=True)
    return _frame_sums(jnp.square(y), frame_length, hop_length)[..., None, :] / frame_length


def _frame_sums(
    y: Float[jax.Array, "*batch samples"], frame_length: int, hop_length: int
) -> Float[jax.Array, "*batch frames"]:
    """Sums of frames of whole hops: each hop is added up once, not as often as it is in a frame."""
    samples = y.shape[-1]
    require(samples >= frame_length, "frame_length", frame_length, f"y is of {samples} samples")
    hops = y[..., : samples // hop_length * hop_length].reshape(*y.shape[:-1], -1, hop_length)
    sums = jnp.sum(hops, axis=-1)
    frames = 1 + (samples - frame_length) // hop_length
    total = sum(sums[..., k : k + frames] for k in range(frame_length // hop_length))
    return jnp.asarray(total)


@compiled("y")
def zero_crossings(
    y: Num[AnyArray, "..."],
    *,
    threshold: Number = 1e-10,
    ref_magnitude: Number | Callable[..., Any] | None = None,
    pad: bool = True,
    zero_pos: bool = True,
    axis: int = -1,
) -> Bool[jax.Array, "..."]:
    """Where the sign differs from that of the sample before.

    Args:
        y: any shape.
        threshold: samples not above it in magnitude count as 0.
        ref_magnitude: times which `threshold` is taken: a number, or a function of |y|.
        pad: the first sample counts as a crossing.
        zero_pos: 0 counts as positive; otherwise its sign is one of its own.
        axis: of samples.
    Source: librosa 0.11 `zero_crossings`.
    """
    y = jnp.asarray(y)
    if ref_magnitude is not None:
        known = ref_magnitude(jnp.abs(y)) if callable(ref_magnitude) else ref_magnitude
        threshold = threshold * known
    y = jnp.moveaxis(y, axis, -1)
    y = jnp.where(jnp.abs(y) <= threshold, 0, y)
    sign = y < 0 if zero_pos else jnp.sign(y)
    first = jnp.full((*y.shape[:-1], 1), pad)
    out = jnp.concatenate([first, sign[..., 1:] != sign[..., :-1]], axis=-1)
    return jnp.moveaxis(out, -1, axis)


@compiled("y")
def zero_crossing_rate(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    **kwargs: Any,
) -> Float[jax.Array, "*batch 1 frames"]:
    """Share of each frame's samples at which the sign changes.

    Args:
        y: waveforms.
        frame_length, hop_length: samples.
        center: the signal is continued by half a frame of its end samples.
        kwargs: to `zero_crossings`; `pad` is False here unless given.
    Source: librosa 0.11 `feature.zero_crossing_rate`.
    """
    y = as_waveform(y)
    if center:
        y = pad_ends(y, positive_int("frame_length", frame_length) // 2, "edge")
    options: dict[str, Any] = {"pad": False, **kwargs}
    hop_length = positive_int("hop_length", hop_length)
    if frame_length % hop_length or options.get("ref_magnitude") is not None:
        frames = frame(y, frame_length=frame_length, hop_length=hop_length)
        crossings = zero_crossings(frames, **{**options, "axis": -2})
        return jnp.mean(crossings.astype(y.dtype), axis=-2, keepdims=True)
    crossings = zero_crossings(y, **options).astype(y.dtype)
    sums = _frame_sums(crossings, frame_length, hop_length)
    # Whether a frame's first sample crosses is not for the sample before it to say.
    first = crossings[..., ::hop_length][..., : sums.shape[-1]]
    sums = sums - first + (1 if options["pad"] else 0)
    return sums[..., None, :] / frame_length


@compiled("y")
def loud_frames(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
) -> Bool[jax.Array, "*batch frames"]:
    """Frames less than `top_db` below the reference: `trim` and `split` of fixed shape.

    Args:
        y: waveforms; each is judged by itself.
        top_db: decibels.
        ref: as in `amplitude_to_db`; the loudest frame by default.
        frame_length, hop_length: of the root mean square, samples.
    """
    level = rms(y=y, frame_length=frame_length, hop_length=hop_length)[..., 0, :]
    return amplitude_to_db(level, ref=ref, top_db=None, axes=-1) > -top_db


def _loud_together(
    y: jax.Array, top_db: Number, ref: Reference, aggregate: Callable[..., Any], **sizes: Any
) -> np.ndarray:
    level = rms(y=y, **sizes)[..., 0, :]
    db = amplitude_to_db(level, ref=ref, top_db=None, axes=None)
    flat = db.reshape(-1, db.shape[-1])
    together = flat[0] if len(flat) == 1 else aggregate(flat, axis=0)
    return np.asarray(together > -top_db)


def trim(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
    aggregate: Callable[..., Any] = jnp.max,
) -> tuple[Float[jax.Array, "*batch kept"], Int[np.ndarray, "2"]]:
    """`y` without the silence at its ends, and where it was cut. Its shape depends on the values,
    so it cannot be jitted: `loud_frames` can.

    Args:
        y: one sound of any number of channels, cut alike.
        top_db, ref, frame_length, hop_length: as in `loud_frames`, but all channels together.
        aggregate: of the channels' levels in dB.
    Source: librosa 0.11 `effects.trim`.
    """
    y = as_waveform(y)
    loud = _loud_together(
        y, top_db, ref, aggregate, frame_length=frame_length, hop_length=hop_length
    )
    where = np.flatnonzero(loud)
    start = int(where[0]) * hop_length if len(where) else 0
    end = min(y.shape[-1], int(where[-1] + 1) * hop_length) if len(where) else 0
    return y[..., start:end], np.array([start, end])


def split(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
    aggregate: Callable[..., Any] = jnp.max,
) -> Int[np.ndarray, "parts 2"]:
    """Start and end, in samples, of each part that is not silent; arguments as in `trim`.

    Source: librosa 0.11 `effects.split`.
    """
    y = as_waveform(y)
    loud = _loud_together(
        y, top_db, ref, aggregate, frame_length=frame_length, hop_length=hop_length
    )
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    return np.minimum(edges * hop_length, y.shape[-1]).reshape(-1, 2)

"""The inverse short-time Fourier transform."""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Complex, Float, Int, Num

from kit.dsp.checks import AnyArray, positive_int, require
from kit.dsp.effects.overlap import add_frames, check_overlap
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip, padded_length
from kit.dsp.stft import check_framing
from kit.dsp.windows import WindowSpec, padded_window


class Sizes(NamedTuple):
    """Checked sizes of an inverse STFT."""

    n_fft: int
    hop_length: int
    win_length: int
    start: int
    """Samples before the first one of the result."""

    def reach(self, frames: int) -> int:
        """Return the end of the first `frames` frames, samples."""
        return self.n_fft + self.hop_length * (frames - 1) - self.start

    def samples(self, frames: Length) -> Length:
        """Return the number of samples that `istft` returns without `length`."""
        return self.n_fft + self.hop_length * (frames - 1) - 2 * self.start

    def extent(
        self, n: Length, most: int, size: AnyArray | None, room: int | None
    ) -> tuple[int, Length]:
        """Return the number of samples in a result's buffer for `most` frames, and of valid ones.

        `n` frames are valid; `size` and `room` are from `of_length`.
        """
        if size is not None:
            return self.reach(most) if room is None else room, jnp.asarray(size)
        valid = self.samples(n) if room is None else room
        return valid if isinstance(valid, int) else self.reach(most), valid

    def frames(self, length: int) -> int:
        """Return the number of frames that contribute to the first `length` samples."""
        return math.ceil((length + 2 * self.start) / self.hop_length)


def sizes_of(
    bins: int,
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    center: bool = True,
) -> Sizes:
    """Return the sizes of an inverse STFT; arguments as in `istft`."""
    n_fft = positive_int("n_fft", 2 * (bins - 1) if n_fft is None else n_fft)
    require(1 + n_fft // 2 == bins, "n_fft", n_fft, f"it must fit the {bins} bins")
    win_length = n_fft if win_length is None else positive_int("win_length", win_length)
    hop_length = positive_int("hop_length", win_length // 4 if hop_length is None else hop_length)
    return Sizes(n_fft, hop_length, win_length, n_fft // 2 if center else 0)


def _check(given: dict[str, Any]) -> None:
    check_synthesis(given["stft_matrix"].shape, "stft_matrix", given)


@by_clip(stft_matrix="bt", size="", check=_check)
def inverse(
    n: Length,
    stft_matrix: Num[AnyArray, "*batch bins frames"],
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    dtype: Any = None,
    size: Int[AnyArray, "*#batch"] | None = None,
    room: int | None = None,
) -> tuple[Float[jax.Array, "*batch room"], Length]:
    """Return the inverse STFT of a clip in a buffer; arguments as in `istft`.

    `size` samples are computed in place of `length`. The buffer has `room` samples; by default it
    ends with the last frame.
    """
    D = jnp.asarray(stft_matrix)
    D = D.astype(jnp.result_type(D, jnp.complex64))
    sizes = sizes_of(
        D.shape[-2], hop_length=hop_length, win_length=win_length, n_fft=n_fft, center=center
    )
    buffer, valid = sizes.extent(n, D.shape[-1], size, room)
    y = synthesis(
        lambda at: jnp.take(D, at, axis=1).T, n, sizes, window=window, size=buffer, valid=valid
    )
    return y if dtype is None else y.astype(dtype), valid


def istft(
    stft_matrix: Num[AnyArray, "*batch bins frames"],
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    dtype: Any = None,
    length: int | None = None,
) -> Float[jax.Array, "*batch samples"]:
    """Return the waveform whose STFT is nearest to `stft_matrix`, by least squares.

    Args:
        stft_matrix: (…, bins, frames).
        hop_length, win_length, window, center: as given to `stft`.
        n_fft: length of the transform; 2 * (bins - 1) if not given, so an odd length must be given.
        dtype: dtype of the result; float of the precision of `stft_matrix` if not given.
        length: samples of the result, which is cut or padded with zeros to this length.
    Returns:
        samples = `length`, or n_fft + hop_length * (frames - 1), less 2 * (n_fft // 2) if centred.
        A single centred frame of an even `n_fft` gives 0 samples.
    Raises:
        ParameterError: sizes that do not fit, as in `stft`; `n_fft` that does not fit the bins.
    Warns:
        UserWarning: the hop leaves samples that no window reaches (NOLA); they are zero.
    Source: librosa 0.11 `istft`; Griffin and Lim 1984, section II.

    Example:
        >>> y = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
        >>> D = kit.dsp.stft(y, n_fft=512)
        >>> bool(np.allclose(kit.dsp.istft(D, length=8000), y, atol=1e-5))
        True
    """
    framing = {
        "hop_length": hop_length,
        "win_length": win_length,
        "n_fft": n_fft,
        "window": window,
        "center": center,
    }
    if length is None:
        return inverse(stft_matrix, dtype=dtype, **framing)
    D = stft_matrix if isinstance(stft_matrix, jax.Array) else np.asarray(stft_matrix)
    length = positive_int("length", length, least=0)
    require(D.ndim >= 2, "stft_matrix.shape", D.shape, "its last two axes are bins and frames")
    D, wanted = of_length(D, length, framing)
    y = inverse(D, dtype=dtype, **framing, **wanted)
    return fitted(y, length)


def fitted(y: Float[jax.Array, "*batch samples"], length: int) -> Float[jax.Array, "*batch length"]:
    """Cut or zero-pad signals to `length`, without a program for each length."""
    if y.shape[-1] == length:
        return y
    if not pads_clips(y):
        return fit(y, length)
    values = np.asarray(y)[..., :length]
    values = np.pad(values, [(0, 0)] * (y.ndim - 1) + [(0, length - values.shape[-1])])
    return jax.device_put(values, next(iter(y.devices())) if y.committed else None)


def of_length(D: Any, length: int, framing: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the frames for a result of `length` samples, and its arguments `size` and `room`.

    If `by_clip` pads the clips, `size` is traced, so that lengths share a program. `framing` holds
    arguments of `sizes_of`, with or without `window`.
    """
    sizes = sizes_of(D.shape[-2], **_sizes_in(framing))
    D = D[..., : max(1, sizes.frames(length))]
    enough = length <= sizes.reach(D.shape[-1])
    if not pads_clips(D):
        return D, {"size": None, "room": length}
    return D, {
        "size": np.asarray(length, np.int32),
        "room": None if enough else padded_length(length),
    }


def pads_clips(*arrays: Any) -> bool:
    """Return whether `by_clip` pads these clips, to share programs."""
    return all(
        not isinstance(a, Tracer)
        and (not isinstance(a, jax.Array) or all(d.platform == "cpu" for d in a.devices()))
        and np.size(a) > 0
        for a in arrays
    )


def check_synthesis(shape: tuple[int, ...], name: str, given: dict[str, Any]) -> None:
    """Refuse what `istft` refuses, and warn as it does, for a matrix of this shape."""
    require(len(shape) >= 2, f"{name}.shape", shape, "its last two axes are bins and frames")
    require(shape[-1] >= 1, f"{name}.shape", shape, "it must have at least one frame")
    sizes = sizes_of(shape[-2], **_sizes_in(given))
    values = padded_window(given.get("window", "hann"), sizes.win_length, sizes.n_fft)
    hop_length = sizes.hop_length
    check_overlap(sizes.n_fft, hop_length, shape[-1])
    steps = -(-sizes.n_fft // hop_length)
    sums = np.pad(values**2, (0, steps * hop_length - sizes.n_fft)).reshape(steps, -1).sum(axis=0)
    if hop_length > sizes.win_length or sums.min() <= np.finfo(np.float32).tiny:
        warnings.warn(
            f"hop_length={hop_length} leaves samples that no window of "
            f"win_length={sizes.win_length} reaches (NOLA); they are set to zero",
            stacklevel=5,
        )


def check_round_trip(given: dict[str, Any]) -> None:
    """Check the arguments of an STFT of `y` that is followed by its inverse."""
    check_framing(given)
    n_fft = positive_int("n_fft", given.get("n_fft", 2048))
    check_synthesis((1 + n_fft // 2, 1), "y", {**given, "n_fft": n_fft})


def sizes_of_stft(framing: dict[str, Any]) -> Sizes:
    """Return the sizes of the inverse of an STFT; `framing` are arguments of `stft`."""
    framing = {"n_fft": 2048, **framing}
    n_fft = positive_int("n_fft", framing["n_fft"])
    return sizes_of(1 + n_fft // 2, **_sizes_in(framing))


def _sizes_in(given: dict[str, Any]) -> dict[str, Any]:
    return {k: given[k] for k in ("hop_length", "win_length", "n_fft", "center") if k in given}


def synthesis(
    function: Callable[[Int[jax.Array, "rows"]], Complex[jax.Array, "rows bins"]],
    n: Length,
    sizes: Sizes,
    *,
    window: WindowSpec,
    size: int,
    valid: Length,
) -> Float[jax.Array, "{size}"]:
    """Return the inverse STFT of spectra that are computed some at a time.

    `function` maps indices of frames, 0 to n - 1, to spectra, one per row. The result has `size`
    samples, zero past the `valid` ones.
    """
    if size == 0:
        spectra = jax.eval_shape(function, jax.ShapeDtypeStruct((1,), jnp.int32))
        return jnp.zeros(0, jnp.finfo(spectra.dtype).dtype)
    values = padded_window(window, sizes.win_length, sizes.n_fft)

    def frames(at: Int[jax.Array, "rows"]) -> Float[jax.Array, "rows n_fft"]:
        rows = jnp.fft.irfft(function(at), n=sizes.n_fft, axis=-1)
        return rows * jnp.asarray(values, rows.dtype)

    y = add_frames(
        frames,
        n,
        frame_length=sizes.n_fft,
        hop_length=sizes.hop_length,
        size=size,
        valid=valid,
        start=sizes.start,
        squared_window=values**2,
    )
    return (
        y if isinstance(valid, int) and valid >= size else jnp.where(jnp.arange(size) < valid, y, 0)
    )

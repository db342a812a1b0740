"""The inverse short-time Fourier transform."""

import math
import warnings
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from kit.dsp.checks import AnyArray, positive_int, require
from kit.dsp.effects.overlap import add_rows, window_sumsquare
from kit.dsp.framing import fit
from kit.dsp.windows import WindowSpec, padded_window


def istft(
    stft_matrix: Complex[AnyArray, "*batch bins frames"],
    *,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    dtype: Any = None,
    length: int | None = None,
) -> Float[jax.Array, "*batch samples"]:
    """The waveform whose STFT is nearest to `stft_matrix` (least squares; exact if it is one).

    Args:
        stft_matrix: (…, bins, frames).
        hop_length, win_length, window, center: as given to `stft`.
        n_fft: length of the transform; 2 * (bins - 1) if not given, so give it when it is odd.
        dtype: of the result; float of the precision of `stft_matrix` if not given.
        length: samples of the result: cut or padded with zeros to exactly so many.
    Returns:
        samples = `length`, or n_fft + hop_length * (frames - 1), less 2 * (n_fft // 2) if centred.
    Raises:
        ParameterError: sizes that do not fit, as in `stft`; `n_fft` that does not fit the bins.
    Warns:
        UserWarning: the hop leaves samples that no window reaches (NOLA); they are zero.
    Source: librosa 0.11 `istft`; Griffin and Lim 1984, section II.
    """
    D = jnp.asarray(stft_matrix)
    require(D.ndim >= 2, "stft_matrix.shape", D.shape, "its last two axes are bins and frames")
    plan = synthesis_plan(
        D.shape[-2:],
        hop_length=hop_length,
        win_length=win_length,
        n_fft=n_fft,
        window=window,
        center=center,
        length=length,
    )
    y = synthesis(D, *plan.arrays(jnp.real(D).dtype), plan.sizes)
    return y if dtype is None else y.astype(dtype)


class Sizes(NamedTuple):
    """What of an inverse STFT is known while tracing."""

    n_fft: int
    hop_length: int
    start: int
    frames: int


class SynthesisPlan(NamedTuple):
    """An inverse STFT, all but its input."""

    window: np.ndarray
    gain: np.ndarray
    sizes: Sizes

    def arrays(self, dtype: Any) -> tuple[jax.Array, jax.Array]:
        """Window and gain in the precision of the input."""
        return jnp.asarray(self.window, dtype), jnp.asarray(self.gain, dtype)


def synthesis_plan(
    shape: tuple[int, ...],
    *,
    hop_length: int | None,
    win_length: int | None,
    n_fft: int | None,
    window: WindowSpec,
    center: bool,
    length: int | None,
) -> SynthesisPlan:
    """Checks the arguments of `istft` for (bins, frames), and does what does not need the values.

    Raises:
        ParameterError: as `istft`.
    """
    bins, frames = shape
    require(frames >= 1, "stft_matrix.shape", shape, "it must have at least one frame")
    n_fft = positive_int("n_fft", 2 * (bins - 1) if n_fft is None else n_fft)
    require(1 + n_fft // 2 == bins, "n_fft", n_fft, f"it must fit the {bins} bins")
    win_length = n_fft if win_length is None else positive_int("win_length", win_length)
    values = padded_window(window, win_length, n_fft)
    hop_length = positive_int("hop_length", win_length // 4 if hop_length is None else hop_length)
    if length is not None:
        length = positive_int("length", length, least=0)
    start = n_fft // 2 if center else 0
    if length:
        frames = min(frames, math.ceil((length + 2 * start) / hop_length))
    size = length if length else n_fft + hop_length * (frames - 1) - 2 * start
    require(size >= 1, "stft_matrix.shape", shape, "one frame is no signal when centred")
    _warn_of_gaps(values, win_length, hop_length, n_fft)
    envelope = window_sumsquare(
        window=window,
        n_frames=frames,
        hop_length=hop_length,
        win_length=win_length,
        n_fft=n_fft,
        dtype=np.float64,
    )[start : start + size]
    envelope = np.pad(envelope, (0, size - len(envelope)))
    reached = envelope > np.finfo(np.float32).tiny
    gain = 1 / np.where(reached, envelope, 1.0)
    return SynthesisPlan(values, gain, Sizes(n_fft, hop_length, start, frames))


@partial(jax.jit, static_argnums=3)
def synthesis(
    D: Complex[jax.Array, "*batch bins frames"],
    window: Float[jax.Array, "n_fft"],
    gain: Float[jax.Array, "samples"],
    sizes: Sizes,
) -> Float[jax.Array, "*batch samples"]:
    """The inverse STFT of a plan."""
    D = D[..., : sizes.frames]
    rows = jnp.fft.irfft(jnp.swapaxes(D, -1, -2), n=sizes.n_fft, axis=-1) * window
    return fit(add_rows(rows, sizes.hop_length)[..., sizes.start :], len(gain)) * gain


def _warn_of_gaps(values: np.ndarray, win_length: int, hop_length: int, n_fft: int) -> None:
    import scipy.signal

    least = float(np.finfo(np.float32).tiny)
    covered = hop_length <= win_length and scipy.signal.check_NOLA(
        values, n_fft, n_fft - hop_length, tol=least
    )
    if not covered:
        warnings.warn(
            f"hop_length={hop_length} leaves samples that no window of win_length={win_length} "
            "reaches (NOLA); they cannot be told and are zero",
            stacklevel=4,
        )

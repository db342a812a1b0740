"""The mel scale, its filter bank and the mel spectrogram."""

import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.arrays import of_numbers
from kit.dsp.checks import AnyArray, Number, ParameterError, check_size, positive_int, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.stft import PadMode, check_framing, map_magnitude, n_fft_of, needs_length
from kit.dsp.windows import WindowSpec

# Slaney's Auditory Toolbox: 200/3 Hz a mel below 1 kHz; above, a factor of 6.4 in 27 mels.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0

# Rows of one dense product in `banded_product`, for 128 bands of 1025 bins on 2 CPU cores.
_BAND_ROWS = 32


def hz_to_mel(frequencies: Any, *, htk: bool = False) -> Any:
    """Convert hertz to mels; a JAX array gives a JAX array, other values give NumPy.

    Args:
        frequencies: Hz, any shape.
        htk: HTK's formula, 2595 log10(1 + f / 700), in place of Slaney's.
    Source: librosa 0.11 `hz_to_mel`.

    Example:
        >>> kit.dsp.hz_to_mel(np.array([200.0, 1000.0]))
        array([ 3., 15.])
    """

    def mels(xp: Any, f: Any) -> Any:
        if htk:
            return 2595.0 * xp.log10(1.0 + f / 700.0)
        # `maximum` keeps zero out of the logarithm.
        upper = _BREAK_MEL + xp.log(xp.maximum(f, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
        return xp.where(f >= _BREAK_HZ, upper, f / _HZ_PER_MEL)

    return of_numbers(mels, frequencies)


def mel_to_hz(mels: Any, *, htk: bool = False) -> Any:
    """Convert mels to hertz, the inverse of `hz_to_mel`.

    Source: librosa 0.11 `mel_to_hz`.

    Example:
        >>> kit.dsp.mel_to_hz(np.array([3.0, 15.0]))
        array([ 200., 1000.])
    """

    def hertz(xp: Any, m: Any) -> Any:
        if htk:
            return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
        upper = _BREAK_HZ * xp.exp(_LOG_STEP * (xp.maximum(m, _BREAK_MEL) - _BREAK_MEL))
        return xp.where(m >= _BREAK_MEL, upper, m * _HZ_PER_MEL)

    return of_numbers(hertz, mels)


def mel_frequencies(
    n_mels: int = 128, *, fmin: Number = 0.0, fmax: Number = 11025.0, htk: bool = False
) -> Float[np.ndarray, "n_mels"]:
    """Return frequencies in Hz, spaced evenly in mels from `fmin` to `fmax`, in float64.

    Raises:
        ParameterError: `n_mels` below 1, or `fmin` below 0 or above `fmax`.
    Source: librosa 0.11 `mel_frequencies`.

    Example:
        >>> kit.dsp.mel_frequencies(n_mels=4, fmin=0, fmax=3000).round()
        array([   0.,  688., 1475., 3000.])
    """
    n_mels = positive_int("n_mels", n_mels)
    require(0 <= fmin <= fmax, "fmin", fmin, f"it must lie between 0 and fmax (={fmax:g} Hz)")
    low, high = hz_to_mel(fmin, htk=htk), hz_to_mel(fmax, htk=htk)
    return mel_to_hz(np.linspace(low, high, n_mels), htk=htk)


def mel(
    *,
    sr: Number,
    n_fft: int,
    n_mels: int = 128,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: str | Number | None = "slaney",
    dtype: Any = np.float32,
) -> Float[np.ndarray, "n_mels bins"]:
    """Return triangular filters, evenly spaced in mels, one per row over the bins of `n_fft`.

    Args:
        sr: sample rate, Hz.
        n_fft: length of the transform, samples; bins = 1 + n_fft // 2.
        n_mels: filters.
        fmin: lower edge of the first, Hz.
        fmax: upper edge of the last, Hz; `sr / 2` if not given.
        htk: HTK's mel scale in place of Slaney's.
        norm: "slaney" gives each triangle unit area in Hz; None a peak of 1; a number p the unit
            p-norm over bins (`np.inf` included).
        dtype: of the result; computed in float64 and cast once.
    Returns:
        A NumPy array, so a constant in a traced function.
    Raises:
        ParameterError: `sr` or a size not positive, `fmax` above `sr / 2`, `fmin` not below `fmax`,
            an unknown norm.
    Warns:
        UserWarning: a filter lies between two bins and is empty.
    Source: librosa 0.11 `filters.mel`.

    Example:
        >>> filters = kit.dsp.mel(sr=22050, n_fft=2048, n_mels=40)
        >>> filters.shape  # bands, bins
        (40, 1025)
    """
    require(0 < sr < math.inf, "sr", sr, "it must be above 0 Hz and finite")
    n_fft = positive_int("n_fft", n_fft)
    n_mels = positive_int("n_mels", n_mels)
    check_size("n_mels", n_mels, n_mels * (n_fft // 2 + 1))
    nyquist = sr / 2
    top = nyquist if fmax is None else fmax
    rule = f"it must lie above 0 and not above sr / 2 = {nyquist:g} Hz; lower fmax or raise sr"
    require(0 < top <= nyquist, "fmax", fmax, rule)
    require(0 <= fmin < top, "fmin", fmin, f"it must lie between 0 and fmax = {top:g} Hz")
    # Equal to librosa's to the last bit: rounding must not decide whether an edge lies on a bin.
    bins = np.fft.rfftfreq(n_fft, 1.0 / sr)
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=top, htk=htk)
    widths = np.diff(edges)
    distance = edges[:, None] - bins
    rising = -distance[:-2] / widths[:-1, None]
    falling = distance[2:] / widths[1:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    peaks = weights.max(axis=1)
    if not np.all((edges[:-2] == 0) | (peaks > 0)):
        warnings.warn(
            f"Empty filters detected in mel frequency basis: {n_mels} bands are too many for "
            f"n_fft={n_fft} at sr={sr:g}; lower n_mels, or raise n_fft or fmax",
            stacklevel=2,
        )
    return np.asarray(weights * _gain(weights, edges, norm)[:, None], dtype)


def _gain(weights: np.ndarray, edges: np.ndarray, norm: object) -> np.ndarray:
    if norm is None:
        return np.ones(len(weights))
    if norm == "slaney":
        return 2.0 / (edges[2:] - edges[:-2])
    if isinstance(norm, int | float) and norm > 0:
        size = np.linalg.norm(weights, ord=norm, axis=1)
        return 1 / np.where(size > 0, size, 1.0)
    raise ParameterError(f'norm is {norm!r}; it must be "slaney", None, or a number above 0')


def banded_product(
    S: Float[jax.Array, "*batch bins"], basis: Float[np.ndarray, "rows bins"]
) -> Float[jax.Array, "*batch rows"]:
    """Return `S @ basis.T` for a `basis` whose rows are bands at rising bins, zero elsewhere.

    Each product takes a few rows and only the bins they use: for 128 mel bands of 1025 bins, a
    ninth of the dense product's work.
    """
    parts = []
    for top in range(0, len(basis), _BAND_ROWS):
        rows = basis[top : top + _BAND_ROWS]
        used = np.flatnonzero(rows.any(axis=0))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, 1)
        weights = jnp.asarray(rows[:, low:high].T, S.dtype)
        parts.append(jnp.dot(S[..., low:high], weights, precision=jax.lax.Precision.HIGHEST))
    return jnp.concatenate(parts, axis=-1)


def _check(given: dict[str, Any]) -> None:
    if (given["y"] is None) == (given["S"] is None):
        raise ParameterError("y and S: give exactly one of them")
    check_framing(given)


@by_clip(y="t", S="bt", check=_check, exact=needs_length)
def melspectrogram(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    power: Number = 2.0,
    n_mels: int = 128,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: str | Number | None = "slaney",
    dtype: Any = np.float32,
) -> tuple[Float[jax.Array, "*batch n_mels frames"], Length]:
    """Return the mel spectrogram of a waveform, or of a spectrogram `S`.

    Args:
        y: waveforms (…, samples); see `stft`.
        sr: sample rate, Hz.
        S: magnitude to the power `power`, (…, bins, frames), in place of `y`; `n_fft` is then
            2 * (bins - 1).
        n_fft, hop_length, win_length, window, center, pad_mode: see `stft`.
        power: exponent of the magnitude: 2 for power, 1 for amplitude.
        n_mels, fmin, fmax, htk, norm, dtype: see `mel`.
    Returns:
        Float of the precision of `y` or `S`.
    Raises:
        ParameterError: neither or both of `y` and `S`, or as `stft` and `mel`.
    Source: librosa 0.11 `feature.melspectrogram`.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> S = kit.dsp.melspectrogram(y=y, sr=22050, n_mels=64)
        >>> S.shape  # bands, frames
        (64, 44)
        >>> round(float(kit.dsp.mel_frequencies(n_mels=66, fmax=11025)[1 + S[:, 20].argmax()]))
        461
    """
    basis = mel(
        sr=sr,
        n_fft=n_fft_of(S, n_fft),
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=norm,
        dtype=dtype,
    )
    return map_magnitude(
        lambda rows: banded_product(rows, basis),
        n,
        y=y,
        S=S,
        power=power,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        time_last=True,
    )

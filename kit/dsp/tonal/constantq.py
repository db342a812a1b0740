"""Constant-Q and variable-Q transforms, an octave at a time."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float, Inexact, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, as_waveform, positive_int, require
from kit.dsp.resample import resample
from kit.dsp.stft import PadMode, magnitude, stft
from kit.dsp.tonal.tuning import estimate_tuning
from kit.dsp.tonal.wavelet import (
    C1_HZ,
    equal_bandwidth,
    interval_frequencies,
    relative_bandwidth,
    sparsified,
    wavelet,
    wavelet_lengths,
)
from kit.dsp.windows import WindowSpec

_HIGHEST = jax.lax.Precision.HIGHEST


def vqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int = 84,
    intervals: Any = "equal",
    gamma: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Complex[jax.Array, "*batch n_bins frames"]:
    """Variable-Q transform: filters as wide as musical intervals, at equal hops.

    Args:
        y: waveforms.
        sr: sample rate, Hz.
        hop_length: samples between frames. It is halved with every octave as long as it is even.
        fmin: of the lowest bin, Hz; C1 (32.7 Hz) if not given.
        n_bins: bins.
        intervals: see `interval_frequencies`.
        gamma: widens the lower filters, Hz; None for the widths of hearing, 0 for constant Q.
        bins_per_octave: bins.
        tuning: of fmin, in bins; None estimates it, for which y must not be traced.
        filter_scale: above 1, longer filters.
        norm: of each filter.
        sparsity: share of each filter's spectrum that is left out.
        window: of the filters.
        scale: divided by the root of the filter's length.
        pad_mode: see `stft`.
        res_type: to `resample`; None is the default.
        dtype: complex, of the result.
    Returns:
        frames = 1 + samples // hop_length.
    Raises:
        ParameterError: the highest filter exceeds `sr / 2`, or as the parts.
    Source: librosa 0.11 `vqt`; Schörkhuber and Klapuri 2010.
    """
    y = as_waveform(y)
    n_bins, hop_length = positive_int("n_bins", n_bins), positive_int("hop_length", hop_length)
    bins_per_octave = bins_per_octave if isinstance(intervals, str) else len(intervals)
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    octaves = math.ceil(n_bins / bins_per_octave)
    lowest = _lowest(y, sr, fmin, tuning, bins_per_octave)
    freqs = interval_frequencies(
        n_bins, fmin=lowest, intervals=intervals, bins_per_octave=bins_per_octave
    )
    alpha = _bandwidths(freqs, bins_per_octave)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": gamma}
    _, highest = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **shape)
    require(
        highest <= sr / 2,
        "n_bins",
        n_bins,
        f"the highest filter passes {highest:.0f} Hz, above sr / 2 = {sr / 2:g} Hz; lower it",
    )
    y, rate, hop = _early(y, sr, hop_length, res_type, octaves, highest, scale)
    top_rate, parts = rate, []
    for octave in range(octaves):
        high = n_bins - octave * bins_per_octave
        low = max(0, high - bins_per_octave)
        basis, n_fft = _spectra(rate, freqs[low:high], alpha[low:high], norm, sparsity, **shape)
        parts.append(_response(y, n_fft, hop, basis * math.sqrt(top_rate / rate), pad_mode))
        if hop % 2 == 0 and octave < octaves - 1:
            hop, rate = hop // 2, rate / 2
            y = resample(y, orig_sr=2, target_sr=1, res_type=res_type or "soxr_hq", scale=True)
    V = _stacked(parts[::-1])
    if scale:
        lengths, _ = wavelet_lengths(freqs=freqs, sr=top_rate, alpha=alpha, **shape)
        V = V / jnp.asarray(np.sqrt(lengths)[:, None], jnp.real(V).dtype)
    return V if dtype is None else V.astype(dtype)


def cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Complex[jax.Array, "*batch n_bins frames"]:
    """Constant-Q transform: `vqt` of equal intervals with `gamma` 0; arguments as there.

    Source: librosa 0.11 `cqt`; Brown 1991.
    """
    return vqt(
        y,
        sr=sr,
        hop_length=hop_length,
        fmin=fmin,
        n_bins=n_bins,
        intervals="equal",
        gamma=0,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        norm=norm,
        sparsity=sparsity,
        window=window,
        scale=scale,
        pad_mode=pad_mode,
        res_type=res_type,
        dtype=dtype,
    )


def pseudo_cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    dtype: Any = None,
) -> Float[jax.Array, "*batch n_bins frames"]:
    """Magnitudes of a constant-Q transform from one STFT; arguments as in `vqt`.

    Source: librosa 0.11 `pseudo_cqt`.
    """
    y = as_waveform(y)
    lowest = _lowest(y, sr, fmin, tuning, bins_per_octave)
    freqs = interval_frequencies(n_bins, fmin=lowest, bins_per_octave=bins_per_octave)
    alpha = _bandwidths(freqs, bins_per_octave)
    lengths, _ = wavelet_lengths(
        freqs=freqs, sr=sr, window=window, filter_scale=filter_scale, alpha=alpha
    )
    basis, n_fft = _spectra(
        sr,
        freqs,
        alpha,
        norm,
        sparsity,
        window=window,
        filter_scale=filter_scale,
        gamma=0,
        hop_length=hop_length,
    )
    D = magnitude(stft(y, n_fft=n_fft, hop_length=hop_length, pad_mode=pad_mode))
    C = jnp.einsum("cf,...ft->...ct", jnp.asarray(np.abs(basis), D.dtype), D, precision=_HIGHEST)
    gain = np.full(n_bins, 1 / n_fft) if scale else lengths / n_fft
    C = C * jnp.asarray(np.sqrt(gain)[:, None], D.dtype)
    return C if dtype is None else C.astype(dtype)


def hybrid_cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Float[jax.Array, "*batch n_bins frames"]:
    """Magnitudes: `pseudo_cqt` where filters are shorter than two hops, `cqt` below.

    Source: librosa 0.11 `hybrid_cqt`.
    """
    y = as_waveform(y)
    lowest = _lowest(y, sr, fmin, tuning, bins_per_octave)
    freqs = interval_frequencies(n_bins, fmin=lowest, bins_per_octave=bins_per_octave)
    lengths, _ = wavelet_lengths(
        freqs=freqs,
        sr=sr,
        window=window,
        filter_scale=filter_scale,
        alpha=_bandwidths(freqs, bins_per_octave),
    )
    short = 2.0 ** np.ceil(np.log2(lengths)) < 2 * hop_length
    full = n_bins - int(np.sum(short))
    shared = {
        "sr": sr,
        "hop_length": hop_length,
        "bins_per_octave": bins_per_octave,
        "filter_scale": filter_scale,
        "norm": norm,
        "sparsity": sparsity,
        "window": window,
        "scale": scale,
        "pad_mode": pad_mode,
    }
    parts = []
    if full:
        low = cqt(y, fmin=lowest, n_bins=full, res_type=res_type, **shared)
        parts.append(jnp.abs(low))
    if full < n_bins:
        parts.append(
            pseudo_cqt(y, fmin=float(np.min(freqs[short])), n_bins=n_bins - full, **shared)
        )
    C = _stacked(parts)
    return C if dtype is None else C.astype(dtype)


def _lowest(
    y: jax.Array, sr: Number, fmin: Number | None, tuning: Number | None, bins_per_octave: int
) -> float:
    if tuning is None:
        tuning = estimate_tuning(y=y, sr=sr, bins_per_octave=bins_per_octave)
    return float(C1_HZ if fmin is None else fmin) * 2.0 ** (tuning / bins_per_octave)


def _bandwidths(freqs: np.ndarray, bins_per_octave: int) -> np.ndarray:
    if len(freqs) == 1:
        return np.atleast_1d(equal_bandwidth(bins_per_octave))
    return relative_bandwidth(freqs)


def _spectra(
    sr: Number,
    freqs: np.ndarray,
    alpha: np.ndarray,
    norm: Number | None,
    sparsity: Number,
    *,
    window: WindowSpec,
    filter_scale: Number,
    gamma: Number | None,
    hop_length: int | None = None,
) -> tuple[Complex[np.ndarray, "n bins"], int]:
    """The filters' spectra, and their `n_fft`."""
    rows, lengths = wavelet(
        freqs=freqs,
        sr=sr,
        window=window,
        filter_scale=filter_scale,
        norm=norm,
        gamma=gamma,
        alpha=alpha,
        dtype=np.complex128,
    )
    n_fft = rows.shape[1]
    if hop_length is not None:
        n_fft = max(n_fft, int(2.0 ** (1 + np.ceil(np.log2(hop_length)))))
    scaled = rows * (lengths[:, None] / n_fft)
    spectra = np.fft.fft(scaled, n=n_fft, axis=1)[:, : n_fft // 2 + 1]
    return sparsified(spectra, sparsity), n_fft


def _response(
    y: Float[jax.Array, "*batch samples"],
    n_fft: int,
    hop_length: int,
    basis: Complex[np.ndarray, "n bins"],
    pad_mode: PadMode,
) -> Complex[jax.Array, "*batch n frames"]:
    D = stft(y, n_fft=n_fft, hop_length=hop_length, window="ones", pad_mode=pad_mode)
    used = np.flatnonzero(np.any(basis != 0, axis=0))
    low, high = used[0], used[-1] + 1
    kernel = jnp.asarray(basis[:, low:high], D.dtype)
    return jnp.einsum("cf,...ft->...ct", kernel, D[..., low:high, :], precision=_HIGHEST)


def _stacked(parts: list[Any]) -> Inexact[jax.Array, "*batch n_bins frames"]:
    frames = min(p.shape[-1] for p in parts)
    return jnp.concatenate([p[..., :frames] for p in parts], axis=-2)


def _early(
    y: jax.Array,
    sr: Number,
    hop_length: int,
    res_type: str | None,
    octaves: int,
    highest: float,
    scale: bool,
) -> tuple[jax.Array, float, int]:
    """Halves the rate as often as the highest filter and the hop allow, before any octave."""
    room = max(0, math.ceil(math.log2(sr / 2 / highest)) - 2)
    twos = (hop_length & -hop_length).bit_length() - 1
    count = min(room, max(0, twos - octaves + 1))
    if count == 0:
        return y, float(sr), hop_length
    factor = 2**count
    if y.shape[-1] < factor:
        raise ParameterError(
            f"y.shape is {y.shape}; {octaves} octaves take {factor} samples at least"
        )
    y = resample(y, orig_sr=factor, target_sr=1, res_type=res_type or "soxr_hq", scale=True)
    if not scale:
        y = y * math.sqrt(factor)
    return y, sr / factor, hop_length // factor

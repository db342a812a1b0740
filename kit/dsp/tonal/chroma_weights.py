"""Weights that sum the bins of a spectrum into pitch classes."""

from typing import Any

import numpy as np
from jaxtyping import Float

from kit.dsp.checks import (
    Number,
    check_size,
    numbers,
    positive_int,
    require,
)
from kit.dsp.spectral.normalize import check_norm, normalize_values
from kit.dsp.tonal.tuning import hz_to_octs
from kit.dsp.tonal.wavelet import C1_HZ, finite


def chroma_filters(
    *,
    sr: Number,
    n_fft: int,
    n_chroma: int = 12,
    tuning: Number = 0.0,
    ctroct: Number = 5.0,
    octwidth: Number | None = 2,
    norm: Number | None = 2,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> Float[np.ndarray, "n_chroma bins"]:
    """Return weights that sum the bins of an STFT into pitch classes.

    Args:
        sr, n_fft: sample rate in Hz and length of the STFT.
        n_chroma: pitch classes in an octave.
        tuning: offset from A440, in classes.
        ctroct, octwidth: centre and half width of a Gaussian over octaves; None for equal weights.
        norm: order of the norm of each bin's weights.
        base_c: class 0 is C, otherwise A.
        dtype: dtype of the result; computed in float64.
    Raises:
        ParameterError: `n_fft` below 2, or another argument out of its range.
    Source: librosa 0.11 `filters.chroma`; Ellis, "Chroma Feature Analysis and Synthesis", 2007.

    Example:
        >>> kit.dsp.chroma_filters(sr=22050, n_fft=4096).shape  # chroma, bins
        (12, 2049)
    """
    n_chroma = positive_int("n_chroma", n_chroma)
    n_fft = positive_int("n_fft", n_fft, least=2)
    check_size("n_chroma", n_chroma, n_chroma * n_fft)
    require(finite(sr) and sr > 0, "sr", sr, "it must be a number above 0 Hz")
    require(finite(ctroct), "ctroct", ctroct, "it must be a number of octaves")
    rule = "it must be a number of octaves above 0, or None"
    require(octwidth is None or (finite(octwidth) and octwidth > 0), "octwidth", octwidth, rule)
    check_norm(norm)
    frequencies = np.arange(1, n_fft) * (sr / n_fft)
    place = n_chroma * hz_to_octs(frequencies, tuning=tuning, bins_per_octave=n_chroma)
    # The bin at 0 Hz is set one and a half octaves below the first.
    place = np.concatenate([[place[0] - 1.5 * n_chroma], place])
    width = np.concatenate([np.maximum(np.diff(place), 1.0), [1.0]])
    away = place[None, :] - np.arange(n_chroma)[:, None]
    half = np.round(n_chroma / 2)
    away = np.remainder(away + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2 * away / width) ** 2)
    if norm is not None:
        weights = np.apply_along_axis(normalize_values, 0, weights, norm)
    if octwidth is not None:
        weights = weights * np.exp(-0.5 * ((place / n_chroma - ctroct) / octwidth) ** 2)
    if base_c:
        weights = np.roll(weights, -3 * (n_chroma // 12), axis=0)
    return np.ascontiguousarray(weights[:, : 1 + n_fft // 2], dtype=dtype)


def cq_to_chroma(
    n_input: int,
    *,
    bins_per_octave: int = 12,
    n_chroma: int = 12,
    fmin: Number | None = None,
    window: Any = None,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> Float[np.ndarray, "n_chroma n_input"]:
    """Return weights that sum the bins of a constant-Q transform into pitch classes.

    Args:
        n_input: number of bins.
        bins_per_octave: a multiple of `n_chroma`.
        n_chroma: pitch classes in an octave.
        fmin: frequency of bin 0, Hz; C1 if not given.
        window: values to convolve with each class's weights over the bins.
        base_c: class 0 is C, otherwise A.
        dtype: dtype of the result.
    Raises:
        ParameterError: `bins_per_octave` is not a multiple of `n_chroma`.
    Source: librosa 0.11 `filters.cq_to_chroma`.

    Example:
        >>> kit.dsp.cq_to_chroma(24, n_chroma=12).shape  # chroma, bins
        (12, 24)
    """
    n_input, n_chroma = positive_int("n_input", n_input), positive_int("n_chroma", n_chroma)
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    check_size("n_input", n_input, n_input * max(n_chroma, bins_per_octave))
    rule = f"it must be a multiple of n_chroma (={n_chroma})"
    require(bins_per_octave % n_chroma == 0, "bins_per_octave", bins_per_octave, rule)
    require(
        fmin is None or (finite(fmin) and fmin > 0), "fmin", fmin, "it must be a number above 0 Hz"
    )
    merge = bins_per_octave // n_chroma
    lowest = C1_HZ if fmin is None else fmin
    above_c = (12 * np.log2(lowest / 440.0) + 69) % 12
    roll = round((above_c if base_c else above_c - 9) * (n_chroma / 12))
    bins = np.arange(n_input)
    of_bin = ((bins + merge // 2) // merge + roll) % n_chroma
    weights = (of_bin[None, :] == np.arange(n_chroma)[:, None]).astype(np.float64)
    if window is not None:
        taps = numbers("window", window).reshape(-1)
        require(len(taps), "window", window, "it must have a value")
        weights = np.stack([_same(row, taps) for row in weights])
    return weights.astype(dtype)


def _same(row: np.ndarray, taps: np.ndarray) -> np.ndarray:
    start = (len(taps) - 1) // 2
    return np.convolve(row, taps)[start : start + len(row)]

"""Windowed complex tones, the filters of constant-Q and variable-Q transforms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Num

from kit.dsp.checks import Number, ParameterError, numbers, positive_int, require
from kit.dsp.spectral.normalize import normalize_values
from kit.dsp.tonal.intervals import plimit_intervals, pythagorean_intervals
from kit.dsp.windows import WindowSpec, get_window

C1_HZ = 440.0 * 2.0 ** (-45 / 12)
"""C1, three octaves below middle C, 32.7 Hz: default lowest bin of constant-Q transforms."""

# 24.7 Hz and 0.108: the bandwidth of human hearing is 0.108 f + 24.7 (Glasberg and Moore 1990).
_ERB_GAMMA = 24.7 / 0.108


_LIMITS = {"ji3": (3,), "ji5": (3, 5), "ji7": (3, 5, 7)}


Intervals = str | Sequence[Number] | Num[np.ndarray, "ratios"]
"""The name of the intervals of an octave, or their ratios."""

# Samples of all filters: 4 GiB.
_MOST_SAMPLES = 2**28


def finite(value: object) -> bool:
    """Return whether `value` is a real number, neither infinite nor NaN."""
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))


def bins_of_octave(intervals: Intervals, bins_per_octave: int) -> int:
    """Return the number of bins in an octave: of the ratios, or `bins_per_octave` for a name."""
    if isinstance(intervals, str):
        return positive_int("bins_per_octave", bins_per_octave)
    require(
        np.ndim(intervals) == 1, "intervals", intervals, "it must be a name or a list of ratios"
    )
    return positive_int("len(intervals)", len(intervals))


def check_tuning(tuning: Number, bins_per_octave: int) -> None:
    """Refuse a tuning that is not finite or is above 100 octaves."""
    known = finite(tuning) and abs(tuning) <= 100 * bins_per_octave
    require(known, "tuning", tuning, "it must be a number of bins, of at most 100 octaves")


def interval_frequencies(
    n_bins: int,
    *,
    fmin: Number,
    intervals: Intervals = "equal",
    bins_per_octave: int = 12,
    tuning: Number = 0.0,
    sort: bool = True,
) -> Float[np.ndarray, "n_bins"]:
    """Return frequencies at the same intervals in every octave, Hz.

    Args:
        n_bins: number of frequencies.
        fmin: lowest frequency, Hz.
        intervals: "equal"; "pythagorean", a chain of fifths; "ji3", "ji5" or "ji7", just intonation
            with primes up to that number; or ratios in [1, 2).
        bins_per_octave: bins of named intervals.
        tuning: offset of "equal", bins.
        sort: ascending.
    Raises:
        ParameterError: unknown intervals.
    Source: librosa 0.11 `interval_frequencies`.

    Example:
        >>> kit.dsp.interval_frequencies(3, fmin=55, intervals="equal", bins_per_octave=12)
        array([55.        , 58.27047019, 61.73541266])
    """
    n_bins = positive_int("n_bins", n_bins)
    require(finite(fmin) and fmin > 0, "fmin", fmin, "it must be a number above 0 Hz")
    if isinstance(intervals, str):
        bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
        check_tuning(tuning, bins_per_octave)
        if intervals == "equal":
            ratios = 2.0 ** ((tuning + np.arange(bins_per_octave)) / bins_per_octave)
        elif intervals == "pythagorean":
            ratios = pythagorean_intervals(bins_per_octave=bins_per_octave, sort=sort)
        elif intervals in _LIMITS:
            ratios = plimit_intervals(
                primes=_LIMITS[intervals], bins_per_octave=bins_per_octave, sort=sort
            )
        else:
            names = ", ".join(f'"{name}"' for name in ("equal", "pythagorean", *_LIMITS))
            raise ParameterError(f"intervals is {intervals!r}; it must be {names} or ratios")
    else:
        ratios = numbers("intervals", intervals)
        within = ratios.ndim == 1 and len(ratios) and np.all((ratios >= 1) & (ratios < 2))
        require(within, "intervals", intervals, "ratios must lie in [1, 2)")
    octaves = -(-n_bins // len(ratios))
    every = np.multiply.outer(2.0 ** np.arange(octaves), ratios).reshape(-1)[:n_bins]
    return (np.sort(every) if sort else every) * fmin


def relative_bandwidth(freqs: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return each filter's bandwidth over its frequency, from its neighbours' spacing.

    Source: librosa 0.11 `filters._relative_bandwidth`.
    """
    require(len(freqs) > 1, "freqs", freqs, "it must have at least two values")
    octaves = np.log2(freqs)
    spacing = np.diff(octaves)
    per_octave = np.concatenate(
        [[1 / spacing[0]], 2 / (spacing[1:] + spacing[:-1]), [1 / spacing[-1]]]
    )
    return equal_bandwidth(per_octave)


def equal_bandwidth(bins_per_octave: Any) -> Any:
    """Return bandwidth over frequency for equal steps in an octave."""
    square = 2.0 ** (2 / np.asarray(bins_per_octave, np.float64))
    return (square - 1) / (square + 1)


def window_bandwidth(window: WindowSpec, n: int = 1000) -> float:
    """Return the equivalent noise bandwidth of a window, bins.

    Source: Harris 1978; librosa 0.11 `filters.window_bandwidth`.

    Example:
        >>> kit.dsp.window_bandwidth("hann")
        1.5
    """
    if callable(window):
        import scipy.signal

        name = getattr(window, "__name__", "")
        if window is getattr(scipy.signal.windows, name, None):
            window = name  # periodic, as by its name
    values = get_window(window, n)
    total = np.sum(values)
    return float(n * np.sum(values**2) / (total**2 + np.finfo(np.float64).tiny))


def wavelet_lengths(
    *,
    freqs: Any,
    sr: Number = 22050,
    window: WindowSpec = "hann",
    filter_scale: Number = 1,
    gamma: Number | None = 0,
    alpha: Any = None,
) -> tuple[Float[np.ndarray, "n"], float]:
    """Return each filter's length in samples, and the highest frequency that any passes, Hz.

    Args:
        freqs: ascending, Hz.
        sr: sample rate, Hz.
        window: window of the filters.
        filter_scale: above 1, longer filters.
        gamma: added to the bandwidths, Hz; None for the bandwidths of hearing.
        alpha: bandwidth over frequency; computed from the spacing if not given.
    Raises:
        ParameterError: an argument out of its range, descending frequencies.
    Source: librosa 0.11 `filters.wavelet_lengths`; Schörkhuber et al. 2014.

    Example:
        >>> lengths, _ = kit.dsp.wavelet_lengths(freqs=np.array([55.0, 110.0]), sr=22050)
        >>> float(lengths[0] / lengths[1])
        2.0
    """
    freqs = numbers("freqs", freqs)
    require(finite(sr) and sr > 0, "sr", sr, "it must be a number above 0 Hz")
    rule = "it must be above 0"
    require(finite(filter_scale) and filter_scale > 0, "filter_scale", filter_scale, rule)
    require(
        gamma is None or (finite(gamma) and gamma >= 0), "gamma", gamma, "it must not be negative"
    )
    require(freqs.ndim == 1 and len(freqs), "freqs.shape", freqs.shape, "it must be one axis")
    wrong = freqs[~((freqs > 0) & np.isfinite(freqs))]
    require(len(wrong) == 0, "freqs", wrong[:3], "frequencies must be above 0 Hz")
    require(np.all(np.diff(freqs) >= 0), "freqs", freqs, "they must ascend")
    bandwidth = relative_bandwidth(freqs) if alpha is None else numbers("alpha", alpha)
    fits = bandwidth.shape in ((), freqs.shape) and np.all((bandwidth > 0) & np.isfinite(bandwidth))
    require(fits, "alpha", alpha, "it must be above 0 and finite, one or one for each frequency")
    extra = bandwidth * _ERB_GAMMA if gamma is None else gamma
    q = filter_scale / bandwidth
    highest = np.max(freqs * (1 + 0.5 * window_bandwidth(window) / q) + 0.5 * extra)
    return q * sr / (freqs + extra / bandwidth), float(highest)


def wavelet(
    *,
    freqs: Any,
    sr: Number = 22050,
    window: WindowSpec = "hann",
    filter_scale: Number = 1,
    pad_fft: bool = True,
    norm: Number | None = 1,
    dtype: Any = np.complex64,
    gamma: Number | None = 0,
    alpha: Any = None,
) -> tuple[Complex[np.ndarray, "n samples"], Float[np.ndarray, "n"]]:
    """Return the filters, one per row, centred, and their lengths in samples.

    Args:
        freqs, sr, window, filter_scale, gamma, alpha: see `wavelet_lengths`.
        pad_fft: pad the rows to the next power of two; otherwise to the longest filter.
        norm: order of each filter's norm.
        dtype: dtype of the filters; computed in complex128.
    Source: librosa 0.11 `filters.wavelet`.

    Example:
        >>> filters, lengths = kit.dsp.wavelet(freqs=np.array([440.0, 880.0]), sr=22050)
        >>> filters.shape, lengths.round()  # samples: one filter is half as long as the other
        ((2, 128), array([84., 42.]))
    """
    freqs = numbers("freqs", freqs)
    lengths, _ = wavelet_lengths(
        freqs=freqs, sr=sr, window=window, filter_scale=filter_scale, gamma=gamma, alpha=alpha
    )
    norms = norm is None or (isinstance(norm, int | float) and not np.isnan(norm))
    require(norms, "norm", norm, "it must be a number or None")
    longest = max(lengths)
    size = int(2.0 ** np.ceil(np.log2(longest)) if pad_fft else np.ceil(longest))
    rule = f"{len(freqs)} filters of {size} samples are too long; lower it, or sr, or raise freqs"
    require(size * len(freqs) <= _MOST_SAMPLES, "filter_scale", filter_scale, rule)
    rows = np.zeros((len(freqs), size), np.complex128)
    for row, length, freq in zip(rows, lengths, freqs, strict=True):
        at = np.arange(-length // 2, length // 2, dtype=float)
        tone = np.exp(2j * np.pi * freq / sr * at) * get_window(window, len(at))
        start = (size - len(at)) // 2
        row[start : start + len(at)] = normalize_values(tone, norm)
    return rows.astype(dtype), lengths


def sparsified(
    rows: Complex[np.ndarray, "n bins"], quantile: Number
) -> Complex[np.ndarray, "n bins"]:
    """Set the smallest entries of each row, up to `quantile` of its total magnitude, to 0.

    Source: librosa 0.11 `util.sparsify_rows`.
    """
    require(finite(quantile) and 0 <= quantile < 1, "sparsity", quantile, "it must lie in [0, 1)")
    size = np.abs(rows)
    ordered = np.sort(size, axis=1)
    share = np.cumsum(ordered / np.sum(size, axis=1, keepdims=True), axis=1)
    least = np.take_along_axis(ordered, np.argmin(share < quantile, axis=1)[:, None], axis=1)
    return np.where(size >= least, rows, 0)

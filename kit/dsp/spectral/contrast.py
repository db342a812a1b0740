"""Contrast of peaks and valleys of the spectrum in octave bands."""

import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.dsp.checks import Number, positive_int, require
from kit.dsp.decibel import known_to_db, power_to_db
from kit.dsp.jit import Empty, Length
from kit.dsp.spectral.extremes import means_of_extremes
from kit.dsp.spectral.shape import (
    Rows,
    Spectrum,
    Waveform,
    bin_frequencies,
    map_of_frames,
    of_frames,
)


def _contrast_of_known(
    *,
    S: np.ndarray,
    sr: Number,
    freq: Any,
    fmin: Number,
    n_bands: int,
    quantile: Number,
    linear: bool,
    empty: Empty,
    y: None = None,
    **stft_arguments: Any,
) -> np.ndarray:
    bands = _octaves(_centres(freq, sr, S, stft_arguments), sr, fmin, n_bands, quantile)
    S = S.astype(jnp.result_type(S, jnp.float32), copy=False)
    peak, valley = np.empty((2, len(bands), S.shape[-1]), S.dtype)
    for row, (band, count) in enumerate(bands):
        rows = np.sort(S[band], axis=0)
        # NaN and infinity are at the ends.
        known = np.isfinite(rows[0]) & np.isfinite(rows[-1])
        peak[row] = np.where(known, rows[-count:].mean(axis=0), np.nan)
        valley[row] = np.where(known, rows[:count].mean(axis=0), np.nan)
    if not linear:
        peak, valley = known_to_db(peak), known_to_db(valley)
    return np.subtract(peak, valley, out=empty(peak.shape, peak.dtype))


@of_frames(of_known=_contrast_of_known)
def spectral_contrast(
    n: Length,
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    fmin: Number = 200.0,
    n_bands: int = 6,
    quantile: Number = 0.02,
    linear: bool = False,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch bands frames"], Length]:
    """Return the difference of peaks and valleys in octave bands, dB; bands = n_bands + 1.

    Args:
        y, sr, S, stft_arguments: as in `spectral_centroid`.
        freq: (bins,), Hz, rising; a constant.
        fmin: upper edge of the lowest band, Hz.
        n_bands: number of octaves above it.
        quantile: share of a band's bins in its peak and in its valley.
        linear: return the difference of magnitudes, not dB.
    Raises:
        ParameterError: a band that begins above `sr / 2` or has no bins, a bad share or size.
    Source: librosa 0.11 `feature.spectral_contrast`; Jiang et al. 2002.

    Example:
        >>> S = np.ones((1025, 1), np.float32)
        >>> kit.dsp.spectral_contrast(S=S).tolist()  # of a flat spectrum, 0 dB
        [[0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0]]
    """
    bands = _octaves(_centres(freq, sr, S, stft_arguments), sr, fmin, n_bands, quantile)

    def extremes(m: Rows) -> Float[jax.Array, "rows both"]:
        means = [means_of_extremes(m.T[band], count) for band, count in bands]
        return jnp.stack(means, axis=1).reshape(2 * len(bands), len(m)).T

    both, frames = map_of_frames(extremes, n, y=y, S=S, framing=stft_arguments)
    # Values past the clip's end must not raise its peak.
    both = jnp.where(jnp.arange(both.shape[-1]) < frames, both, 0)
    both = both.reshape(2, len(bands), -1)
    peak, valley = both if linear else power_to_db(both)
    return peak - valley, frames


def _centres(freq: Any, sr: Number, S: Any, framing: dict[str, Any]) -> Float[np.ndarray, "bins"]:
    """Return the frequencies of the bins of `spectral_contrast`."""
    given = None if freq is None else np.atleast_2d(np.asarray(freq).T).T
    centres = bin_frequencies(given, sr, S, framing)
    require(centres.shape[1] == 1, "freq.shape", centres.shape, "it must be (bins,)")
    return np.asarray(centres)[:, 0]


def _octaves(
    centres: Float[np.ndarray, "bins"], sr: Number, fmin: Number, n_bands: int, quantile: Number
) -> list[tuple[slice, int]]:
    """Return the bins of each band of `spectral_contrast`, and the number of bins in its peak."""
    n_bands = positive_int("n_bands", n_bands)
    require(0 < quantile < 1, "quantile", quantile, "it must lie between 0 and 1")
    require(0 < fmin < math.inf, "fmin", fmin, "it must be above 0 Hz")
    edges = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    require(
        edges[-2] < sr / 2, "n_bands", n_bands, f"the top band begins above sr / 2 = {sr / 2:g} Hz"
    )
    require(np.all(np.diff(centres) >= 0), "freq", centres, "it must rise")
    bands = []
    for band, (low, high) in enumerate(pairwise(edges)):
        inside = np.flatnonzero((centres >= low) & (centres <= high))
        first = inside[0] - (band > 0) if len(inside) else 0
        last = inside[-1] + 1 if len(inside) else 0
        last = len(centres) if band == n_bands else last
        count = max(1, int(np.rint(quantile * (last - first))))
        last -= band < n_bands
        require(
            len(inside) and 0 <= first < last,
            "fmin",
            fmin,
            f"the band from {low:g} to {high:g} Hz has none of the {len(centres)} bins; "
            "raise n_fft or fmin",
        )
        bands.append((slice(first, last), min(count, last - first)))
    return bands

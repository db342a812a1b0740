"""Compute the fingerprint of a recording: spectral peaks and a coarse spectrogram.

Peaks survive re-encoding, gain and equalisation, and recur in other excerpts. On their logarithmic
frequency axis, a change of speed is a shift.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from scipy.ndimage import maximum_filter, uniform_filter

from kit.dsp.spectral.log_frequency import log_frequency_levels

SAMPLE_RATE = 8000
"""Hz. Lossy codecs keep frequencies below half of it at every bit rate."""
HOP = 200
"""Samples between frames: 40 frames a second."""
VERSION = 1
"""Raised when fingerprints change."""
BANDS_PER_OCTAVE = 36
LEVELS_PER_S = 10
LEVEL_BANDS = 32

_N_FFT = 1024
_FMIN_HZ = 300.0  # here a band is a third of the transform's resolution
_N_BANDS = 128  # up to 3.5 kHz
_FRAMES_PER_S = SAMPLE_RATE // HOP
# A peak is the maximum within a quarter of a tone and 0.2 s to either side.
_REACH_BANDS, _REACH_FRAMES = 4, 8
# Size of the mean that a peak's height is relative to: two thirds of an octave, 2 s.
_AROUND = (2 * _FRAMES_PER_S + 1, 25)
_PEAKS_PER_S = 20
# Lower peaks, relative to the loudest band or absolute, are noise of codecs and converters.
_RANGE_DB, _LEAST_DB = 60.0, -80.0
_STEP_DB = 0.5


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The fingerprint of a recording.

    Attributes:
        peaks: time in seconds and frequency in bands of 1/36 octave, one peak per row, by time.
        levels: spectrogram in steps of 0.5 dB, 10 frames per second; 0 is at most 60 dB below the
            loudest band of the recording.
        duration_s: length of the recording, seconds.

    Example:
        >>> y = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
        >>> one = kit.duplicates.fingerprint(y)
        >>> one.levels.shape  # tenths of a second, bands
        (55, 32)
    """

    peaks: Float32[np.ndarray, "peaks 2"]
    levels: UInt8[np.ndarray, "frames 32"]
    duration_s: float


def fingerprint(y: Float32[np.ndarray, " samples"]) -> Fingerprint:
    """Return the fingerprint of a recording.

    Args:
        y: mono samples at `SAMPLE_RATE`, full scale 1.0.

    Example:
        >>> from kit.duplicates.fingerprint import SAMPLE_RATE
        >>> y = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
        >>> kit.duplicates.fingerprint(y).duration_s
        5.0
    """
    if len(y) < _N_FFT:
        y = np.pad(y, (0, _N_FFT - len(y)))
    bands = np.asarray(
        log_frequency_levels(
            y,
            sr=SAMPLE_RATE,
            fmin=_FMIN_HZ,
            n_bins=_N_BANDS,
            bins_per_octave=BANDS_PER_OCTAVE,
            n_fft=_N_FFT,
            hop_length=HOP,
        )
    )
    floor = max(float(bands.max()) - _RANGE_DB, _LEAST_DB)
    return Fingerprint(_peaks(bands, floor), _coarse(bands, floor), len(y) / SAMPLE_RATE)


def _peaks(bands: Float32[np.ndarray, "frames bands"], floor: float) -> np.ndarray:
    """Return the most prominent peaks above a level, at most 20 per second."""
    size = (2 * _REACH_FRAMES + 1, 2 * _REACH_BANDS + 1)
    is_peak: Bool[np.ndarray, "frames bands"] = bands == maximum_filter(bands, size=size)
    is_peak &= bands > floor
    # A peak at the edge may be the flank of a peak beyond it.
    is_peak[[0, -1]] = False
    is_peak[:, [0, -1]] = False
    time, band = np.nonzero(is_peak)
    height = (bands - uniform_filter(bands, size=cast(Any, _AROUND)))[time, band]
    second = time // _FRAMES_PER_S
    order = np.lexsort((-height, second))
    rank = np.arange(len(order)) - np.searchsorted(second[order], second[order])
    kept = np.sort(order[rank < _PEAKS_PER_S])
    time, band = time[kept], band[kept]
    at_time = time + _vertex(bands, time - 1, time, time + 1, band, band, band)
    at_band = band + _vertex(bands, time, time, time, band - 1, band, band + 1)
    peaks = np.column_stack([at_time / _FRAMES_PER_S, at_band]).astype(np.float32)
    return peaks[np.argsort(peaks[:, 0], kind="stable")]


def _vertex(bands: np.ndarray, *at: np.ndarray) -> np.ndarray:
    """Return the vertex of the parabola through three neighbours, -0.5 to 0.5 steps."""
    low, middle, high = (bands[t, b] for t, b in zip(at[:3], at[3:], strict=True))
    bend = 2 * middle - low - high
    shift = (high - low) / (2 * np.where(bend > 0, bend, 1))
    return np.where(bend > 0, np.clip(shift, -0.5, 0.5), 0)


def _coarse(bands: Float32[np.ndarray, "frames bands"], floor: float) -> np.ndarray:
    """Return the mean level of four frames and four bands, in steps above the floor."""
    per = _FRAMES_PER_S // LEVELS_PER_S
    whole = len(bands) // per * per
    means = bands[:whole].reshape(-1, per, LEVEL_BANDS, _N_BANDS // LEVEL_BANDS).mean(axis=(1, 3))
    return np.clip((means - floor) / _STEP_DB, 0, 255).astype(np.uint8)

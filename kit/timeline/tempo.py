"""The tempo along a mix, from frames of its log-mel spectrogram as they come."""

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from kit.dsp import dance_tempo

WINDOW_S = 16.0
"""Seconds of music for one tempo: 32 beats at 120 beats a minute."""
HOP_S = 5.0
"""Seconds from one tempo to the next."""

_RANGE_DB = 80.0
_BLOCK = 128  # windows at once: the transforms of all of a long mix would fill memory
# A grid of tempi, and the multiples of the beat whose pulses count: beats, eighths, sixteenths.
_TEMPI = np.arange(90.0, 180.0, 0.25)
_PULSES = (1, 2, 4)
# Two decks are further apart than one deck's peak is wide, and none is much weaker.
_APART, _AS_STRONG = 0.02, 0.6
# Rhythms of one track: triplets, dotted notes.
_RELATED = (1, 2 / 3, 3 / 4, 4 / 5, 5 / 4, 4 / 3, 3 / 2, 2, 1 / 2)


@dataclass(frozen=True)
class Tempo:
    """The tempo around a time.

    Attributes:
        time_s: the middle of the window, seconds.
        bpm: beats a minute, in [90, 180).
        second_bpm: that of a second deck, where there is one at another tempo.
    """

    time_s: float
    bpm: float
    second_bpm: float | None = None


class Onsets:
    """Collects the onset strength of each frame: the mean increase in level over the bands."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._last: np.ndarray | None = None

    def add(self, levels: Float32[np.ndarray, "frames n_mels"]) -> None:
        """Take new frames, in dB."""
        if not len(levels):
            return
        levels = np.maximum(levels, levels.max() - _RANGE_DB)
        before = levels[:1] if self._last is None else self._last
        steps = np.diff(np.concatenate([before, levels]), axis=0)
        self._parts.append(np.maximum(steps, 0).mean(axis=1))
        self._last = levels[-1:]

    def strength(self) -> Float32[np.ndarray, " frames"]:
        """Return the onset strength of all frames so far, dB."""
        return np.concatenate([np.zeros(0, np.float32), *self._parts])


def tempi(onsets: Float32[np.ndarray, " frames"], frame_rate: float) -> tuple[Tempo, ...]:
    """Return the tempo every `HOP_S` seconds; none for less than `WINDOW_S` seconds.

    Args:
        onsets: onset strength of each frame.
        frame_rate: frames a second.
    """
    size, hop = round(WINDOW_S * frame_rate), round(HOP_S * frame_rate)
    if len(onsets) < size:
        return ()
    starts = np.arange(0, len(onsets) - size + 1, hop)
    found: list[Tempo] = []
    for block in np.pad(starts, (0, -len(starts) % _BLOCK), mode="edge").reshape(-1, _BLOCK):
        rows = onsets[block[:, None] + np.arange(size)]
        bpm = np.asarray(dance_tempo(onset_envelope=rows, sr=frame_rate, hop_length=1))
        seconds = _second(rows, bpm.astype(float), frame_rate)
        found += [
            Tempo(float((start + size / 2) / frame_rate), float(one), other)
            for start, one, other in zip(block, bpm, seconds, strict=True)
        ]
    return tuple(found[: len(starts)])


def _second(
    rows: Float32[np.ndarray, "windows frames"], bpm: Float64[np.ndarray, " windows"], rate: float
) -> list[float | None]:
    """Return the tempo of a second pulse in each window, if there is one."""
    score = pulse(rows, rate)
    found: list[float | None] = []
    for row, first in zip(score, bpm, strict=True):
        apart = np.abs(np.log(_TEMPI[:, None] / (first * np.array(_RELATED)))).min(axis=1) > _APART
        peaks = np.zeros(len(row), bool)
        peaks[1:-1] = (row[1:-1] >= row[:-2]) & (row[1:-1] >= row[2:])
        best = max(np.flatnonzero(apart & peaks), key=lambda at: row[at], default=None)
        own = row[np.abs(_TEMPI / first - 1) <= _APART].max(initial=0)
        strong = best is not None and row[best] > _AS_STRONG * own
        found.append(float(_TEMPI[best]) if strong and best is not None else None)
    return found


def pulse(
    rows: Float32[np.ndarray, "windows frames"], rate: float
) -> Float[np.ndarray, "windows tempi"]:
    """Return how much onsets recur at each tempo: the amplitude of its beats and their fractions.

    Args:
        rows: onset strength.
        rate: frames a second.
    """
    size = rows.shape[1]
    centred = (rows - rows.mean(axis=1, keepdims=True)) * np.hanning(size)
    real, imaginary = (centred @ wave for wave in _waves(size, rate))
    return np.hypot(real, imaginary).reshape(-1, len(_PULSES), len(_TEMPI)).sum(axis=1)


@functools.lru_cache(maxsize=1)
def _waves(
    size: int, rate: float
) -> tuple[Float64[np.ndarray, "frames hz"], Float64[np.ndarray, "frames hz"]]:
    """Return cosines and sines of all pulses of all tempi.

    The transform at these few frequencies alone takes a tenth of the time of an FFT that is padded
    until its grid is fine enough.
    """
    hz = np.outer(_PULSES, _TEMPI / 60).ravel()
    angle = 2 * np.pi / rate * np.outer(np.arange(size), hz)
    return np.cos(angle), np.sin(angle)

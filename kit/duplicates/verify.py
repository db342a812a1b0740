"""Verify by offsets and spectrograms that two recordings are copies.

Many tracks share loops and samples. Such tracks have equal hashes at many offsets, each for part of
the time. Copies have one offset for the whole overlap, and the same spectrogram there.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from kit.duplicates.candidates import Candidate
from kit.duplicates.fingerprint import BANDS_PER_OCTAVE, LEVELS_PER_S, Fingerprint
from kit.duplicates.hashes import Triples

LEAST_COVERED = 0.6
"""Minimum share of the seconds with sound in both that have an equal hash on the line."""
LEAST_CORRELATION = 0.75
"""Minimum correlation of both recordings' levels, minus the mean of each band."""
LEAST_OVERLAP_S = 8.0
"""Minimum seconds with sound in both; for recordings with less sound, `LEAST_SHARE` of it."""
LEAST_SHARE = 0.8

_NEAR_S = 0.6  # distance from the line of a candidate
_ON_LINE_S = 0.06  # distance from the fitted line: 1.5 steps of a hash
_LEAST_HASHES = 10
_BANDS_PER_LEVEL = 4


@dataclass(frozen=True)
class Match:
    """The match of two recordings.

    Attributes:
        offset_s: time in the second recording at which the first one begins; negative if the
            second one begins later.
        speed: speed of the second one relative to the first.
        overlap_s: seconds of the first recording with sound in both.
        covered: share of these seconds with an equal hash on the line.
        correlation: correlation of the levels of both.

    Example:
        >>> y = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
        >>> one = kit.duplicates.fingerprint(y)
        >>> found = kit.duplicates.find(2, lambda numbers: [one for _ in numbers])
        >>> round(found[0][2].speed, 3), found[0][2].holds
        (1.0, True)
    """

    offset_s: float
    speed: float
    overlap_s: float
    covered: float
    correlation: float

    @property
    def holds(self) -> bool:
        """Return whether the two recordings are copies."""
        return self.covered >= LEAST_COVERED and self.correlation >= LEAST_CORRELATION

    def seen_from_the_second(self) -> "Match":
        """Return the match of the swapped pair."""
        return replace(self, offset_s=-self.offset_s * self.speed, speed=1 / self.speed)


def verify(
    candidate: Candidate,
    one: tuple[Fingerprint, Triples],
    other: tuple[Fingerprint, Triples],
) -> Match | None:
    """Return the match of the two recordings of a candidate; None if they do not overlap.

    Args:
        candidate: the pair, and the lines to verify.
        one: fingerprint and triples of its first recording.
        other: fingerprint and triples of its second recording.
    """
    matches = [
        match
        for speed, offset in candidate.lines
        if (line := _fitted(one[1], other[1], speed, offset)) is not None
        and (match := _match(one, other, line)) is not None
    ]
    return max(matches, key=lambda m: (m.holds, m.covered * m.correlation), default=None)


@dataclass(frozen=True, eq=False)
class _Line:
    slope: float  # seconds of the second recording per second of the first
    offset: float
    at: Float64[np.ndarray, " hashes"]  # times of equal hashes on the line, in the first recording


def _fitted(one: Triples, other: Triples, speed: float, offset: float) -> _Line | None:
    """Fit a line to the equal hashes near an initial line; None if there are too few."""
    asked, known = one.hashes(speed), other.hashes(1.0)
    order = np.argsort(known)
    low = np.searchsorted(known[order], asked, "left")
    found = np.searchsorted(known[order], asked, "right") - low
    query = np.repeat(np.arange(len(asked)), found)
    entry = order[np.arange(len(query)) - np.repeat(np.cumsum(found) - found - low, found)]
    x, y = one.time[query].astype(float), other.time[entry].astype(float)
    slope = 1 / speed
    near = np.abs(y - slope * x - offset) <= _NEAR_S
    x, y = x[near], y[near]
    if len(x) < _LEAST_HASHES:
        return None
    # Use the most frequent offset, because loops cause others close to it.
    residual = np.sort(y - slope * x)
    width = np.searchsorted(residual, residual + 4 * _ON_LINE_S, "right") - np.arange(len(residual))
    begin = int(np.argmax(width))
    offset = float(np.median(residual[begin : begin + width[begin]]))
    for reach in (3 * _ON_LINE_S, 2 * _ON_LINE_S, _ON_LINE_S):
        on = np.abs(y - slope * x - offset) <= reach
        if on.sum() < _LEAST_HASHES:
            return None
        if np.ptp(x[on]) > 5:
            slope, offset = np.polyfit(x[on], y[on], 1).tolist()
        else:
            offset = float(np.median(y[on] - slope * x[on]))
    on = np.abs(y - slope * x - offset) <= _ON_LINE_S
    return _Line(slope, offset, np.unique(x[on]))


def _match(
    one: tuple[Fingerprint, Triples], other: tuple[Fingerprint, Triples], line: _Line
) -> Match | None:
    if abs(1 / line.slope - 1) > 0.05:
        return None
    seconds = np.arange(int(np.ceil(one[0].duration_s)))
    both = _with_sound(one[1], seconds, 1.0, 0.0)
    both &= _with_sound(other[1], seconds, line.slope, line.offset)
    overlap = int(both.sum())
    sounding = min(_sounding(one), _sounding(other))
    if overlap < min(LEAST_OVERLAP_S, LEAST_SHARE * sounding):
        return None
    on_line = np.zeros(len(seconds), bool)
    on_line[line.at.astype(int)] = True
    correlation = _correlation(one[0], other[0], line)
    if correlation is None:
        return None
    return Match(
        offset_s=line.offset,
        speed=1 / line.slope,
        overlap_s=float(overlap),
        covered=float((on_line & both).sum() / overlap),
        correlation=correlation,
    )


def _with_sound(
    triples: Triples, seconds: np.ndarray, slope: float, offset: float
) -> Bool[np.ndarray, " seconds"]:
    """Return which seconds of the first recording contain a hashed peak."""
    time = np.sort(triples.time)
    begin, end = (slope * (seconds + edge) + offset for edge in (0, 1))
    return np.searchsorted(time, end) > np.searchsorted(time, begin)


def _sounding(recording: tuple[Fingerprint, Triples]) -> int:
    return len(np.unique(recording[1].time.astype(int)))


def _correlation(one: Fingerprint, other: Fingerprint, line: _Line) -> float | None:
    """Return the correlation of the levels, minus the mean of each band, where both have sound."""
    time = np.arange(len(one.levels))
    # A frame is the mean of the 0.1 s that begin at its index.
    centre = (time + 0.5) / LEVELS_PER_S
    place = (line.slope * centre + line.offset) * LEVELS_PER_S - 0.5
    inside = (place >= 0) & (place <= len(other.levels) - 1)
    if inside.sum() < 2:
        return None
    a = one.levels[time[inside]].astype(np.float32)
    b = _between(other.levels.astype(np.float32), place[inside], axis=0)
    shift = -BANDS_PER_OCTAVE * np.log2(line.slope) / _BANDS_PER_LEVEL
    bands = np.arange(a.shape[1]) + shift
    kept = (bands >= 0) & (bands <= a.shape[1] - 1)
    b = _between(b, bands[kept], axis=1)
    a = a[:, kept]
    sounds = (a > 0).any(axis=1) & (b > 0).any(axis=1)
    if sounds.sum() < 2:
        return None
    a, b = (x[sounds] - x[sounds].mean(axis=0) for x in (a, b))
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else None


def _between(
    values: Float32[np.ndarray, "rows columns"], place: np.ndarray, axis: int
) -> np.ndarray:
    """Interpolate linearly between neighbours along an axis."""
    low = np.clip(place.astype(int), 0, values.shape[axis] - 2)
    weight = (place - low).astype(np.float32)
    weight = weight[:, None] if axis == 0 else weight
    below, above = values.take(low, axis), values.take(low + 1, axis)
    return below * (1 - weight) + above * weight

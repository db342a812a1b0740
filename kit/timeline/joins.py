"""Joins of a mix: where one track gives way to another, by their sound.

The loud and quiet levels of the minute before a second are compared with those of the minute after.
Tracks differ in their levels for minutes. A break or a drop inside a track differs for seconds,
which hardly moves the median of a minute. A cross-fade of equal power is then fitted to the levels
around each join.

Source: the novelty of Foote 2000, "Automatic audio segmentation using a measure of audio novelty",
    with medians in place of similarities.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32

SECONDS = 1.0
"""Length of a row of levels, rounded to whole frames."""
LEAST = 0.8
"""Least novelty of a join: that of breaks inside a track is below it."""

_SIDE = 58  # rows that are compared on each side, and rows left out between them
_GAP = 2
_EDGE = 45  # rows at the ends of a file without a join
_APART = 45  # rows in which there is one join at most
_BANDS = 32
_RANGE_DB = 80.0
_LOUD, _QUIET = 0.9, 0.2
# Rows beside a join that tell how a track sounds alone; rows that a cross-fade is fitted to; most
# rows between the highest novelty and its middle.
_FAR, _NEAR, _SPAN, _REACH = 80, 30, 50, 24
_LENGTHS = range(8, 62, 6)
_LEAST_ROWS = 8
_MOST = 3.0  # deviations
_NOISE_DB = 1.0


@dataclass(frozen=True)
class Fade:
    """A cross-fade, in rows or seconds.

    Attributes:
        middle: where both tracks are equally loud.
        length: from the first sound of the second track to the last of the first one; 0 if it is
            not known.
    """

    middle: float
    length: float


class Levels:
    """Collects the loud and the quiet level of each second in 32 bands.

    Attributes:
        row_s: seconds of a row: as many whole frames as there are in about one.
    """

    def __init__(self, frame_rate: float) -> None:
        """Take the number of frames in a second."""
        self._frames = max(1, round(SECONDS * frame_rate))
        self.row_s = self._frames / frame_rate
        self._rest: np.ndarray | None = None
        self._rows: list[np.ndarray] = []

    def add(self, levels: Float32[np.ndarray, "frames n_mels"]) -> None:
        """Take new frames of the log-mel spectrogram, dB."""
        if self._rest is not None:
            levels = np.concatenate([self._rest, levels])
        whole = len(levels) // self._frames * self._frames
        self._rest = levels[whole:]
        if not whole:
            return
        levels = np.maximum(levels[:whole], levels.max() - _RANGE_DB)
        width = levels.shape[1]
        bounds = [part[0] for part in np.array_split(np.arange(width), min(_BANDS, width))]
        counts = np.diff([*bounds, width]).astype(np.float32)
        bands = np.add.reduceat(levels, bounds, axis=1) / counts
        seconds = bands.reshape(-1, self._frames, len(bounds))
        seconds.sort(axis=1)
        at = [int(share * self._frames) for share in (_LOUD, _QUIET)]
        self._rows += list(np.concatenate([seconds[:, i] for i in at], axis=1))

    def rows(self) -> Float32[np.ndarray, "seconds levels"]:
        """Return a row for each second so far."""
        if not self._rows:
            return np.zeros((0, 2 * _BANDS), np.float32)
        return np.array(self._rows, np.float32)


def joins(rows: Float32[np.ndarray, "seconds levels"]) -> list[Fade]:
    """Return the cross-fades of a mix.

    Args:
        rows: of `Levels`.
    """
    found = novelty(rows)
    peaks = [
        at
        for at in range(len(found))
        if found[at] > LEAST and found[at] == found[max(0, at - _APART) : at + _APART + 1].max()
    ]
    bounds = [0, *((a + b) // 2 for a, b in pairwise(peaks)), len(rows)]
    sides = zip(peaks, pairwise(bounds), strict=False)  # without a peak there is one pair
    return [_fitted(rows, at, low, high) for at, (low, high) in sides]


def novelty(rows: Float32[np.ndarray, "seconds levels"]) -> Float[np.ndarray, " seconds"]:
    """Return how much the minute after each row differs from the minute before, in deviations."""
    out = np.zeros(len(rows))
    # Nearer to an end, too little of a track is known.
    inside = np.arange(_EDGE, len(rows) - _EDGE)
    if not len(inside):
        return out
    reach = _GAP + _SIDE // 2
    padded = np.pad(rows, ((_SIDE // 2, _SIDE - _SIDE // 2 - 1), (0, 0)), mode="edge")
    quartiles = [_SIDE // 4, _SIDE // 2, 3 * _SIDE // 4]
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SIDE, axis=0)
    blocks = np.array_split(windows, max(1, len(rows) // 500))
    low, middle, high = np.concatenate(
        # Sorting uses vector instructions, and takes an eighth of the time of a partition.
        [np.sort(block, axis=-1)[..., quartiles] for block in blocks]
    ).transpose(2, 0, 1)
    spread = ((high - low) / 1.35) ** 2  # the variance of a normal distribution
    ahead, behind = np.minimum(inside + reach, len(rows) - 1), np.maximum(inside - reach, 0)
    scale = np.sqrt(0.5 * (spread[ahead] + spread[behind])) + _NOISE_DB
    difference = middle[ahead] - middle[behind]
    out[inside] = np.sqrt(np.mean((difference / scale) ** 2, axis=1))
    return out


def _fitted(rows: np.ndarray, at: int, low: int, high: int) -> Fade:
    """Return the cross-fade whose levels are nearest to those around a row.

    Args:
        rows: of `Levels`.
        at: the join, roughly.
        low: row at which the first track may begin.
        high: row behind the second one.
    """
    before = rows[max(low, at - _FAR) : max(low, at - _NEAR)]
    after = rows[min(high, at + _NEAR) : min(high, at + _FAR)]
    if min(len(before), len(after)) < _LEAST_ROWS:
        return Fade(float(at), 0.0)
    one, other = np.median(before, axis=0), np.median(after, axis=0)
    spread = [np.median(np.abs(x - y), axis=0) for x, y in ((before, one), (after, other))]
    scale = 1.48 * np.mean(spread, axis=0) + _NOISE_DB
    begin, end = max(low, at - _SPAN), min(high, at + _SPAN)
    times = np.arange(begin, end) + 0.5
    powers = [10 ** (x.astype(np.float64) / 10) for x in (one, other)]

    def error(middle: int, length: int) -> float:
        """Return the mean deviation from the levels of a cross-fade of equal power."""
        angle = np.clip((times - middle) / length + 0.5, 0, 1)[:, None] * np.pi / 2
        levels = 10 * np.log10(np.cos(angle) ** 2 * powers[0] + np.sin(angle) ** 2 * powers[1])
        # A break or a drop deviates from any model.
        return float(np.minimum(np.abs(rows[begin:end] - levels) / scale, _MOST).mean())

    middles = range(at - _REACH, at + _REACH + 1, 3)
    coarse = min(((m, d) for m in middles for d in _LENGTHS), key=lambda fade: error(*fade))
    near = ((coarse[0] + m, coarse[1] + d) for m in (-2, -1, 0, 1, 2) for d in (-3, 0, 3))
    middle, length = min(near, key=lambda fade: error(*fade))
    return Fade(float(middle), float(length))

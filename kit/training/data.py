"""Features of a run's tracks, in memory or read on demand, and batches of their segments.

Values keep their stored dtype until they are on the device.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float32, Int, Int32

from kit.config import SegmentConfig
from kit.training.losses import Batch
from kit.training.segments import grid

CHUNK = 64  # tracks in one read
AHEAD = 4  # batches that the thread prepares


@dataclass(frozen=True)
class Held:
    """Rows of features in an array, in memory or mapped into it."""

    array: np.ndarray

    @property
    def row_bytes(self) -> int:
        """Size of a row, bytes."""
        return self.array[:1].nbytes

    def single(self) -> np.ndarray:
        """Return all rows in a dtype that devices support."""
        return _single(self.array)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return whole rows, (rows, row_frames, width)."""
        return _single(self.array[numbers])

    def cut(self, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
        """Return one segment of each row, (rows, frames, width)."""
        return _single(_cut(self.array, numbers, starts, frames))


@dataclass(frozen=True)
class Read:
    """Rows that a function reads, such as those of a feature store."""

    read: Callable[[np.ndarray], np.ndarray]
    row_bytes: int

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Read whole rows."""
        return self.read(numbers)

    def cut(self, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
        """Read each row once, and return one segment for each of `numbers`."""
        each, place = np.unique(numbers, return_inverse=True)
        return _cut(self.read(each), place, starts, frames)


Source = Held | Read
"""Stored rows of features by number."""


class Picks(NamedTuple):
    """Positions of segments in the features, and their labels.

    Attributes:
        rows: number of each segment's row in its source.
        starts: first frame of each segment.
        y: labels as in `kit.training.losses.Batch`, one for each segment or whole track: classes,
            (batches, labels) int32, or with several labels (batches, labels, n_labels) float32.
        weight: 1 for a segment, 0 for padding.
    """

    rows: Int32[Array | np.ndarray, "*batches segments"]
    starts: Int32[Array | np.ndarray, "*batches segments"]
    y: Any
    weight: Float32[Array | np.ndarray, "*batches segments"]

    def batch(self, source: Source, number: int, frames: int) -> Batch:
        """Return one batch with its values."""
        rows, starts, y, weight = (each[number] for each in self)
        return Batch(source.cut(np.asarray(rows), np.asarray(starts), frames), y, weight)


def hold(source: Source, count: int) -> Held:
    """Read the first `count` rows of a source into an array that JAX can use without a copy."""
    if isinstance(source, Held):
        return source
    array = None
    for start in range(0, count, CHUNK):
        chunk = source.rows(np.arange(start, min(start + CHUNK, count)))
        if array is None:
            array = aligned((count, *chunk.shape[1:]), chunk.dtype)
        array[start : start + CHUNK] = chunk
    if array is None:
        raise ValueError("the source has no rows")
    return Held(array)


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an empty array that starts at a multiple of 64 bytes."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(shape)


def _cut(array: np.ndarray, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    return array[numbers[:, None], starts[:, None] + np.arange(frames)]


def _filled(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers below `count` in rows of `size`, and a mask that is False for padding.

    Padding repeats the numbers of the last row.
    """
    rows = -(-count // size)
    last = np.resize(np.arange((rows - 1) * size, count), size)
    chosen = np.append(np.arange((rows - 1) * size), last).reshape(rows, size)
    return chosen, np.arange(rows * size).reshape(rows, size) < count


def _single(values: np.ndarray) -> np.ndarray:
    """Return 64-bit and 32-bit numbers as float32, and others unchanged."""
    return values if values.dtype.itemsize <= 2 else values.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Part:
    """Tracks of one part of the split.

    Attributes:
        source: rows of features.
        rows: number of each track's row in `source`.
        frames: valid frames of each track.
        y: class of each track, or a row of ones and zeros.
        n_frames: frames of one excerpt.
    """

    source: Source
    rows: Int32[np.ndarray, " tracks"]
    frames: Int32[np.ndarray, " tracks"]
    y: Int32[np.ndarray, " tracks"] | Float32[np.ndarray, "tracks labels"]
    n_frames: int

    def counts(self, labels: int, units: Int[np.ndarray, " tracks"] | None = None) -> np.ndarray:
        """Return the number of tracks with each label, or the sum of their `units`."""
        if self.y.ndim == 1:
            return np.bincount(self.y, units, labels)
        if units is None:
            return self.y.sum(axis=0).astype(int)
        return (self.y.astype(np.float64) * units[:, None]).sum(axis=0)

    def picks(self, tracks: np.ndarray, starts: np.ndarray, size: int) -> Picks:
        """Return batches of `size` segments; repeat segments with weight 0 to fill the last one."""
        chosen, real = _filled(len(tracks), size)
        return Picks(
            self.rows[tracks[chosen]],
            starts[chosen].astype(np.int32),
            self.y[tracks[chosen]],
            real.astype(np.float32),
        )

    def picks_of_tracks(
        self, tracks: np.ndarray, starts: Sequence[np.ndarray], size: int, places: int
    ) -> Picks:
        """Return batches of whole tracks: `size` tracks of `places` adjacent segments each.

        Missing segments and tracks repeat others with weight 0, since zeros would change the
        statistics of batch normalisation.

        Args:
            tracks: numbers of the tracks, in order.
            starts: first frames of each track's segments, at most `places`.
            size: tracks in a batch.
            places: segments of a track.
        """
        chosen, real = _filled(len(tracks), size)
        first = np.stack([np.resize(each, places) for each in starts])
        there = np.arange(places) < np.array([len(each) for each in starts])[:, None]
        return Picks(
            np.repeat(self.rows[tracks[chosen]], places, axis=1),
            first[chosen].reshape(len(chosen), -1).astype(np.int32),
            self.y[tracks[chosen]],
            (there[chosen] & real[..., None]).reshape(len(chosen), -1).astype(np.float32),
        )

    def evaluation_segments(self, segments: SegmentConfig) -> tuple[np.ndarray, np.ndarray]:
        """Return `(tracks, starts)` of all evaluation segments, in order."""
        each = [grid(int(frames), self.n_frames, segments) for frames in self.frames]
        tracks = np.repeat(np.arange(len(each)), [len(starts) for starts in each])
        return tracks, np.concatenate(each)


def ahead(make: Callable[[int], Batch], count: int) -> Iterator[Batch]:
    """Yield `make(0)`, `make(1)` …; a thread prepares the next few."""
    pool = ThreadPoolExecutor(1, "batches")
    waiting: deque[Future[Batch]] = deque()
    try:
        for number in range(count):
            waiting.append(pool.submit(make, number))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

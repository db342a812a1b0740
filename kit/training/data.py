"""Features of the tracks of a run, in memory or read as they are needed, and batches of them.

Values stay as they are stored until they are on the device.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float32, Int, Int32

from kit.config import SegmentConfig, TrainConfig
from kit.training.losses import Batch
from kit.training.segments import draw, grid

CHUNK = 64  # tracks read at once
AHEAD = 4  # batches made before they are asked for


@dataclass(frozen=True)
class Held:
    """Rows of features in an array, in memory or mapped into it."""

    array: np.ndarray

    @property
    def row_bytes(self) -> int:
        """Size of a row, bytes."""
        return self.array[:1].nbytes

    def single(self) -> np.ndarray:
        """Return all rows in a type that devices have."""
        return _single(self.array)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return whole rows, (rows, row_frames, width)."""
        return _single(self.array[numbers])

    def cut(self, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
        """Return one segment of each of these rows, (rows, frames, width)."""
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
        """Read these rows, each once, and return one segment of each."""
        each, place = np.unique(numbers, return_inverse=True)
        return _cut(self.read(each), place, starts, frames)


Source = Held | Read
"""Rows of features by number, as they are stored."""


class Picks(NamedTuple):
    """Segments by the place of their values, `(segments,)` each, or `(batches, segments)`.

    `y` has an axis more if a track has several labels.
    """

    rows: Int32[Array | np.ndarray, "*batches segments"]
    """The number of each segment's row in its source."""
    starts: Int32[Array | np.ndarray, "*batches segments"]
    """The first frame of each segment."""
    y: Any
    """As in `kit.training.losses.Batch`, of each batch: classes, (batches, segments) int32, or a 1
    or 0 for each label, (batches, segments, n_labels) float32. Where a batch is made of whole
    tracks, there is one for each track."""
    weight: Float32[Array | np.ndarray, "*batches segments"]
    """1 for a segment, 0 for padding."""

    def batch(self, source: Source, number: int, frames: int) -> Batch:
        """Return one of the batches."""
        rows, starts, y, weight = (each[number] for each in self)
        return Batch(source.cut(np.asarray(rows), np.asarray(starts), frames), y, weight)


def hold(source: Source, count: int) -> Held:
    """Return the first `count` rows of a source in an array that JAX can use without a copy."""
    if isinstance(source, Held):
        return source
    array = None
    for start in range(0, count, CHUNK):
        chunk = source.rows(np.arange(start, min(start + CHUNK, count)))
        if array is None:
            array = aligned((count, *chunk.shape[1:]), chunk.dtype)
        array[start : start + CHUNK] = chunk
    if array is None:
        raise ValueError("there are no rows to hold")
    return Held(array)


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array that starts at a multiple of 64 bytes."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(shape)


def _cut(array: np.ndarray, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    return array[numbers[:, None], starts[:, None] + np.arange(frames)]


def _filled(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers below `count` in rows of `size`, and which of them are no repetition."""
    rows = -(-count // size)
    last = np.resize(np.arange((rows - 1) * size, count), size)
    chosen = np.append(np.arange((rows - 1) * size), last).reshape(rows, size)
    return chosen, np.arange(rows * size).reshape(rows, size) < count


def _single(values: np.ndarray) -> np.ndarray:
    """Return values in a type that devices have: 64-bit and 32-bit numbers as float32."""
    return values if values.dtype.itemsize <= 2 else values.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Part:
    """The tracks of one part of the split.

    Attributes:
        source: where their rows are.
        rows: the number of each track's row in `source`.
        frames: valid frames of each track.
        y: class of each track, or 1 for each of its labels and 0 for the others.
        n_frames: frames of one excerpt.
    """

    source: Source
    rows: Int32[np.ndarray, " tracks"]
    frames: Int32[np.ndarray, " tracks"]
    y: Int32[np.ndarray, " tracks"] | Float32[np.ndarray, "tracks labels"]
    n_frames: int

    def counts(self, labels: int, units: Int[np.ndarray, " tracks"] | None = None) -> np.ndarray:
        """Return the number of tracks of each of `labels` labels, or the sum of their `units`."""
        if self.y.ndim == 1:
            return np.bincount(self.y, units, labels)
        if units is None:
            return self.y.sum(axis=0).astype(int)
        return (self.y.astype(np.float64) * units[:, None]).sum(axis=0)

    def picks(self, tracks: np.ndarray, starts: np.ndarray, size: int) -> Picks:
        """Return where the segments of all batches of `size` lie, (batches, size) each.

        The segments that the last batch lacks repeat its others, with weight 0.
        """
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
        """Return where the segments of all batches of `size` whole tracks lie.

        The segments of a track stand side by side in `places` places of its own, so that a batch
        has `size * places` segments and `size` classes. The segments that a track lacks, and the
        tracks that the last batch lacks, repeat the others with weight 0: batch normalisation
        would see silence otherwise.

        Args:
            tracks: their numbers, in order.
            starts: the first frames of each one's segments, at most `places`.
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

    def training_segments(
        self, segments: SegmentConfig, config: TrainConfig, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return `(tracks, starts)` of an epoch's segments, in the order of training."""
        return draw(
            self.frames,
            self.n_frames,
            segments,
            seed=config.seed,
            epoch=epoch,
            classes=self.y if config.balance == "draw" else None,
        )

    def evaluation_segments(self, segments: SegmentConfig) -> tuple[np.ndarray, np.ndarray]:
        """Return `(tracks, starts)` of all segments of evaluation, in order."""
        each = [grid(int(frames), self.n_frames, segments) for frames in self.frames]
        tracks = np.repeat(np.arange(len(each)), [len(starts) for starts in each])
        return tracks, np.concatenate(each)


def ahead(make: Callable[[int], Batch], count: int) -> Iterator[Batch]:
    """Yield `make(0)`, `make(1)` …; a thread makes the next few while one is in use."""
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

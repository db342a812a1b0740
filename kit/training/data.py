"""Features of the tracks of a run, in memory or read as they are needed, and batches of them.

Values stay as they are stored until they are on the device.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int32

from kit.config import SegmentConfig
from kit.training.segments import grid
from kit.training.step import Batch, Scaling

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

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return whole rows, (rows, row_frames, n_mels)."""
        return _single(self.array[numbers])

    def cut(self, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
        """Return one segment of each of these rows, (rows, frames, n_mels)."""
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


def _cut(array: np.ndarray, numbers: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    return array[numbers[:, None], starts[:, None] + np.arange(frames)]


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
        y: class of each track.
        n_frames: frames of one excerpt.
    """

    source: Source
    rows: Int32[np.ndarray, " tracks"]
    frames: Int32[np.ndarray, " tracks"]
    y: Int32[np.ndarray, " tracks"]
    n_frames: int

    @property
    def nbytes(self) -> int:
        """Size of all rows, bytes."""
        return len(self.rows) * self.source.row_bytes

    def held(self) -> "Part":
        """Return the same part with its rows in memory."""
        if isinstance(self.source, Held):
            return self
        array = None
        for start in range(0, len(self.rows), CHUNK):
            chunk = self.source.rows(self.rows[start : start + CHUNK])
            if array is None:
                array = np.empty((len(self.rows), *chunk.shape[1:]), chunk.dtype)
            array[start : start + CHUNK] = chunk
        if array is None:
            return self
        numbers = np.arange(len(self.rows), dtype=np.int32)
        return dataclasses.replace(self, source=Held(array), rows=numbers)

    def batch(self, tracks: np.ndarray, starts: np.ndarray, frames: int, size: int) -> Batch:
        """Return a batch of `size` segments; missing ones repeat others, with weight 0."""
        weight = (np.arange(size) < len(tracks)).astype(np.float32)
        tracks, starts = np.resize(tracks, size), np.resize(starts, size)
        return Batch(self.source.cut(self.rows[tracks], starts, frames), self.y[tracks], weight)

    def evaluation_segments(self, segments: SegmentConfig) -> tuple[np.ndarray, np.ndarray]:
        """Return `(tracks, starts)` of all segments of evaluation, in order."""
        each = [grid(int(frames), self.n_frames, segments) for frames in self.frames]
        tracks = np.repeat(np.arange(len(each)), [len(starts) for starts in each])
        return tracks, np.concatenate(each)


def scaling_of(
    part: Part,
    gain: float = 1.0,
    offset: float = 0.0,
    kind: Literal["collection", "band", "clip"] = "collection",
) -> Scaling:
    """Return the scaling of a part: mean and deviation over its valid frames, in float64.

    Args:
        part: the training part.
        gain: turns stored values into dB, with `offset`.
        offset: dB of a stored 0.
        kind: two numbers ("collection"), two for each mel band ("band"), or no mean and each
            band's deviation around the means of its tracks ("clip").
    """
    axis = None if kind == "collection" else 0
    count, mean, squares, within = 0, 0.0, 0.0, 0.0
    for start in range(0, len(part.rows), CHUNK):
        chunk = part.source.rows(part.rows[start : start + CHUNK])
        for row, frames in zip(chunk, part.frames[start : start + CHUNK], strict=True):
            values = row[:frames].astype(np.float64)
            here = values.mean(axis)
            size = values.size if axis is None else len(values)
            away, both = here - mean, count + size
            inside = np.square(values - here).sum(axis)
            squares += inside
            within += inside
            # Chan, Golub and LeVeque (1983): sums of squares of two sets, merged.
            squares += away * away * count * size / both
            mean += away * size / both
            count = both
    about = within if kind == "clip" else squares
    mean, deviation = gain * mean + offset, gain * (about / count) ** 0.5
    # What does not vary, such as silence, has no deviation but for rounding: nothing to scale.
    deviation = np.where(deviation > 1e-9 * np.abs(mean), deviation, 1.0)
    return make_scaling(gain, offset, None if kind == "clip" else mean, deviation)


def make_scaling(
    gain: float = 1.0, offset: float = 0.0, mean: Any = 0.0, deviation: Any = 1.0
) -> Scaling:
    """Return a scaling of float32 numbers, one or one for each mel band; `mean` may be None."""
    first = (np.asarray(gain, np.float32), np.asarray(offset, np.float32))
    centre = None if mean is None else np.asarray(mean, np.float32)
    return Scaling(*first, centre, np.asarray(deviation, np.float32))


def scaling_in_json(scaling: Scaling) -> dict[str, Any]:
    """Return what a checkpoint keeps of a scaling: the arguments of `make_scaling` in dB."""
    mean, deviation = (None if v is None else np.asarray(v).tolist() for v in scaling[2:])
    return {"mean": mean, "deviation": deviation}


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

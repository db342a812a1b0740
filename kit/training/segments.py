"""Tracks cut into segments, and segments dealt into batches. A batch is a function of the seed
and the step, so that a resumed run sees what an uninterrupted one would."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from kit.training.step import Batch, Scaling


@dataclass(frozen=True)
class Segments:
    """The segments of some tracks.

    Attributes:
        x: `(tracks, segments, frames, n_mels)`, float32.
        y: the class of each track.
    """

    x: Float32[np.ndarray, "tracks segments frames n_mels"]
    y: Int32[np.ndarray, " tracks"]

    def __len__(self) -> int:
        return self.x.shape[0] * self.x.shape[1]


def cut(
    features: Float32[np.ndarray, "tracks n_frames n_mels"], frames: int
) -> Float32[np.ndarray, "tracks segments {frames} n_mels"]:
    """Consecutive segments of so many frames; what is left over at the end is dropped."""
    count = features.shape[1] // frames
    kept = features[:, : count * frames]
    return kept.reshape(features.shape[0], count, frames, features.shape[2])


def scaling_of(data: Segments) -> Scaling:
    """The mean and the deviation of all values, in float64: two numbers for a whole collection."""
    mean = float(np.mean([track.mean(dtype=np.float64) for track in data.x]))
    square = np.mean([np.square(track - mean, dtype=np.float64).mean() for track in data.x])
    # A collection of silence has no deviation, and nothing to scale.
    return Scaling(mean, float(np.sqrt(square)) or 1.0)


def steps_per_epoch(segments: int, batch_size: int) -> int:
    """Steps in one pass. The remainder of a pass is left out; another pass leaves out others."""
    return max(1, segments // batch_size)


def epoch_order(segments: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: a permutation of all segments, of the seed and the epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(segments)


def train_batch(data: Segments, order: np.ndarray, *, batch_size: int, position: int) -> Batch:
    """The batch at a position of an epoch's order."""
    return _batch(data, order[position * batch_size : (position + 1) * batch_size], batch_size)


def eval_batches(data: Segments, *, batch_size: int) -> Iterator[Batch]:
    """All segments once, in order; the last batch is padded with segments of weight 0."""
    for start in range(0, len(data), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(data)))
        yield _batch(data, chosen, batch_size)


def _batch(data: Segments, chosen: np.ndarray, batch_size: int) -> Batch:
    weight = np.zeros(batch_size, np.float32)
    weight[: len(chosen)] = 1
    # Padding repeats real segments: zeros would be a spectrum that no track has.
    track, segment = np.divmod(np.resize(chosen, batch_size), data.x.shape[1])
    return Batch(data.x[track, segment], data.y[track], weight)

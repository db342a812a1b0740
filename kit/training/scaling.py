"""Scale stored values to the network's input: decibels in standard units."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from kit.config import Experiment, FrontendConfig
from kit.dsp.frontend import log_mel
from kit.training.collection import Collection
from kit.training.data import CHUNK, Part
from kit.training.optimiser import Number

# Compiled steps take it inside `Scaling`, where it must be static.
jax.tree_util.register_static(FrontendConfig)


class Scaling(NamedTuple):
    """Scaling of stored values to the network's input, `(dB - mean) / deviation`.

    Attributes:
        gain: factor from stored values to dB, or to samples.
        offset: dB, or sample, of a stored 0.
        mean: dB, one number or one for each mel band; None for each segment's mean of each band.
        deviation: dB, one number or one for each mel band.
        frontend: front end from samples to dB; None if dB are stored.
    """

    gain: Number = np.float32(1.0)
    offset: Number = np.float32(0.0)
    mean: Number | None = np.float32(0.0)
    deviation: Number = np.float32(1.0)
    frontend: FrontendConfig | None = None

    def apply(self, x: Num[Array | np.ndarray, "*batch frames width"]) -> Array:
        """Return the network's input, float32, `(…, frames, n_mels)`."""
        return self.standardise(self.decibels(self.widened(x)))

    def widened(self, x: Num[Array | np.ndarray, "*batch frames width"]) -> Array:
        """Return stored values in dB, or samples with full scale 1.0, float32."""
        return jnp.asarray(x).astype(jnp.float32) * self.gain + self.offset

    def decibels(self, x: Float[Array, "*batch frames width"]) -> Array:
        """Return dB of the result of `widened`, `(…, frames, n_mels)`.

        Samples are padded at both ends of the segment; `ref` "max", `top_db` and PCEN's mean refer
        to the segment alone.
        """
        if self.frontend is None:
            return x
        frames = x.shape[-2]
        y = x.reshape(*x.shape[:-2], -1)
        # The frame after the segment belongs to its neighbour.
        return log_mel(y, None, self.frontend)[..., :frames, :]

    def standardise(self, decibels: Float[Array, "*batch frames n_mels"]) -> Array:
        """Return the network's input for values in dB."""
        mean = decibels.mean(axis=-2, keepdims=True) if self.mean is None else self.mean
        return (decibels - mean) / self.deviation


def make_scaling(
    gain: float = 1.0,
    offset: float = 0.0,
    mean: Any = 0.0,
    deviation: Any = 1.0,
    frontend: FrontendConfig | None = None,
) -> Scaling:
    """Return a scaling with its numbers converted to float32."""
    first = (np.asarray(gain, np.float32), np.asarray(offset, np.float32))
    centre = None if mean is None else np.asarray(mean, np.float32)
    return Scaling(*first, centre, np.asarray(deviation, np.float32), frontend)


def scaling_in_json(scaling: Scaling) -> dict[str, Any]:
    """Return `mean` and `deviation` for a checkpoint."""
    numbers = {"mean": scaling.mean, "deviation": scaling.deviation}
    return {name: None if v is None else np.asarray(v).tolist() for name, v in numbers.items()}


def measured(experiment: Experiment, collection: Collection, training: Part) -> Scaling:
    """Return the scaling of an experiment, measured on the training part unless it is "none"."""
    kind, frontend = experiment.train.standardise, experiment.features.frontend_in_step
    gain, offset = collection.gain, collection.offset
    if kind == "none":
        return make_scaling(gain, offset, frontend=frontend)
    return scaling_of(training, gain, offset, kind, frontend, experiment.segments.frames)


def scaling_of(
    part: Part,
    gain: float = 1.0,
    offset: float = 0.0,
    kind: Literal["collection", "band", "clip"] = "collection",
    frontend: FrontendConfig | None = None,
    segment: int = 1,
) -> Scaling:
    """Return the scaling of a part, measured over its valid frames in float64.

    Args:
        kind: one mean and deviation ("collection"), one for each mel band ("band"), or no mean and
            each band's deviation around the means of its tracks ("clip").
        segment: frames of a segment, to which the front end is applied; frames of an excerpt that
            fill no segment do not count.
        The others: as in `Scaling`.
    """
    axis = None if kind == "collection" else 0
    count, mean, squares, within = 0, 0.0, 0.0, 0.0
    plain = make_scaling(gain, offset, frontend=frontend)
    rows = _stored(part) if frontend is None else _computed(part, plain, segment)
    for row in rows:
        values = row.astype(np.float64)
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
    by, plus = (gain, offset) if frontend is None else (1.0, 0.0)
    mean, deviation = by * mean + plus, by * (about / count) ** 0.5
    # The deviation of a constant, such as silence, is a rounding error.
    deviation = np.where(deviation > 1e-9 * np.abs(mean), deviation, 1.0)
    return make_scaling(gain, offset, None if kind == "clip" else mean, deviation, frontend)


def _stored(part: Part) -> Iterator[np.ndarray]:
    """Yield the valid stored frames of each track."""
    for start in range(0, len(part.rows), CHUNK):
        chunk = part.source.rows(part.rows[start : start + CHUNK])
        for row, frames in zip(chunk, part.frames[start : start + CHUNK], strict=True):
            yield row[:frames]


def _computed(part: Part, plain: Scaling, segment: int) -> Iterator[np.ndarray]:
    """Yield dB of the adjacent segments of each track, (frames, n_mels)."""
    whole, rest = np.divmod(part.frames, part.n_frames)
    # One shape for all tracks: each number of segments would compile another program.
    most = int(max(1, *(whole * (part.n_frames // segment) + rest // segment)))
    for row in _stored(part):
        # Pad a track that is shorter than a segment with silence.
        row = np.pad(row, ((0, max(0, segment - len(row))), (0, 0)))
        excerpts = np.split(row, range(part.n_frames, len(row), part.n_frames))
        cut = [each[: len(each) // segment * segment] for each in excerpts]
        segments = np.concatenate(cut).reshape(-1, segment, row.shape[1])
        made = _decibels(np.resize(segments, (most, *segments.shape[1:])), plain)
        yield np.asarray(made)[: len(segments)].reshape(-1, made.shape[-1])


@jax.jit
def _decibels(x: Array | np.ndarray, scaling: Scaling) -> Array:
    return scaling.decibels(scaling.widened(x))

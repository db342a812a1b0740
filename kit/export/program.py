"""A trained run as one pure function from waveforms to probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import max_dim
from jaxtyping import Array, Float

from kit.config import Experiment, seconds_of
from kit.dsp.frontend import log_mel
from kit.errors import UsageError
from kit.features import codec
from kit.training import Restored
from kit.training.differentiable import Differentiable


class Rounding(NamedTuple):
    """Rounding of a feature store: `type` of a cast, or `step`s around `offset`, or none."""

    dtype: str | None = None
    step: float | None = None
    offset: float = 0.0

    def __call__(self, x: Array) -> Array:
        """Return values as a store returns them."""
        if self.step is None:
            return x if self.dtype is None else x.astype(self.dtype).astype(x.dtype)
        most = float(jnp.iinfo(self.dtype).max)
        whole = jnp.clip(jnp.round((x - self.offset) / self.step), -most, most)
        return whole * self.step + self.offset


@dataclass(frozen=True, eq=False)
class Program:
    """Networks and the configuration that they share.

    Attributes:
        experiment: configuration of the training.
        labels: names of the outputs.
        networks: one, or one for each fold and member, whose probabilities are averaged.
    """

    experiment: Experiment
    labels: tuple[str, ...]
    networks: Sequence[Differentiable]

    @classmethod
    def of(cls, restored: Restored) -> "Program":
        """Return the program of a run.

        Raises:
            UsageError: the run is of the recipe for small sets, was trained on arrays, weighs
                its segments by attention, or has PCEN in its front end.
        """
        if not restored.networks:
            raise UsageError(
                "a run of the recipe for small sets has several networks and classifiers, which "
                "`kit export` does not write; train without --recipe to export"
            )
        if restored.from_arrays:
            raise UsageError(
                "the run was trained on arrays of an unknown front end, so it takes no waveform; "
                "train on a catalogue to export"
            )
        if restored.experiment.train.loss == "attention":
            raise UsageError(
                "the run has --train.loss attention, which `kit export` does not write; train with "
                "--train.loss mean to export"
            )
        if restored.experiment.features.frontend.compression == "pcen":
            raise UsageError(
                "the run has --features.frontend.compression pcen, which `kit export` does not "
                "write; train with db or log1p to export"
            )
        return cls(restored.experiment, restored.labels, restored.networks)

    @property
    def most_samples(self) -> int:
        """Samples of a whole excerpt."""
        return self.experiment.features.clip_samples

    @property
    def least_samples(self) -> int:
        """Samples of the shortest waveform that `kit predict` would take."""
        features, segments = self.experiment.features, self.experiment.segments
        frontend = features.frontend
        frames = max(features.least_frames, 1 if segments.pad else segments.frames)
        least = round(seconds_of(frames, frontend) * frontend.sample_rate)
        if frontend.center and frontend.pad_mode == "reflect":
            least = max(least, frontend.n_fft - frontend.n_fft // 2 + 1)
        return least

    @property
    def rounding(self) -> Rounding:
        """Rounding of the stored features, which `kit predict` applies too."""
        features = self.experiment.features
        if by := codec.scale(features):
            return Rounding(features.stored_dtype, by["scale_factor"], by["add_offset"])
        return Rounding(None if features.stored_dtype == "float32" else features.stored_dtype)

    def probabilities(self, y: Float[Array, "batch samples"]) -> Float[Array, "batch n_classes"]:
        """Return the probability of each label, as `kit predict` for one excerpt.

        Args:
            y: mono, at the front end's rate, full scale 1.0, from `least_samples` to
                `most_samples`.
        """
        config = self.experiment
        features, length = config.features, config.segments.frames
        if features.keep == "log_mel":
            rows = log_mel(y, None, features.frontend)[:, : features.n_frames]
        else:
            hop = features.frontend.hop_length
            frames = 1 + y.shape[1] // hop
            padded = jnp.pad(y, ((0, 0), (0, frames * hop - y.shape[1])))
            rows = padded.reshape(y.shape[0], frames, hop)[:, : features.n_frames]
        if config.segments.pad:
            missing = max_dim(length - rows.shape[1], 0)
            silence = codec.padding(features)
            rows = jnp.pad(rows, ((0, 0), (0, missing), (0, 0)), constant_values=silence)
        last = rows.shape[1] - length
        # The grid of `kit.training.segments.grid`: the last segment ends with the last frame.
        count = 1 + (last + config.segments.hop_frames - 1) // config.segments.hop_frames
        starts = jnp.minimum(jnp.arange(count) * config.segments.hop_frames, last)
        found = rows[:, starts[:, None] + jnp.arange(length)]
        segments = found.reshape(-1, length, features.width)
        if features.keep == "waveform":
            flat = self.rounding(segments.reshape(-1, length * features.width))
            segments = log_mel(flat, None, features.frontend)[:, :length]
        scores = self.scores(segments).reshape(y.shape[0], count, -1).mean(axis=1)
        return jax.nn.sigmoid(scores) if config.train.several else jax.nn.softmax(scores, axis=-1)

    def scores(self, x: Float[Array, "segments frames n_mels"]) -> Float[Array, "segments classes"]:
        """Return what a track's segments average: log-probabilities, or logits of several labels.

        A constant is added to log-probabilities; the softmax of their mean removes it.

        Args:
            x: output of the front end, before the rounding of a store.
        """
        if self.experiment.features.keep == "log_mel":
            x = self.rounding(x)
        logits = [
            one.network.apply(one.params, one.buffers, one.scaling.standardise(x))[0]
            for one in self.networks
        ]
        if not self.experiment.train.several:
            return _log_sum_exp([jax.nn.log_softmax(z) for z in logits])
        if len(logits) == 1:
            return logits[0]
        yes = _log_sum_exp([-_softplus(-z) for z in logits])
        return yes - _log_sum_exp([-_softplus(z) for z in logits])

    def about(self) -> dict[str, Any]:
        """Return what a user of the file needs, for `labels.json`."""
        return {
            "labels": list(self.labels),
            "several_labels": self.experiment.train.several,
            "sample_rate": self.experiment.features.frontend.sample_rate,
            "least_samples": self.least_samples,
            "most_samples": self.most_samples,
        }


def _log_sum_exp(each: Sequence[Array]) -> Array:
    # `jax.nn.logsumexp` traces checks for infinity that a finite network does not need.
    top = each[0]
    for one in each[1:]:
        top = jnp.maximum(top, one)
    return top + jnp.log(sum(jnp.exp(one - top) for one in each)) if len(each) > 1 else top


def _softplus(z: Array) -> Array:
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))

"""A trained run as one pure function from waveforms to probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import max_dim
from jaxtyping import Array, Float

from kit.config import Experiment, seconds_of, to_dict
from kit.dsp.frontend import log_mel
from kit.errors import UsageError
from kit.features import codec
from kit.training import Restored
from kit.training.differentiable import Differentiable


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
                segments by attention, or has PCEN in its front end.
        """
        config = restored.experiment
        refused = {
            "is of the recipe for small sets, of several networks and classifiers; train without "
            "--recipe": not restored.networks,
            "was trained on arrays of an unknown front end; train on a catalogue": (
                restored.from_arrays
            ),
            "weighs its segments; train without --train.loss attention": (
                config.train.loss == "attention"
            ),
            "has PCEN in its front end; train with --features.frontend.compression db": (
                config.features.frontend.compression == "pcen"
            ),
        }
        for reason in (reason for reason, holds in refused.items() if holds):
            raise UsageError(f"the run cannot be exported: it {reason} to export")
        return cls(config, restored.labels, restored.networks)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest waveform that `kit predict` would take."""
        features, frontend = self.experiment.features, self.experiment.features.frontend
        least = round(seconds_of(features.least_frames, frontend) * frontend.sample_rate)
        # A reflection takes as many samples as it adds.
        return max(least, frontend.n_fft // 2 + 2 if frontend.pad_mode == "reflect" else 1)

    @property
    def about(self) -> dict[str, Any]:
        """What a user of the function needs to know, for `labels.json`."""
        features = self.experiment.features
        return {
            "labels": list(self.labels),
            "several_labels": self.experiment.train.several,
            "sample_rate": features.frontend.sample_rate,
            "least_samples": self.least_samples,
            "most_samples": features.clip_samples,
            "excerpts": {
                "position": features.position,
                "count": features.excerpts,
                "clip_s": features.clip_s,
                "offset_s": features.offset_s,
            },
            "frontend": to_dict(features.frontend),
        }

    def probabilities(self, y: Float[Array, "batch samples"]) -> Float[Array, "batch n_classes"]:
        """Return the probability of each label, as `kit predict` for one excerpt.

        Args:
            y: mono, at the front end's rate, full scale 1.0, from `least_samples` to
                `FeatureConfig.clip_samples`.
        """
        config, features = self.experiment, self.experiment.features
        length, hop = config.segments.frames, config.segments.hop_frames
        if features.keep == "log_mel":
            rows = log_mel(y, None, features.frontend)
        else:
            width = features.width
            y = jnp.pad(y, ((0, 0), (0, width - y.shape[1] % width)))
            rows = y.reshape(y.shape[0], y.shape[1] // width, width)
        rows = rows[:, : features.n_frames]
        if config.segments.pad:
            missing = ((0, 0), (0, max_dim(length - rows.shape[1], 0)), (0, 0))
            rows = jnp.pad(rows, missing, constant_values=codec.padding(features))
        # The grid of `kit.training.segments`: the last segment ends with the last frame.
        last = rows.shape[1] - length
        count = 1 + (last + hop - 1) // hop
        starts = jnp.minimum(jnp.arange(count) * hop, last)
        segments = rows[:, starts[:, None] + jnp.arange(length)]
        x = self.decoded(segments.reshape(-1, length, features.width))
        if features.keep == "waveform":
            x = log_mel(x.reshape(-1, length * features.width), None, features.frontend)[:, :length]
        scores = self.scores(x).reshape(y.shape[0], count, -1).mean(axis=1)
        return jax.nn.sigmoid(scores) if config.train.several else jax.nn.softmax(scores, axis=-1)

    def decoded(self, x: Float[Array, "segments *shape"]) -> Float[Array, "segments *shape"]:
        """Round features as a store does, in the values that `codec.decode` returns."""
        features = self.experiment.features
        if not (by := codec.scale(features)):
            return x.astype(features.stored_dtype).astype(x.dtype)
        most = float(jnp.iinfo(features.stored_dtype).max)
        steps = jnp.round((x - by["add_offset"]) / by["scale_factor"])
        return jnp.clip(steps, -most, most) * by["scale_factor"] + by["add_offset"]

    def scores(self, x: Float[Array, "segments frames n_mels"]) -> Float[Array, "segments classes"]:
        """Return what a track averages: log-probabilities plus a constant, or several logits.

        Args:
            x: dB, or the unit of the front end's compression.
        Raises:
            UsageError: a network needs to know the size of the batch as it is traced.
        """
        try:
            logits = jnp.stack([one.logits(x) for one in self.networks])
        except (TypeError, jax.errors.InconclusiveDimensionOperation) as error:
            raise UsageError(
                f"the network does not take a batch of any size ({str(error).splitlines()[0]}); "
                "write x.shape[0] in place of len(x), and compare no size with that of the batch"
            ) from error
        if not self.experiment.train.several:
            return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0)
        yes, no = (jax.nn.logsumexp(jax.nn.log_sigmoid(z), axis=0) for z in (logits, -logits))
        return yes - no

"""A checkpoint of the recipe for small sets, and its answers for stored tracks."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Float32, Integer

from kit.config import Experiment, FeatureConfig
from kit.features.embed import embed_clips
from kit.features.heard import at_rate, heard
from kit.features.samples import clips_of
from kit.shallow import parts as shallow
from kit.shallow.parts import Part
from kit.shallow.vectors import FRONTEND, vectors_of
from kit.training.scores import SegmentScores
from kit.weights.trunk import Trunk, musicnn_trunk

_LEAST_P = 1e-12  # of a label, so that its logarithm is finite


_OF_MEMBER = ("experiment", "labels", "n_mels", "from_arrays", "scaling", "train_counts")
"""The metadata that a network keeps inside a checkpoint of the recipe."""


@dataclass(frozen=True, eq=False)
class Member:
    """A trained network, as arrays and ready for use.

    Attributes:
        arrays: the parameters and buffers of evaluation, as "params/…" and "buffers/…".
        meta: what `_OF_MEMBER` names, JSON's types.
        experiment: the configuration that it was trained with.
        scores: of the segments of rows, as `kit.training.restore.Restored.segment_scores`.
    """

    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]
    experiment: Experiment
    scores: Callable[[np.ndarray, np.ndarray], SegmentScores]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one configuration that were trained on the same tracks.

    Attributes:
        name: of the configuration.
        members: the networks; the answer is the mean of theirs.
        weight: its share in a mean of ensembles and of `Part`.
    """

    name: str
    members: tuple[Member, ...]
    weight: float = 1.0

    @property
    def features(self) -> FeatureConfig:
        """The features of the rows that it takes."""
        return self.members[0].experiment.features

    @property
    def frames(self) -> int:
        """Frames of a segment, which no row may have fewer of."""
        return self.members[0].experiment.segments.frames

    def probabilities(
        self,
        x: Float32[np.ndarray, "tracks row_frames n_mels"],
        frames: Integer[np.ndarray, " tracks"],
    ) -> Float[np.ndarray, "tracks classes"]:
        """Return the probability of each label.

        Args:
            x: rows of log-mel frames, as `kit.features.heard` gives them.
            frames: valid frames of each.
        """
        each = [np.exp(m.scores(x, frames).of_tracks()) for m in self.members]
        return np.mean(each, axis=0)


@dataclass(frozen=True, eq=False)
class Small:
    """Classifiers of a track's vectors, the networks whose layers are among these, and others.

    Attributes:
        parts: the classifiers; the answer is the weighted mean of theirs and the ensembles'.
        trunks: the networks, by the name that `Part.vector` has.
        features: of the rows that it answers for.
        ensembles: networks that were trained with the classifiers.
    """

    parts: tuple[Part, ...]
    trunks: Mapping[str, Trunk]
    features: FeatureConfig
    ensembles: tuple[Ensemble, ...] = ()

    def segment_scores(
        self,
        x: Float32[np.ndarray, "tracks row_frames hop_length"],
        frames: Integer[np.ndarray, " tracks"],
    ) -> SegmentScores:
        """Return the answer for each track: one segment, which is all that is heard of it.

        Args:
            x: rows of samples.
            frames: valid frames of each.
        """
        total: Any = 0.0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            if self.parts:
                total = np.array(list(pool.map(self._answer, x, frames.tolist())))
        taken: dict[tuple[FeatureConfig, int], tuple[np.ndarray, np.ndarray]] = {}
        for one in self.ensembles if len(x) else ():
            key = (one.features, one.frames)
            if key not in taken:
                taken[key] = heard_rows(x, frames, self.features, *key)
            total = total + one.weight * one.probabilities(*taken[key])
        return SegmentScores([np.log(np.maximum(p, _LEAST_P))[None] for p in total])

    def _answer(self, row: np.ndarray, frames: int) -> np.ndarray:
        clips = clips_of(row[:frames], self.features)
        layers: dict[str, np.ndarray] = {}
        for name, trunk in self.trunks.items():
            rate = trunk.features.frontend.sample_rate
            resampled = at_rate(clips, FRONTEND.sample_rate, rate)
            found = embed_clips([(y, len(y)) for y in resampled], trunk)
            layers |= {f"{name}/{layer}": values for layer, values in found.items()}
        return shallow.mean(self.parts, vectors_of(clips), layers)


def heard_rows(
    x: Float32[np.ndarray, "tracks row_frames hop_length"],
    frames: Integer[np.ndarray, " tracks"],
    stored: FeatureConfig,
    wanted: FeatureConfig,
    least: int,
) -> tuple[Float32[np.ndarray, "tracks own_frames n_mels"], Integer[np.ndarray, " tracks"]]:
    """Return the rows of features that a network takes of rows of samples, and their valid frames.

    Args:
        x: rows of samples, of one track at least.
        frames: valid frames of each.
        stored: their configuration.
        wanted: that of the features.
        least: frames up to which a shorter track is repeated.
    """
    made = [heard(row[:n], stored, wanted, least) for row, n in zip(x, frames, strict=True)]
    return np.stack([row for row, _ in made]), np.array([n for _, n in made], np.int32)


def mean_of(each: Sequence[Small]) -> Small:
    """Return the mean of what was learned in several folds."""
    parts = [
        replace(part, weight=part.weight / len(each)) for small in each for part in small.parts
    ]
    ensembles = [
        replace(one, weight=one.weight / len(each)) for small in each for one in small.ensembles
    ]
    trunks = {name: trunk for small in each for name, trunk in small.trunks.items()}
    return replace(each[0], parts=tuple(parts), trunks=trunks, ensembles=tuple(ensembles))


def to_save(
    parts: Sequence[Part],
    networks: Mapping[str, Mapping[str, np.ndarray]],
    ensembles: Sequence[Ensemble] = (),
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a checkpoint, and what its metadata says of them.

    Args:
        parts: the classifiers.
        networks: the weights of each network whose layers they take, by its name.
        ensembles: the networks that were trained beside them.
    """
    about, arrays = shallow.saved(parts)
    for name, weights in networks.items():
        arrays |= {f"{name}/{path}": array for path, array in weights.items()}
    trained = []
    for one in ensembles:
        kept = [{name: member.meta[name] for name in _OF_MEMBER} for member in one.members]
        for number, member in enumerate(one.members):
            prefix = _prefix(len(trained), number)
            arrays |= {f"{prefix}{path}": array for path, array in member.arrays.items()}
        trained.append({"name": one.name, "weight": one.weight, "members": kept})
    shapes = {path: [str(x.dtype), list(x.shape)] for path, x in arrays.items()}
    found = {"parts": about, "networks": list(networks), "trained": trained, "arrays": shapes}
    return arrays, {"small": found}


def _prefix(ensemble: int, member: int) -> str:
    return f"trained/{ensemble}/{member}/"


def template_of(meta: Mapping[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of the arrays beside the metadata of `to_save`."""
    return {
        path: jax.ShapeDtypeStruct(tuple(shape), dtype)
        for path, (dtype, shape) in meta["small"]["arrays"].items()
    }


def restored(
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
    features: FeatureConfig,
    member_of: Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Member],
) -> Small:
    """Return what a checkpoint holds.

    Args:
        arrays: those of the checkpoint.
        meta: its metadata.
        features: of the run.
        member_of: from the arrays and the metadata of a trained network to the network.
    """

    def below(prefix: str) -> dict[str, np.ndarray]:
        return {
            path.removeprefix(prefix): np.asarray(array)
            for path, array in arrays.items()
            if path.startswith(prefix)
        }

    about = meta["small"]
    trunks = {
        name: musicnn_trunk(heard=features, weights=below(f"{name}/")) for name in about["networks"]
    }
    # Earlier versions of kit trained none.
    ensembles = [
        Ensemble(
            one["name"],
            tuple(
                member_of(below(_prefix(at, number)), own)
                for number, own in enumerate(one["members"])
            ),
            one["weight"],
        )
        for at, one in enumerate(about.get("trained", ()))
    ]
    return Small(shallow.restored(about["parts"], arrays), trunks, features, tuple(ensembles))

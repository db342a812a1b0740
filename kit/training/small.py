"""Checkpoints of the recipe for small sets, and their predictions."""

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
from kit.features.log_mel import at_rate, log_mel_row
from kit.features.samples import clips_of
from kit.shallow import ensemble as shallow
from kit.shallow.ensemble import Part
from kit.shallow.vectors import FRONTEND, vectors_of
from kit.training.scores import SegmentScores
from kit.weights.trunk import Trunk, musicnn_trunk

_LEAST_P = 1e-12  # floor of probabilities, so that their logarithms are finite


_OF_MEMBER = ("experiment", "labels", "n_mels", "from_arrays", "scaling", "train_counts")
"""Metadata of a network inside a checkpoint of the recipe."""


@dataclass(frozen=True, eq=False)
class Member:
    """A trained network.

    Attributes:
        arrays: parameters and buffers for evaluation, as "params/…" and "buffers/…".
        meta: the metadata `_OF_MEMBER`, in JSON's types.
        experiment: configuration of its training.
        scores: its `kit.training.restore.Restored.segment_scores`.
    """

    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]
    experiment: Experiment
    scores: Callable[[np.ndarray, np.ndarray], SegmentScores]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one configuration that were trained on the same tracks.

    Attributes:
        name: name of the configuration.
        members: networks, whose probabilities are averaged.
        weight: weight in the mean over ensembles and `Part`.
    """

    name: str
    members: tuple[Member, ...]
    weight: float = 1.0

    @property
    def features(self) -> FeatureConfig:
        """Features of its input."""
        return self.members[0].experiment.features

    @property
    def frames(self) -> int:
        """Frames of a segment, and so the shortest row."""
        return self.members[0].experiment.segments.frames

    def probabilities(
        self,
        x: Float32[np.ndarray, "tracks row_frames n_mels"],
        frames: Integer[np.ndarray, " tracks"],
    ) -> Float[np.ndarray, "tracks classes"]:
        """Return the probability of each label, given rows of `log_mel_rows`."""
        each = [np.exp(m.scores(x, frames).of_tracks()) for m in self.members]
        return np.mean(each, axis=0)


@dataclass(frozen=True, eq=False)
class Small:
    """Weighted mean of classifiers of a track's vectors and of trained networks.

    Attributes:
        parts: classifiers.
        trunks: frozen networks whose layers are vectors, by their name in `Part.vector`.
        features: features of the input.
        ensembles: trained networks.
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
        """Return the prediction for each track as one segment, given rows of samples."""
        total: Any = 0.0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            if self.parts:
                total = np.array(list(pool.map(self._answer, x, frames.tolist())))
        taken: dict[tuple[FeatureConfig, int], tuple[np.ndarray, np.ndarray]] = {}
        for one in self.ensembles if len(x) else ():
            key = (one.features, one.frames)
            if key not in taken:
                taken[key] = log_mel_rows(x, frames, self.features, *key)
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


def log_mel_rows(
    x: Float32[np.ndarray, "tracks row_frames hop_length"],
    frames: Integer[np.ndarray, " tracks"],
    stored: FeatureConfig,
    wanted: FeatureConfig,
    least: int,
) -> tuple[Float32[np.ndarray, "tracks own_frames n_mels"], Integer[np.ndarray, " tracks"]]:
    """Compute `wanted` features from rows of `stored` samples; return them and their valid frames.

    Tracks of fewer than `least` frames are repeated.
    """
    made = [log_mel_row(row[:n], stored, wanted, least) for row, n in zip(x, frames, strict=True)]
    return np.stack([row for row, _ in made]), np.array([n for _, n in made], np.int32)


def mean_of(each: Sequence[Small]) -> Small:
    """Return the mean of the models of several folds."""
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
    """Return the arrays and the metadata of a checkpoint; `networks` are frozen ones by name."""
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
    """Return the shapes and dtypes of a checkpoint's arrays from the metadata of `to_save`."""
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
    """Return the model of a checkpoint; `member_of` restores a trained network inside it."""
    about = meta["small"]
    trunks = {
        name: musicnn_trunk(heard=features, weights=shallow.below(arrays, f"{name}/"))
        for name in about["networks"]
    }
    # Earlier versions of kit trained no networks here.
    ensembles = []
    for at, one in enumerate(about.get("trained", ())):
        members = [
            member_of(shallow.below(arrays, _prefix(at, number)), own)
            for number, own in enumerate(one["members"])
        ]
        ensembles.append(Ensemble(one["name"], tuple(members), one["weight"]))
    return Small(shallow.restored(about["parts"], arrays), trunks, features, tuple(ensembles))

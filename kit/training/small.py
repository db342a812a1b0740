"""A checkpoint of the recipe for small sets, and its answers for stored tracks."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import soxr
from jaxtyping import Float32, Integer

from kit.config import FeatureConfig
from kit.features.embed import embed_clips
from kit.features.samples import clips_of
from kit.shallow import parts as shallow
from kit.shallow.parts import Part
from kit.shallow.vectors import FRONTEND, vectors_of
from kit.training.scores import SegmentScores
from kit.weights.trunk import Trunk, musicnn_trunk

_LEAST_P = 1e-12  # of a label, so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class Small:
    """Classifiers of a track's vectors, and the networks whose layers are among these.

    Attributes:
        parts: the classifiers; the answer is the weighted mean of theirs.
        trunks: the networks, by the name that `Part.vector` has.
        features: of the rows that it answers for.
    """

    parts: tuple[Part, ...]
    trunks: Mapping[str, Trunk]
    features: FeatureConfig

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
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = pool.map(self._answer, x, frames.tolist())
            return SegmentScores([np.log(np.maximum(p, _LEAST_P))[None] for p in answers])

    def _answer(self, row: np.ndarray, frames: int) -> np.ndarray:
        clips = clips_of(row[:frames], self.features)
        layers: dict[str, np.ndarray] = {}
        for name, trunk in self.trunks.items():
            rate = trunk.features.frontend.sample_rate
            at_rate = [soxr.resample(y, FRONTEND.sample_rate, rate, quality="HQ") for y in clips]
            found = embed_clips([(y, len(y)) for y in at_rate], trunk)
            layers |= {f"{name}/{layer}": values for layer, values in found.items()}
        return shallow.mean(self.parts, vectors_of(clips), layers)


def mean_of(each: Sequence[Small]) -> Small:
    """Return the mean of what was learned in several folds."""
    parts = [
        replace(part, weight=part.weight / len(each)) for small in each for part in small.parts
    ]
    trunks = {name: trunk for small in each for name, trunk in small.trunks.items()}
    return replace(each[0], parts=tuple(parts), trunks=trunks)


def to_save(
    parts: Sequence[Part], networks: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a checkpoint, and what its metadata says of them.

    Args:
        parts: the classifiers.
        networks: the weights of each network whose layers they take, by its name.
    """
    about, arrays = shallow.saved(parts)
    for name, weights in networks.items():
        arrays |= {f"{name}/{path}": array for path, array in weights.items()}
    shapes = {path: [str(x.dtype), list(x.shape)] for path, x in arrays.items()}
    return arrays, {"small": {"parts": about, "networks": list(networks), "arrays": shapes}}


def template_of(meta: Mapping[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of the arrays beside the metadata of `to_save`."""
    return {
        path: jax.ShapeDtypeStruct(tuple(shape), dtype)
        for path, (dtype, shape) in meta["small"]["arrays"].items()
    }


def restored(
    arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], features: FeatureConfig
) -> Small:
    """Return what a checkpoint holds.

    Args:
        arrays: those of the checkpoint.
        meta: its metadata.
        features: of the run.
    """
    about = meta["small"]
    trunks = {}
    for name in about["networks"]:
        weights = {
            path.removeprefix(f"{name}/"): np.asarray(array)
            for path, array in arrays.items()
            if path.startswith(f"{name}/")
        }
        trunks[name] = musicnn_trunk(heard=features, weights=weights)
    return Small(shallow.restored(about["parts"], arrays), trunks, features)

"""The recipe for small sets as an experiment: 30 to 150 tracks a label."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from kit.config import Experiment, FrontendConfig, SegmentConfig
from kit.errors import ConfigError
from kit.shallow.parts import DICTIONARY
from kit.shallow.vectors import KINDS

Pretrained = Literal["MSD_musicnn", "MTT_musicnn"]
WITHOUT = (
    "without musicnn's weights; `kit weights musicnn` fetches them (they bring ESC-10 from 0.90 to "
    "0.92)"
)
FOLDS = 5
"""Folds where the experiment names none."""


@dataclass(frozen=True)
class SmallSetConfig:
    """In place of a network's options: what nested cross-validation chooses from."""

    vectors: tuple[str, ...] = (*KINDS, DICTIONARY)
    """The numbers that classifiers take: tempo, loudness and spectrum (simple), mfcc, rich
    statistics (rich), codes by a dictionary of patches (dictionary)."""
    weights: Pretrained | None = "MSD_musicnn"
    """The network whose frozen layers are heard too; None for classifiers of statistics alone."""

    def __post_init__(self) -> None:
        known = (*KINDS, DICTIONARY)
        if not self.vectors or not set(self.vectors) <= set(known):
            raise ConfigError(
                f"SmallSetConfig.vectors is {self.vectors!r}; name some of {', '.join(known)}"
            )

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Raise ConfigError: there is no network to build."""
        raise ConfigError(
            "SmallSetConfig names classifiers, not a network; train it with kit.fit or with "
            "`kit train --recipe small`"
        )


def small_set(experiment: Experiment, weights: Pretrained | None = "MSD_musicnn") -> Experiment:
    """Return an experiment by the recipe for small sets.

    Excerpts, split and seed stay. The samples of whole excerpts are stored, since all vectors of a
    track are computed from them. There are five folds unless the split names others, and no
    validation part: the choice is made by cross-validation inside each training part.

    Args:
        experiment: a network and the length of its training do not count.
        weights: as for `SmallSetConfig`, unless the experiment has one already.
    Raises:
        ConfigError: another front end than the default, since the vectors have one of their own;
            or tracks of several labels.
    """
    features, divided, model = experiment.features, experiment.split, experiment.model
    if features.frontend != FrontendConfig():
        raise ConfigError(
            "the recipe for small sets has front ends of its own; leave out --features.frontend"
        )
    if experiment.train.several:
        raise ConfigError(
            "the recipe for small sets takes one label a track; leave out --train.labels several"
        )
    kept = dataclasses.replace(
        features, keep="waveform", dtype="float32", n_frames=features.clip_frames
    )
    folds = None if divided.fold_column else divided.folds or FOLDS
    return dataclasses.replace(
        experiment,
        features=kept,
        split=dataclasses.replace(divided, folds=folds, validation_fraction=0.0),
        # One answer a track: segments play no part.
        segments=SegmentConfig(frames=min(kept.least_frames, SegmentConfig().frames)),
        model=model if isinstance(model, SmallSetConfig) else SmallSetConfig(weights=weights),
        train=dataclasses.replace(type(experiment.train)(), epochs=1, seed=experiment.train.seed),
    )

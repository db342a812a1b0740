"""The recipe for small sets as an experiment: 30 to 150 tracks a label."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kit.config import (
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import ConfigError
from kit.shallow.parts import DICTIONARY
from kit.shallow.vectors import KINDS

Pretrained = Literal["MSD_musicnn", "MTT_musicnn"]
WITHOUT = (
    "without musicnn's weights; `kit weights musicnn` fetches them (they bring ESC-10 from 0.91 to "
    "0.93)"
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


def small_set(
    catalogue: Path | str,
    *,
    name: str = "small_set",
    features: FeatureConfig = FeatureConfig(),
    split: SplitConfig = SplitConfig(),
    seed: int = 0,
    model: SmallSetConfig = SmallSetConfig(),
) -> Experiment:
    """Return the experiment of the recipe for small sets, for `kit.fit` and `kit.run`.

    The samples of whole excerpts are stored, since all vectors of a track are computed from them.
    There are five folds unless the split names others, and no validation part: the choice is made
    by cross-validation inside each training part.

    Args:
        catalogue: the folder that `kit scan` made.
        name: names the folder under `runs`.
        features: position, number, length and offset of the excerpts; the shortest track.
        split: what the folds keep apart, and their number or their column.
        seed: of forests, dictionaries and inner folds.
        model: what is chosen from.
    Raises:
        ConfigError: another front end than the default; the vectors have one of their own.
    """
    if features.frontend != FrontendConfig():
        raise ConfigError(
            "the recipe for small sets has front ends of its own; leave out --features.frontend"
        )
    kept = replace(features, keep="waveform", dtype="float32", n_frames=features.clip_frames)
    folds = None if split.fold_column else split.folds or FOLDS
    return Experiment(
        name,
        str(catalogue),
        kept,
        replace(split, folds=folds, validation_fraction=0.0),
        # One answer a track: segments play no part.
        SegmentConfig(frames=min(kept.least_frames, SegmentConfig().frames)),
        model,
        TrainConfig(epochs=1, seed=seed),
    )


def require_recipe(experiment: Experiment) -> None:
    """Raise ConfigError unless an experiment is one that `small_set` gives."""
    model = experiment.model
    if not isinstance(model, SmallSetConfig) or experiment != small_set(
        experiment.catalogue,
        name=experiment.name,
        features=experiment.features,
        split=experiment.split,
        seed=experiment.train.seed,
        model=model,
    ):
        raise ConfigError(
            "the experiment is not one by the recipe for small sets; take kit.small_set(catalogue),"
            " or `kit train --recipe small`"
        )

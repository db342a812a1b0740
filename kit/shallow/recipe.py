"""The recipe for small sets as an experiment: 30 to 150 tracks a label."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kit.config import (
    LATER,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    MusicnnConfig,
    SegmentConfig,
    ShortChunkConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import ConfigError
from kit.shallow.networks import MUSICNN, NETWORKS, SHORT_CHUNK, NetworkName, experiments_of
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
    networks: tuple[NetworkName, ...] = field(default=(), metadata=LATER)
    """Networks to choose from too: short_chunk, trained from random weights with augmentation, and
    musicnn, trained from its published weights. Each is trained in every fold and inner fold, 25
    times with five folds: minutes become an hour or more."""
    members: int = field(default=2, metadata=LATER)
    """Networks short_chunk that learn from the same tracks; the mean of their probabilities
    answers."""
    epochs: int | None = field(default=None, metadata=LATER)
    """Passes of a network over its training segments; if not given, short_chunk hears 90 segments
    of each track, and musicnn takes 5 passes."""
    short_chunk: ShortChunkConfig = field(default=SHORT_CHUNK, metadata=LATER)
    """Options of short_chunk."""
    musicnn: MusicnnConfig = field(default=MUSICNN, metadata=LATER)
    """Options of musicnn; its transfer is head or fine-tune, since the probe is there already."""

    def __post_init__(self) -> None:
        for name, known in (("vectors", (*KINDS, DICTIONARY)), ("networks", NETWORKS)):
            if not set(getattr(self, name)) <= set(known):
                raise ConfigError(
                    f"SmallSetConfig.{name} is {getattr(self, name)!r}; name some of "
                    f"{', '.join(known)}"
                )
        if not self.vectors:
            raise ConfigError("SmallSetConfig.vectors names none; leave it out for all of them")
        if len(set(self.networks)) < len(self.networks):
            raise ConfigError(f"SmallSetConfig.networks is {self.networks!r}; name each once")
        for name in ("members", "epochs"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"SmallSetConfig.{name} is {value}; it must be at least 1")
        if (transfer := self.musicnn.transfer) not in ("head", "fine-tune"):
            raise ConfigError(
                f"SmallSetConfig.musicnn has the transfer {transfer!r}; set "
                "--model.musicnn.transfer to head or fine-tune"
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
        ConfigError: another front end than the default; the vectors have one of their own. Or
            excerpts that are too short for a network.
    """
    if features.frontend != FrontendConfig():
        raise ConfigError(
            "the recipe for small sets has front ends of its own; leave out --features.frontend"
        )
    kept = replace(features, keep="waveform", dtype="float32", n_frames=features.clip_frames)
    folds = None if split.fold_column else split.folds or FOLDS
    made = Experiment(
        name,
        str(catalogue),
        kept,
        replace(split, folds=folds, validation_fraction=0.0),
        # One answer a track: segments play no part.
        SegmentConfig(frames=min(kept.least_frames, SegmentConfig().frames)),
        model,
        TrainConfig(epochs=1, seed=seed),
    )
    experiments_of(made)  # raises
    return made


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

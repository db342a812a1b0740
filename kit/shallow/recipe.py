"""The recipe for small sets, of 30 to 150 tracks a label, as an experiment."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kit.config import (
    LATER,
    Checked,
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
from kit.shallow.ensemble import DICTIONARY
from kit.shallow.networks import MUSICNN, SHORT_CHUNK, NetworkName, experiments_of
from kit.shallow.vectors import KINDS

Pretrained = Literal["MSD_musicnn", "MTT_musicnn"]
WITHOUT = (
    "without musicnn's weights; `kit weights musicnn` fetches them (they raise ESC-10 from 0.91 to "
    "0.93)"
)
FOLDS = 5
"""Default number of folds."""


@dataclass(frozen=True)
class SmallSetConfig(Checked):
    """Candidates of the nested cross-validation, in place of a network's options."""

    vectors: tuple[str, ...] = (*KINDS, DICTIONARY)
    """Vectors of a track for classifiers: tempo, loudness and spectrum (simple), mfcc, statistics
    (rich), the course of the spectrum (shape), codes of a dictionary of patches (dictionary)."""
    weights: Pretrained | None = "MSD_musicnn"
    """Published network whose frozen layers are vectors too; None for the other vectors only."""
    networks: tuple[NetworkName, ...] = field(default=(), metadata=LATER)
    """Networks to train as candidates: short_chunk from random weights with augmentation, and
    musicnn from its published weights. Each is trained in every fold and inner fold, 25 times with
    five folds, which takes an hour or more."""
    members: int = field(default=2, metadata=LATER)
    """Number of networks short_chunk on the same tracks; their probabilities are averaged."""
    epochs: int | None = field(default=None, metadata=LATER)
    """Passes of a network over its training segments. If None, short_chunk takes 90 segments of
    each track, and musicnn 5 passes."""
    short_chunk: ShortChunkConfig = field(default=SHORT_CHUNK, metadata=LATER)
    """Options of short_chunk."""
    musicnn: MusicnnConfig = field(default=MUSICNN, metadata=LATER)
    """Options of musicnn, with the transfer head or fine-tune."""

    def _check(self) -> None:
        kinds = (*KINDS, DICTIONARY)
        known = bool(self.vectors) and set(self.vectors) <= set(kinds)
        self._require("vectors", known, f"name some of {', '.join(kinds)}")
        unique = len(set(self.networks)) == len(self.networks)
        self._require("networks", unique, "name each once")
        self._at_least(1, "members", "epochs")
        if (transfer := self.musicnn.transfer) not in ("head", "fine-tune"):
            raise ConfigError(
                f"SmallSetConfig.musicnn has the transfer {transfer!r}; set "
                "--model.musicnn.transfer to head or fine-tune"
            )

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Raise ConfigError, since the recipe has no single network."""
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

    The samples of whole excerpts are stored, since all vectors are computed from them. There are
    five folds unless the split names others, and no validation part, since candidates are chosen by
    cross-validation inside each training part.

    Args:
        catalogue: folder of the catalogue.
        name: name of the folder under `runs`.
        features: position, number, length and offset of the excerpts; the shortest track.
        split: groups of the folds, and their number or column.
        seed: seed of forests, dictionaries and inner folds.
        model: candidates.
    Raises:
        ConfigError: the front end is not the default, since the vectors have their own; or excerpts
            are too short for a network.

    Example:
        >>> kit.small_set("data/mine").split.folds
        5
    """
    if features.frontend != FrontendConfig():
        raise ConfigError(
            "the recipe for small sets has its own front ends; leave out --features.frontend"
        )
    kept = replace(features, keep="waveform", dtype="float32", n_frames=features.clip_frames)
    folds = None if split.fold_column else split.folds or FOLDS
    made = Experiment(
        name,
        str(catalogue),
        kept,
        replace(split, folds=folds, validation_fraction=0.0),
        # The prediction is for whole tracks, so segments do not matter.
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
            "the experiment is not of the recipe for small sets; use kit.small_set(catalogue), or "
            "`kit train --recipe small`"
        )

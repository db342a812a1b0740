"""Configuration of a whole experiment, with the rules between its parts."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from kit.config.base import Checked
from kit.config.collection import SplitConfig
from kit.config.features import MUSICNN_FRONTEND, FeatureConfig
from kit.config.models import Conv1DConfig, MusicnnConfig, model_of, name_of_model, require_model
from kit.config.training import AugmentConfig, SegmentConfig, TrainConfig


@dataclass(frozen=True)
class Experiment(Checked):
    """A whole experiment: its catalogue, and one configuration for each stage.

    Example:
        >>> experiment = kit.Experiment(name="mine", catalogue="data/mine")
        >>> experiment.split.by
        'artist'
    """

    name: str = "experiment"
    """Name of the folder under runs/."""
    catalogue: str = "data/demo"
    """Folder of the catalogue, which `kit scan --out` made."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    model: Any = field(default_factory=Conv1DConfig)
    """Options of the network: a frozen dataclass of `MODELS` or your own, with a method
    `build(n_mels, n_classes, *, rngs)` that returns a `flax.nnx.Module`."""
    train: TrainConfig = field(default_factory=TrainConfig)

    def _check(self) -> None:
        if not self.name or set(self.name) & set('/\\:*?"<>|') or self.name[0] == ".":
            self._refuse("name", "it names a folder: no slash, and no dot in front")
        require_model(self.model)
        least, frames = self.features.least_frames, self.segments.frames
        if frames > (most := self.features.n_frames):
            self.segments._refuse("frames", f"it must not exceed FeatureConfig.n_frames (={most})")
        if frames > least and not self.segments.pad:
            self.segments._refuse(
                "frames",
                f"the shortest track that FeatureConfig.least_s (={self.features.least_s}) keeps "
                f"has {least} frames; raise FeatureConfig.least_s to "
                f"{self.features._least_for(frames):g}, or set SegmentConfig.pad",
            )
        self._check_augment(self.train.augment, self.features, frames)
        if isinstance(self.model, MusicnnConfig) and self.model.transfer != "none":
            self._check_transfer(self.model.transfer)
        if self.train.by_track and self.train.batch_size < (count := self.segments_per_track):
            self.train._refuse(
                "batch_size",
                f"TrainConfig.loss {self.train.loss} takes whole tracks of {count} segments; raise "
                f"it to {count} at least",
            )

    @property
    def segments_per_track(self) -> int:
        """Training segments of a track with all frames of its excerpts."""
        return self.features.excerpts * (self.features.n_frames // self.segments.frames)

    def _check_transfer(self, transfer: str) -> None:
        frontend, train = self.features.frontend, self.train
        for field_ in dataclasses.fields(frontend):
            known = getattr(MUSICNN_FRONTEND, field_.name)
            rule = f"MusicnnConfig.transfer {transfer} needs {known!r}; leave it out"
            frontend._require(field_.name, getattr(frontend, field_.name) == known, rule)
        if train.standardise != "none":
            rule = f"MusicnnConfig.transfer {transfer} needs levels without standardisation"
            train._refuse("standardise", f"{rule}; set it to none")
        if transfer == "head":
            return
        for name, only in (("labels", ("one",)), ("loss", ("segments", "mean"))):
            rule = f"MusicnnConfig.transfer {transfer} takes {' or '.join(only)}; head takes any"
            train._require(name, getattr(train, name) in only, rule)
        if transfer == "fine-tune":
            return
        plain = TrainConfig(
            epochs=1, standardise="none", loss=train.loss, seed=train.seed, members=train.members
        )
        for field_ in dataclasses.fields(train):
            known = getattr(plain, field_.name)
            rule = f"a probe is fitted without training steps; the value must be {known!r}"
            train._require(field_.name, getattr(train, field_.name) == known, rule)

    def _check_augment(self, augment: AugmentConfig, features: FeatureConfig, frames: int) -> None:
        frontend = features.frontend
        if features.keep == "log_mel":
            for name, off in (("speed", 0), ("snr_db", None)):
                augment._require(
                    name,
                    getattr(augment, name) == off,
                    "it changes samples, and FeatureConfig.keep log_mel stores none; set it to "
                    "waveform, or leave this out",
                )
        if frontend.compression != "db":
            for name, off in (("gain_db", 0), ("tilt_db", 0), ("mix", "none")):
                if getattr(augment, name) not in (off, "mixup"):
                    set_to = f"FrontendConfig.compression is {frontend.compression}"
                    augment._refuse(name, f"it changes decibels, and {set_to}; leave it out")
        for masks, name, most, of in (
            (augment.time_masks, "time_width", frames, "SegmentConfig.frames"),
            (augment.band_masks, "band_width", frontend.n_mels, "FrontendConfig.n_mels"),
        ):
            rule = f"it must be below {of} (={most}), or a mask could cover a segment"
            augment._require(name, not masks or getattr(augment, name) < most, rule)

    def _names(self) -> dict[str, dict[str, str]]:
        return {"model": name_of_model(self.model)}

    @classmethod
    def _from_json(cls, value: dict[str, Any], where: str) -> dict[str, Any]:
        if "model" not in value:
            return value
        return value | {"model": model_of(value["model"], f"{where}.model")}

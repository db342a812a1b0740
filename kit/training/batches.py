"""Batches of a training: of single segments, or of whole tracks."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from kit.config import Experiment
from kit.training.data import Part, Picks
from kit.training.segments import draw, draw_tracks, grid, segments_of_tracks


@dataclass(frozen=True)
class Batches:
    """Batches of a training part.

    If the loss is of whole tracks (`TrainConfig.loss`), a batch has all segments of its tracks, and
    as many tracks as `batch_size` segments allow.

    Attributes:
        experiment: the configuration.
        part: the training part.
        units: segments, or whole tracks, that each track gives to an epoch.
        size: segments, or tracks, in a batch; at most those of an epoch.
        moved: function from positions in the features to positions in the feed's source.
    """

    experiment: Experiment
    part: Part
    units: Int[np.ndarray, " tracks"]
    size: int
    moved: Callable[[Picks], Picks] = field(default=lambda picks: picks)

    @classmethod
    def of(cls, experiment: Experiment, part: Part) -> "Batches":
        """Return the batches of an experiment's training part."""
        size = experiment.train.batch_size
        units = segments_of_tracks(part.frames, part.n_frames, experiment.segments)
        if experiment.train.by_track:
            size //= experiment.segments_per_track
            units = np.ones_like(units)
        return cls(experiment, part, units, min(size, int(units.sum())))

    @property
    def per_epoch(self) -> int:
        """Full batches of an epoch: batch normalisation would count a repeated segment twice."""
        return int(self.units.sum()) // self.size

    def training(self, epoch: int) -> Picks:
        """Return the batches of an epoch, from 0; they depend on seed and epoch alone."""
        config, part = self.experiment.train, self.part
        where = part.frames, part.n_frames, self.experiment.segments
        classes = part.y if config.balance == "draw" else None
        whole = slice(self.per_epoch * self.size)
        if not config.by_track:
            tracks, starts = draw(*where, seed=config.seed, epoch=epoch, classes=classes)
            return self.moved(part.picks(tracks[whole], starts[whole], self.size))
        tracks, each = draw_tracks(*where, seed=config.seed, epoch=epoch, classes=classes)
        places = self.experiment.segments_per_track
        return self.moved(part.picks_of_tracks(tracks[whole], each[whole], self.size, places))

    def evaluation(self, part: Part) -> Picks:
        """Return batches of all evaluation segments of a part, in order."""
        features, segments = self.experiment.features, self.experiment.segments
        if not self.experiment.train.by_track:
            return self.of_segments(part)
        starts = [grid(int(frames), part.n_frames, segments) for frames in part.frames]
        places = len(grid(features.row_frames, part.n_frames, segments))
        return self.moved(part.picks_of_tracks(np.arange(len(starts)), starts, self.size, places))

    def of_segments(self, part: Part) -> Picks:
        """Return `evaluation` with batches of single segments for any loss."""
        tracks, starts = part.evaluation_segments(self.experiment.segments)
        return self.moved(part.picks(tracks, starts, self.size))

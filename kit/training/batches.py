"""Batches of a training: of single segments, or of whole tracks."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from kit.config import Experiment
from kit.training.data import Part, Picks
from kit.training.segments import draw_tracks, grid, segments_of_tracks


@dataclass(frozen=True)
class Batches:
    """The batches of a training part.

    Where the loss is of whole tracks (`TrainConfig.loss`), all segments of a track are in one
    batch, and a batch has as many tracks as `batch_size` segments allow.

    Attributes:
        experiment: the configuration.
        part: the training part.
        units: how many segments, or whole tracks, each track of the part gives to an epoch.
        size: segments, or tracks, in a batch; all of an epoch's if they are fewer.
        moved: from segments by their place in the features to where batches find them.
    """

    experiment: Experiment
    part: Part
    units: Int[np.ndarray, " tracks"]
    size: int
    moved: Callable[[Picks], Picks] = field(default=lambda picks: picks)

    @classmethod
    def of(cls, experiment: Experiment, part: Part) -> "Batches":
        """Return the batches of a training part."""
        size = experiment.train.batch_size
        units = segments_of_tracks(part.frames, part.n_frames, experiment.segments)
        if experiment.train.by_track:
            size //= experiment.segments_per_track
            units = np.ones_like(units)
        return cls(experiment, part, units, min(size, int(units.sum())))

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch.

        Full batches only: a repeated segment would count twice in batch normalisation.
        """
        return int(self.units.sum()) // self.size

    def training(self, epoch: int) -> Picks:
        """Return the batches of an epoch, a function of the seed and of the epoch alone.

        Args:
            epoch: from 0.
        """
        config, segments, part = self.experiment.train, self.experiment.segments, self.part
        whole = slice(self.per_epoch * self.size)
        if not config.by_track:
            tracks, starts = part.training_segments(segments, config, epoch)
            return self.moved(part.picks(tracks[whole], starts[whole], self.size))
        tracks, each = draw_tracks(
            part.frames,
            part.n_frames,
            segments,
            seed=config.seed,
            epoch=epoch,
            classes=part.y if config.balance == "draw" else None,
        )
        places = self.experiment.segments_per_track
        return self.moved(part.picks_of_tracks(tracks[whole], each[whole], self.size, places))

    def evaluation(self, part: Part) -> Picks:
        """Return the batches of all segments of evaluation of a part, in order."""
        features, segments = self.experiment.features, self.experiment.segments
        if not self.experiment.train.by_track:
            return self.of_segments(part)
        starts = [grid(int(frames), part.n_frames, segments) for frames in part.frames]
        places = len(grid(features.row_frames, part.n_frames, segments))
        return self.moved(part.picks_of_tracks(np.arange(len(starts)), starts, self.size, places))

    def of_segments(self, part: Part) -> Picks:
        """Return the batches of all segments of evaluation of a part, as single ones, in order."""
        tracks, starts = part.evaluation_segments(self.experiment.segments)
        return self.moved(part.picks(tracks, starts, self.size))

"""A trained network, ready for audio."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float32, Integer

from kit.config import Experiment, hash_of, to_dict
from kit.errors import KitError, UsageError
from kit.evaluation.certainty import RISK, Thresholds, thresholds_of
from kit.features.device import row_of
from kit.features.excerpts import Excerpt, excerpts, waveform_excerpts
from kit.training.checkpoint import Which
from kit.training.restore import Restored, restore

if TYPE_CHECKING:
    from kit.timeline import Timeline

Probabilities = dict[str, float]
"""Probability of each label by name; they add up to 1 if a track has one label."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, ready for audio; `load` returns one.

    Attributes:
        restored: the network of the run's checkpoint.
        thresholds: say which answers are uncertain; None before `kit evaluate`.

    Example:
        >>> model = kit.load(kit.training.locate("tiny").folder)
        >>> model.labels
        ('high', 'low')
    """

    restored: Restored
    thresholds: Thresholds | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the network's outputs."""
        return self.restored.labels

    @property
    def experiment(self) -> Experiment:
        """Configuration of the training."""
        return self.restored.experiment

    @overload
    def predict(
        self, x: np.ndarray | Path | str, sample_rate: int | None = None
    ) -> Probabilities: ...

    @overload
    def predict(
        self, x: list[Any] | tuple[Any, ...], sample_rate: int | None = None
    ) -> list[Probabilities]: ...

    def predict(
        self, x: Any, sample_rate: int | None = None
    ) -> Probabilities | list[Probabilities]:
        """Return the probability of each label for one track, or for each track of a list.

        Excerpts are the same as in training and evaluation.

        Args:
            x: a file; a waveform of shape (samples,) or (channels, samples), floats with full scale
                1.0; or a list of either.
            sample_rate: sample rate of the waveforms, Hz.
        Raises:
            AudioError: the audio is unreadable, too short, or silent.
            UsageError: an array has another shape or dtype, or no sample rate.
            KitError: the run was trained on arrays of an unknown front end.
        """
        if isinstance(x, list | tuple):
            return [self._probabilities(self._excerpts(item, sample_rate)) for item in x]
        return self._probabilities(self._excerpts(x, sample_rate))

    def predict_features(self, x: Any, frames: Any = None) -> Any:
        """Return the probability of each label for computed features.

        Args:
            x: one item, (frames, n_mels), or several, (items, frames, n_mels), as in training;
                samples, (…, frames, hop_length), if `features.keep` is waveform.
            frames: number of valid frames of each item; all if None.
        Returns:
            `Probabilities` of one item, or a list of them.
        Raises:
            UsageError: the array has another shape or values that are not finite, or an item is
                shorter than a segment (without `SegmentConfig.pad`).
        """
        array = np.asarray(x, np.float32)
        config = self.experiment.features
        width = self.restored.n_mels if config.keep == "log_mel" else config.width
        if array.ndim not in (2, 3) or array.shape[-1] != width:
            raise UsageError(
                f"the features have shape {array.shape}; give (frames, {width}) or "
                f"(items, frames, {width})"
            )
        batch = array if array.ndim == 3 else array[None]
        every = np.full(len(batch), batch.shape[1], np.int32)
        valid = every if frames is None else np.atleast_1d(frames).astype(np.int32)
        segments = self.experiment.segments
        least = 1 if segments.pad else segments.frames
        if valid.shape != every.shape or ((valid < least) | (valid > every)).any():
            raise UsageError(
                f"frames is {frames}; give one number for each item, from {least}"
                f"{'' if segments.pad else ' (a segment)'} to {batch.shape[1]}"
            )
        if not all(np.isfinite(row[:n]).all() for row, n in zip(batch, valid, strict=True)):
            raise UsageError("the features have values that are not finite; replace them")
        found = self.of_rows(batch, valid)
        return found if array.ndim == 3 else found[0]

    def timeline(self, path: Path | str, *, stay_s: float | None = None) -> "Timeline":
        """Return what plays when in a file of any length, in bounded memory.

        Args:
            path: a track or a whole mix.
            stay_s: mean duration of a section, seconds; learned from the file if None.
        Raises:
            AudioError: the file is unreadable, too short or silent. If it is damaged, the timeline
                ends at the damage.
            UsageError: tracks of the run have several labels.
        """
        from kit.timeline import timeline

        self.require_front_end()
        if self.experiment.train.several:
            raise UsageError("the run gives tracks several labels, and a section has one")
        return timeline(self.restored, path, thresholds=self.thresholds, stay_s=stay_s)

    def identity(self, folder: Path, *, music: bool) -> str:
        """Return the name of the run's folder, and a hash of what else answers depend on."""
        run, thresholds = self.restored, vars(self.thresholds) if self.thresholds else None
        digest = hash_of([to_dict(run.experiment), run.labels, run.step, thresholds, music], 8)
        return f"{folder.resolve().name}/{digest}"

    def require_front_end(self) -> None:
        """Check that the network's features can be computed from audio.

        Raises:
            KitError: the run was trained on arrays of an unknown front end.
        """
        if self.restored.from_arrays:
            raise KitError(
                "this run was trained on arrays of an unknown front end; compute the features and "
                "use predict_features"
            )

    def of_rows(
        self,
        rows: Float32[np.ndarray, "tracks row_frames width"],
        frames: Integer[np.ndarray, " tracks"],
    ) -> list[Probabilities]:
        """Return the probability of each label for rows of features.

        Args:
            rows: as `kit.features.row_of` returns them.
            frames: valid frames of each row.
        """
        scores = self.restored.segment_scores(rows, frames)
        return [
            {name: float(v) for name, v in zip(self.labels, p, strict=True)}
            for p in np.exp(scores.of_tracks())
        ]

    def _excerpts(self, x: Any, sample_rate: int | None) -> list[Excerpt]:
        self.require_front_end()
        config = self.experiment.features
        if isinstance(x, str | Path):
            return excerpts(Path(x), config)
        if not hasattr(x, "ndim"):
            raise UsageError(f"cannot predict {x!r}; give a path or an array of samples")
        if sample_rate is None:
            raise UsageError("give the sample_rate of the waveform, Hz")
        return waveform_excerpts(np.asarray(x), sample_rate, config)

    def _probabilities(self, found: list[Excerpt]) -> Probabilities:
        row, frames = row_of([excerpt.y for excerpt in found], self.experiment.features)
        return self.of_rows(row[None], np.array([frames], np.int32))[0]


def load(run_folder: Path | str, which: Which = "best", *, risk: float = RISK) -> Model:
    """Load the network of a run, ready for audio.

    Args:
        run_folder: folder of the run, which may come from another machine.
        which: the checkpoint with the highest validation accuracy, or the last one.
        risk: accepted share of wrong answers among those that are not uncertain.
    Raises:
        KitError: the run or a checkpoint is missing or does not fit.

    Example:
        >>> model = kit.load(kit.training.locate("tiny").folder)
        >>> model.labels
        ('high', 'low')
        >>> model.predict("music/high/00.flac")["high"] > 0.5
        True
    """
    restored = restore(run_folder, which)
    return Model(restored, thresholds_of(Path(run_folder), restored, risk)[0])

"""Predict the label of a track, or the timeline of a mix, with a restored run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from kit.audio import AudioError, blocks
from kit.config import Experiment, FeatureConfig
from kit.errors import KitError, UsageError
from kit.features.device import compute, row_of
from kit.features.excerpts import Excerpt, excerpts, require_length, valid_frames, waveform_excerpts
from kit.training import Restored, restore
from kit.training.checkpoint import Which

BLOCK_S = 30.0  # block of a long file, seconds
WINDOWS = 8  # windows of a long file in one batch

Probabilities = dict[str, float]
"""Probability of each label by name; they add up to 1 if a track has one label."""


@dataclass(frozen=True)
class Prediction:
    """Prediction for a section of a file.

    Attributes:
        path: the file.
        start_s: start of the section in the file, seconds.
        end_s: end of the section, seconds.
        label: the most probable label.
        probability: probability of that label.
        probabilities: probability of each label by name.
    """

    path: str
    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: Probabilities


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, ready for audio; `load` returns one.

    Attributes:
        restored: the network of the run's checkpoint.
    """

    restored: Restored

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
        found = self._of_rows(batch, valid)
        return found if array.ndim == 3 else found[0]

    def timeline(self, path: Path | str, hop_s: float = 15.0) -> Iterator[Prediction]:
        """Yield one prediction for each window of a file of any length, in bounded memory.

        Args:
            path: a track or a whole mix.
            hop_s: distance of the starts of two windows, seconds. A window is as long as an
                excerpt; the last one may be shorter.
        Raises:
            AudioError: the file is unreadable, or shorter than the shortest track of the run. If it
                is damaged, the windows before the damage come first.
        """
        self._require_front_end()
        return timeline(self.restored, path, hop_s)

    def _excerpts(self, x: Any, sample_rate: int | None) -> list[Excerpt]:
        self._require_front_end()
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
        return self._of_rows(row[None], np.array([frames], np.int32))[0]

    def _of_rows(self, rows: np.ndarray, frames: np.ndarray) -> list[Probabilities]:
        scores = self.restored.segment_scores(rows, frames)
        return [
            {name: float(v) for name, v in zip(self.labels, p, strict=True)}
            for p in np.exp(scores.of_tracks())
        ]

    def _require_front_end(self) -> None:
        if self.restored.from_arrays:
            raise KitError(
                "this run was trained on arrays of an unknown front end; compute the features and "
                "use predict_features"
            )


def load(run_folder: Path | str, which: Which = "best") -> Model:
    """Load the network of a run, ready for audio.

    Args:
        run_folder: folder of the run, which may come from another machine.
        which: the checkpoint with the highest validation accuracy, or the last one.
    Raises:
        KitError: the run or a checkpoint is missing or does not fit.

    Example:
        >>> model = kit.load(kit.training.locate("tiny").folder)
        >>> model.labels
        ('high', 'low')
        >>> model.predict("music/high/00.flac")["high"] > 0.5
        True
    """
    return Model(restore(run_folder, which))


def track(restored: Restored, path: Path | str) -> Prediction:
    """Return the prediction for a track, from the same excerpts as in training.

    Raises:
        AudioError: the file is unreadable, too short or silent.
        KitError: the run was trained on arrays of an unknown front end.
    """
    model = Model(restored)
    found = model._excerpts(path, None)
    end_s = found[-1].start_s + len(found[-1].y) / model.experiment.features.frontend.sample_rate
    return _prediction(str(path), found[0].start_s, end_s, model._probabilities(found))


def timeline(restored: Restored, path: Path | str, hop_s: float = 15.0) -> Iterator[Prediction]:
    """Yield one prediction for each window of a file; see `Model.timeline`."""
    waiting: list[Excerpt] = []
    damage = None
    try:
        for window in _windows(Path(path), restored.experiment.features, hop_s):
            waiting.append(window)
            if len(waiting) == WINDOWS:
                yield from _predict(restored, waiting, str(path))
                waiting = []
    except AudioError as error:
        damage = error
    if waiting:
        yield from _predict(restored, waiting, str(path))
    if damage:
        raise damage


def _windows(path: Path, config: FeatureConfig, hop_s: float) -> Iterator[Excerpt]:
    rate = config.frontend.sample_rate
    length, hop = config.clip_samples, max(1, round(hop_s * rate))
    buffer = np.zeros(0, np.float32)
    start = skip = covered = 0
    for block in blocks(path, sample_rate=rate, block_s=BLOCK_S):
        buffer = np.concatenate([buffer, block])
        while len(buffer) - skip >= length:
            yield Excerpt(start / rate, buffer[skip : skip + length])
            covered = start + length
            start, skip = start + hop, skip + hop
        buffer, skip = buffer[skip:], max(0, skip - len(buffer))
    rest = buffer[skip:]
    if start == 0:
        require_length(Excerpt(0.0, rest), path, replace(config, offset_s=0.0))
    if start + len(rest) > covered and valid_frames(len(rest), config) >= config.least_frames:
        yield Excerpt(start / rate, rest)


def _predict(restored: Restored, windows: list[Excerpt], path: str) -> Iterator[Prediction]:
    config = restored.experiment.features
    rate = config.frontend.sample_rate
    frames = np.array([valid_frames(len(w.y), config) for w in windows], np.int32)
    found = Model(restored)._of_rows(compute([w.y for w in windows], config), frames)
    for window, probabilities in zip(windows, found, strict=True):
        end_s = window.start_s + len(window.y) / rate
        yield _prediction(path, window.start_s, end_s, probabilities)


def _prediction(path: str, start_s: float, end_s: float, p: Probabilities) -> Prediction:
    best = max(p, key=lambda name: p[name])
    return Prediction(path, start_s, end_s, best, p[best], p)

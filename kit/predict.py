"""A restored run applied to audio: one answer for a track, or a timeline of a whole mix."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError, blocks
from kit.config import FeatureConfig, frames_of
from kit.evaluation.metrics import track_log_probabilities
from kit.features import clip
from kit.features.device import compute
from kit.training import Restored
from kit.training.segments import cut

BLOCK_S = 30.0  # of a long file, read at once
WINDOWS = 8  # of a long file, computed at once


@dataclass(frozen=True)
class Prediction:
    """What a network says of a stretch of audio.

    Attributes:
        path: the file.
        start_s: where the stretch begins in the file, seconds.
        end_s: where it ends.
        label: the most probable one.
        probability: of that label.
        probabilities: of each label, by name; they add up to 1.
    """

    path: str
    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: dict[str, float]


def track(restored: Restored, path: Path | str) -> Prediction:
    """The label of a track, from the same clip of it that training takes.

    Raises:
        AudioError: the file is unreadable or too short.
    """
    features = restored.experiment.features
    y = clip(Path(path), features)
    start = features.offset_s
    return _predict(restored, [y], Path(path), [start])[0]


def timeline(restored: Restored, path: Path | str, hop_s: float = 15.0) -> Iterator[Prediction]:
    """One prediction for each window of a file of any length, in bounded memory.

    Args:
        restored: what `kit.training.restore` gives.
        path: a track or a whole mix.
        hop_s: from the start of one window to that of the next, seconds; a window is as long as a
            training clip.
    Raises:
        AudioError: the file is unreadable or shorter than one window; one that is damaged at its
            end gives the windows before the damage first.
    """
    features = restored.experiment.features
    waiting: list[np.ndarray] = []
    starts: list[float] = []
    try:
        for start, y in _windows(Path(path), features, hop_s):
            waiting.append(y)
            starts.append(start)
            if len(waiting) == WINDOWS:
                yield from _predict(restored, waiting, Path(path), starts)
                waiting, starts = [], []
    except AudioError:
        # Of a mix that is damaged at its end, what comes before is still worth knowing.
        if waiting:
            yield from _predict(restored, waiting, Path(path), starts)
        raise
    if waiting:
        yield from _predict(restored, waiting, Path(path), starts)


def _windows(
    path: Path, features: FeatureConfig, hop_s: float
) -> Iterator[tuple[float, Float32[np.ndarray, " samples"]]]:
    rate = features.frontend.sample_rate
    length, hop = features.clip_samples, max(1, round(hop_s * rate))
    buffer = np.zeros(0, np.float32)
    start = 0
    skip = 0
    for block in blocks(path, sample_rate=rate, block_s=BLOCK_S):
        buffer = np.concatenate([buffer, block])
        while len(buffer) - skip >= length:
            yield start / rate, buffer[skip : skip + length]
            start, skip = start + hop, skip + hop
        buffer, skip = buffer[skip:], max(0, skip - len(buffer))
    rest = buffer[skip:]
    if start == 0 and frames_of(len(rest), features.frontend) < features.n_frames:
        clip(path, features)  # raises the error that says how long it must be
    if frames_of(len(rest), features.frontend) >= features.n_frames:
        yield start / rate, rest


def _predict(
    restored: Restored, clips: list[np.ndarray], path: Path, starts: list[float]
) -> list[Prediction]:
    config = restored.experiment
    segments = cut(compute(clips, config.features), config.segments.frames)
    scores = restored.log_probabilities(segments.reshape(-1, *segments.shape[2:]))
    by_track = scores.reshape(*segments.shape[:2], -1)
    rate = config.features.frontend.sample_rate
    predictions = []
    for p, y, start in zip(np.exp(track_log_probabilities(by_track)), clips, starts, strict=True):
        best = int(p.argmax())
        predictions.append(
            Prediction(
                str(path),
                start,
                start + len(y) / rate,
                restored.labels[best],
                float(p[best]),
                {name: float(v) for name, v in zip(restored.labels, p, strict=True)},
            )
        )
    return predictions

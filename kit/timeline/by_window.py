"""Score the windows of a file of any length, in bounded memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kit.audio import AudioError, blocks
from kit.config import FeatureConfig
from kit.features.device import compute
from kit.features.excerpts import Excerpt, require_length, valid_frames
from kit.training.restore import Restored

BLOCK_S = 30.0  # block of a long file, seconds
_TOGETHER = 8  # windows in one batch

Window = tuple[float, float, Float64[np.ndarray, " labels"]]
"""Start and end, seconds, and the logarithm of the probability of each label."""


def by_window(restored: Restored, path: Path | str, hop_s: float) -> Iterator[Window]:
    """Yield the answer for each window of a file.

    Args:
        restored: the run.
        path: a track or a whole mix.
        hop_s: distance of the starts of two windows, seconds. A window is as long as an excerpt;
            the last one may be shorter.
    Raises:
        AudioError: the file is unreadable, or shorter than the shortest track of the run. If it is
            damaged, the windows before the damage come first.
    """
    waiting: list[Excerpt] = []
    damage = None
    try:
        for window in _windows(Path(path), restored.experiment.features, hop_s):
            waiting.append(window)
            if len(waiting) == _TOGETHER:
                yield from _answers(restored, waiting)
                waiting = []
    except AudioError as error:
        damage = error
    if waiting:
        yield from _answers(restored, waiting)
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


def _answers(restored: Restored, windows: list[Excerpt]) -> Iterator[Window]:
    config = restored.experiment.features
    rate = config.frontend.sample_rate
    frames = np.array([valid_frames(len(w.y), config) for w in windows], np.int32)
    scores = restored.segment_scores(compute([w.y for w in windows], config), frames)
    for window, log_p in zip(windows, scores.of_tracks(), strict=True):
        yield window.start_s, window.start_s + len(window.y) / rate, log_p

"""The network's answers for changed audio."""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kit.audio import AudioError
from kit.config import frames_of
from kit.evaluation.confounds.probes import Probe, more_s
from kit.features.device import row_of
from kit.features.excerpts import longer_excerpts, valid_frames
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored

CHUNK = 32
"""Tracks whose rows are in memory at once."""
_LEAST_VECTOR_S = 0.1  # one window of the FFT of `kit.shallow.vectors`

Answer = tuple[str | None, str]
"""The predicted label and "", or None and the reason."""
_Row = tuple[np.ndarray, int]


def answers(
    network: Restored,
    paths: Sequence[Path | None],
    probe: Probe,
    progress: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Return a network's label for each track after a change of its sound.

    The change applies to each excerpt and the audio after it, so that a faster or later excerpt
    keeps its length unless the file ends.
    """
    found: list[Answer] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            rows = list(pool.map(lambda path: _row(network, path, probe), chunk))
            found += _labels(network, rows)
            if progress:
                progress(len(found))
    return found


def _labels(network: Restored, rows: Sequence[_Row | str]) -> list[Answer]:
    heard = [row for row in rows if not isinstance(row, str)]
    if not heard:
        return [(None, row) for row in rows if isinstance(row, str)]
    scores = network.segment_scores(
        np.stack([row for row, _ in heard]), np.array([frames for _, frames in heard], np.int32)
    )
    best = iter(scores.of_tracks().argmax(axis=1).tolist())
    return [
        (None, row) if isinstance(row, str) else (network.labels[next(best)], "") for row in rows
    ]


def _row(network: Restored, path: Path | None, probe: Probe) -> _Row | str:
    """Return a row of features and its valid frames, or the reason for a failure."""
    if path is None:
        return "no_file"
    config = network.experiment.features
    rate, samples = config.frontend.sample_rate, config.clip_samples
    try:
        longer = longer_excerpts(path, config, more_s(config))
    except AudioError as error:
        return error.reason
    clips: list[np.ndarray] = []
    for excerpt in longer:
        y = probe.change(excerpt.y, rate)[:samples]
        frames = valid_frames(len(y), config)
        if frames >= (_least_frames(network) if not clips else 1):
            clips.append(y)
        if frames < config.n_frames:
            break  # The file has ended; a row has no gaps.
    return row_of(clips, config) if clips else "too_short"


def _least_frames(network: Restored) -> int:
    """Return the frames that a network needs for an answer."""
    experiment = network.experiment
    if isinstance(experiment.model, SmallSetConfig):
        frontend = experiment.features.frontend
        return frames_of(math.ceil(_LEAST_VECTOR_S * frontend.sample_rate), frontend)
    return 1 if experiment.segments.pad else experiment.segments.frames

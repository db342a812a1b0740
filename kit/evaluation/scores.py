"""The answers of a network for the tracks of one part."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kit.evaluation.parts import Part
from kit.training import Restored
from kit.training.scores import SegmentScores

Progress = Callable[[int, int], None]
"""Called with (tracks scored, tracks in all)."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The answers of a network for the tracks of one part.

    Attributes:
        part: of the run's split.
        tracks: one row a track: `track_id`, `label`, `part` and `group` of the run's split ("" if
            it has no part in it), `artists`, `title`, `path` ("" if not known), and `fold` in a
            run of folds.
        answers: for each track the log-probabilities of its segments, and their weights if the
            network has attention.
        not_scored: number of tracks of the part that could not be scored, by reason.
        notes: more entries for evaluation.json.
    """

    part: Part
    tracks: pd.DataFrame
    answers: SegmentScores
    not_scored: dict[str, int]
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


def step_in_json(restored: Restored) -> int | list[int]:
    """Return the step of a checkpoint, or of each network's checkpoint, in JSON's types."""
    return list(restored.step) if isinstance(restored.step, tuple) else restored.step


def groups_of(tracks: pd.DataFrame) -> np.ndarray:
    """Return the group of each track, which is its artist where the run's split does not know it.

    A track that has neither stands for itself.
    """
    rows = zip(*(tracks[name] for name in ("group", "artists", "track_id")), strict=True)
    return np.array(
        [f"group {g}" if g else f"artist {a}" if a else f"track {t}" for g, a, t in rows]
    )

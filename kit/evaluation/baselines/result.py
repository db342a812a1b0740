"""The answers of all baselines, their tables, and the files that hold them."""

import csv
import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Failure
from kit.evaluation.baselines.beside import NAME, score
from kit.evaluation.baselines.curve import Point
from kit.evaluation.baselines.folds import Row
from kit.evaluation.baselines.nested import NAME as CHOSEN
from kit.files import atomic_write, write_json

TRACK = ("track_id", "label", "group", "fold")


@dataclass(frozen=True, eq=False)
class Baselines:
    """Answers of all baselines for the held-out tracks of a split.

    Attributes:
        tracks: `TRACK` of each answered track.
        labels: in the order of the probabilities.
        answers: one row per baseline, with the probabilities of the tracks.
        split: digest of the split.
        in_words: a sentence on the groups that the folds keep apart.
        failures: tracks without vectors.
        notes: baselines that were left out, with the reason.
        statements: the user's statements, such as a right to train on the audio.
        stopped: whether the work was stopped before the vectors were done, without answers.
        chosen: the baseline, or the weighted average, that was chosen on all tracks; None without
            a choice.
        curve: accuracy of the choice by share of the training groups, and of each baseline by
            number of clips per label, as far as they were requested.
    """

    tracks: pd.DataFrame
    labels: tuple[str, ...]
    answers: tuple[Row, ...]
    split: str
    in_words: str
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    stopped: bool = False
    chosen: str | None = None
    curve: tuple[Point, ...] = ()
    statements: tuple[str, ...] = ()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write baselines.json, baselines.csv and, with a curve over clips, baselines.svg.

        Raises:
            KitError: the folder cannot be written.
        """
        about, table = folder / NAME, folder / "baselines.csv"
        with atomic_write(table) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["baseline", *TRACK, "predicted", *(f"p_{x}" for x in self.labels)])
            for row in self.answers:
                rows = zip(self.tracks[list(TRACK)].to_numpy(), row.probabilities, strict=True)
                for track, p in rows:
                    predicted = self.labels[int(p.argmax())]
                    writer.writerow([row.name, *track, predicted, *(f"{v:.6f}" for v in p)])
        if points := [dataclasses.asdict(p) for p in self.curve if p.clips is not None]:
            # Importing Matplotlib takes a second.
            from kit.evaluation.figures import learning_curves
            from kit.plots.style import save

            bold = (CHOSEN, "MFCC statistics, SVM")
            save(learning_curves(points, bold), folder / "baselines.svg")
        write_json(about, self.to_dict())
        return about, table

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Scores of each baseline, its wrong tracks, and its options in each fold."""
        ids = self.tracks["track_id"].tolist()
        truth = self.tracks["label"].to_numpy(str)
        groups = self.tracks["group"].to_numpy(str)
        targets = np.array([self.labels.index(label) for label in truth], int)
        rows = []
        for row in self.answers:
            right = row.probabilities.argmax(axis=1) == targets
            true = np.maximum(row.probabilities[np.arange(len(targets)), targets], 1e-9)
            rows.append(
                {
                    **score(row.name, right, truth, groups),
                    # max() turns -0.0 into 0.0.
                    "log_loss": max(0.0, float(-np.log(true).mean())),
                    "wrong": [track for track, ok in zip(ids, right, strict=True) if not ok],
                    "chosen": row.chosen,
                    "cpu_s": round(row.cpu_s, 2),
                }
            )
        return rows

    @cached_property
    def curve_table(self) -> pd.DataFrame:
        """Points of the learning curve over clips, one per row.

        Columns: `clips`, `tracks`, `baseline`, `accuracy`, `low` and `high` (95% interval over
        groups), `least` and `most` (of the draws).
        """
        rows = [
            vars(p) | {"tracks": round(p.tracks, 1), "least": min(p.draws), "most": max(p.draws)}
            for p in self.curve
            if p.clips is not None
        ]
        names = ("clips", "tracks", "baseline", "accuracy", "low", "high", "least", "most")
        return pd.DataFrame(rows, columns=list(names))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of the baselines, one per row.

        Columns: `baseline`, `correct`, `n`, `accuracy`, `low` and `high` (95% interval over
        groups), `balanced_accuracy` and `log_loss`.
        """
        rows = [
            r | {"baseline": r["name"], "low": r["interval"][0], "high": r["interval"][1]}
            for r in self.rows
        ]
        names = ("baseline", "correct", "n", "accuracy", "low", "high", "balanced_accuracy")
        return pd.DataFrame(rows, columns=[*names, "log_loss"])

    def to_dict(self) -> dict[str, Any]:
        """Return the content of baselines.json."""
        return {
            "kit": __version__,
            "split": self.split,
            "in_words": self.in_words,
            "labels": list(self.labels),
            "tracks": self.tracks["track_id"].tolist(),
            "rows": self.rows,
            "notes": list(self.notes),
            "statements": list(self.statements),
            "chosen": self.chosen,
            "curve": [dataclasses.asdict(point) for point in self.curve],
        }

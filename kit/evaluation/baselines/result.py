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
from kit.evaluation.baselines.nested import log_loss
from kit.files import atomic_write, write_json


@dataclass(frozen=True, eq=False)
class Baselines:
    """The answers of all baselines for the held-out tracks of a split.

    Attributes:
        tracks: `track_id`, `label`, `group` and `fold` of each track that was answered.
        labels: in the order of the probabilities.
        answers: a row each, with the probabilities of the tracks.
        split: the digest of the split.
        in_words: what the folds keep apart.
        failures: tracks without vectors.
        notes: baselines that were left out, and why.
        statements: what the user has stated, such as a right to train on the audio.
        stopped: whether the vectors were stopped before they were done; there are no answers then.
        chosen: the baseline, or the weighted average of several, that was chosen on all tracks;
            None if none was to be chosen.
        curve: the accuracy of that one by the share of the groups that it learns from, and that of
            each baseline by the clips of each label, where that was asked for.
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
        """Write baselines.json and baselines.csv, the probability of each label for each track.

        A learning curve over clips is drawn in baselines.svg.

        Raises:
            KitError: the folder cannot be written.
        """
        about, table = folder / NAME, folder / "baselines.csv"
        with atomic_write(table) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            known = ("track_id", "label", "group", "fold")
            writer.writerow(["baseline", *known, "predicted", *(f"p_{x}" for x in self.labels)])
            for row in self.answers:
                rows = zip(self.tracks[list(known)].to_numpy(), row.probabilities, strict=True)
                for track, p in rows:
                    predicted = self.labels[int(p.argmax())]
                    writer.writerow([row.name, *track, predicted, *(f"{v:.6f}" for v in p)])
        if points := [dataclasses.asdict(p) for p in self.curve if p.clips is not None]:
            # Matplotlib is imported only where something is drawn.
            from kit.evaluation.figures import learning_curves
            from kit.plots.style import save

            bold = (CHOSEN, "MFCC statistics, SVM")
            save(learning_curves(points, bold), folder / "baselines.svg")
        write_json(about, self.to_dict())
        return about, table

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The numbers of each row, what it has wrong and the options that were chosen for it."""
        ids = self.tracks["track_id"].tolist()
        truth = self.tracks["label"].to_numpy(str)
        groups = self.tracks["group"].to_numpy(str)
        targets = np.array([self.labels.index(label) for label in truth], int)
        rows = []
        for row in self.answers:
            right = row.probabilities.argmax(axis=1) == targets
            rows.append(
                {
                    **score(row.name, right, truth, groups),
                    "log_loss": log_loss(row.probabilities, targets, 1e-9),
                    "wrong": [track for track, ok in zip(ids, right, strict=True) if not ok],
                    "chosen": row.chosen,
                    "cpu_s": round(row.cpu_s, 2),
                }
            )
        return rows

    @cached_property
    def curve_table(self) -> pd.DataFrame:
        """Points of the learning curve over clips, one a row.

        Columns: `clips`, `tracks`, `baseline`, `accuracy`, `low` and `high` (95% interval over
        groups), `least` and `most` (of the draws).
        """
        return pd.DataFrame(
            [
                {
                    "clips": p.clips,
                    "tracks": round(p.tracks, 1),
                    "baseline": p.baseline,
                    "accuracy": p.accuracy,
                    "low": p.low,
                    "high": p.high,
                    "least": min(p.draws),
                    "most": max(p.draws),
                }
                for p in self.curve
                if p.clips is not None
            ]
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of the baselines, one a row.

        Columns: `baseline`, `correct`, `n`, `accuracy`, `low` and `high` (95% interval over
        groups), `balanced_accuracy` and `log_loss`.
        """
        return pd.DataFrame(
            [
                {
                    "baseline": row["name"],
                    "correct": row["correct"],
                    "n": row["n"],
                    "accuracy": row["accuracy"],
                    "low": row["interval"][0],
                    "high": row["interval"][1],
                    "balanced_accuracy": row["balanced_accuracy"],
                    "log_loss": row["log_loss"],
                }
                for row in self.rows
            ]
        )

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

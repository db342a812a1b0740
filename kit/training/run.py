"""Files of a run, and of the runs inside it: one for each fold and member."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kit.catalogue.io import write_csv
from kit.config import Experiment, from_dict
from kit.errors import KitError, UsageError
from kit.files import atomic_write, read_json, write_json
from kit.training.stopping import stopped_early

SPLIT_COLUMNS = ("track_id", "label", "group", "part")
FOLD_COLUMNS = ("track_id", "label", "group", "fold")
SEVERAL_COLUMNS = ("part", "level", "n", "mean_average_precision", "low", "high", "roc_auc")
SCORE_COLUMNS = ("part", "level", "n", "accuracy", "low", "high", "macro_f1", "majority_accuracy")
_CONFIG, _SPLIT, _FOLDS, _METRICS = "config.json", "split.csv", "folds.csv", "metrics.jsonl"


@dataclass(frozen=True)
class Run:
    """Files of one run.

    A run of folds or members holds other runs in its folders `fold-0`, `member-0` or
    `fold-0/member-0`; only those have checkpoints. Methods that read the files raise UsageError if
    the folder is not a run, and KitError if a file is missing or damaged.

    Example:
        >>> run = kit.training.locate("tiny")
        >>> run.is_run, run.is_folded
        (True, False)
    """

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of orbax's checkpoints."""
        return self.folder / "checkpoints"

    @property
    def is_run(self) -> bool:
        """Return whether the folder has a config.json; checkpoints can be restored without it."""
        return (self.folder / _CONFIG).is_file()

    @property
    def is_folded(self) -> bool:
        """Return whether the run holds a run for each fold."""
        return (self.folder / _FOLDS).is_file()

    @property
    def inside(self) -> list["Run"]:
        """Runs of the folds or members, in order; empty for a single network."""
        return [Run(self.folder / name) for name in self._read_config().get("holds") or ()]

    @property
    def trainings(self) -> list["Run"]:
        """Runs with checkpoints: this one, or all those inside it."""
        inside = self.inside
        return [one for run in inside for one in run.trainings] if inside else [self]

    def experiment(self) -> Experiment:
        """Return the configuration."""
        return from_dict(Experiment, self._read_config()["experiment"])

    def facts(self) -> dict[str, Any]:
        """Return facts about the data: its kind, its labels, and the groups that the split kept."""
        return dict(self._read_config().get("data") or {})

    @property
    def statements(self) -> tuple[str, ...]:
        """Return the user's statements, such as a right to train on the audio."""
        return tuple(self._read_config().get("statements") or ())

    def add_statements(self, statements: Sequence[str]) -> None:
        """Add new sentences to `statements`, here and in the runs inside."""
        config = self._read_config()
        new = _with(config, statements)
        if new != config:
            write_json(self.folder / _CONFIG, new)
        for run in self.inside:
            run.add_statements(statements)

    def _read_config(self) -> dict[str, Any]:
        if not (self.folder / _CONFIG).is_file():
            raise UsageError(f"{self.folder} is not a run; give a folder that `kit train` made")
        config = read_json(self.folder / _CONFIG)
        if not isinstance(config, dict) or "experiment" not in config:
            raise self._damaged(self.folder / _CONFIG)
        return config

    def split(self) -> pd.DataFrame:
        """Return the split: track_id, label, group, part.

        In a run of folds every track has the part "train", since some networks learned from it.
        """
        if self.is_folded:
            return self.folds().drop(columns="fold").assign(part="train")
        return self._table(self.folder / _SPLIT, SPLIT_COLUMNS)

    def folds(self) -> pd.DataFrame:
        """Return the folds of a run of folds: track_id, label, group, fold."""
        return self._table(self.folder / _FOLDS, FOLD_COLUMNS)

    @property
    def fold(self) -> str | None:
        """Test fold of this run; None if it is not inside a run of folds."""
        return self.facts().get("fold")

    def _table(self, path: Path, columns: Sequence[str]) -> pd.DataFrame:
        if not path.is_file():
            raise KitError(f"{path} is missing; restore it, or train again with --fresh")
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise self._damaged(path) from error
        if tuple(table.columns) != tuple(columns):
            raise self._damaged(path)
        return table

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row for each finished epoch; no rows if the run holds others."""
        if not (self.folder / _METRICS).is_file():
            return []
        try:
            lines = (self.folder / _METRICS).read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
        except (OSError, ValueError) as error:
            raise self._damaged(self.folder / _METRICS) from error
        if not all(isinstance(row, dict) and "step" in row for row in rows):
            raise self._damaged(self.folder / _METRICS)
        return rows

    def finished(self) -> bool:
        """Return whether the checkpoint of the last epoch, or of an early stop, is on disk.

        A run that holds others is finished when all of them are.
        """
        if inside := self.inside:
            return all(run.finished() for run in inside)
        rows = self.metrics()
        train = self._read_config()["experiment"].get("train", {})
        if not rows:
            return False
        over = rows[-1].get("epoch") == train.get("epochs")
        # Orbax renames a checkpoint to its step once it is complete.
        there = (self.checkpoints / str(rows[-1]["step"])).is_dir()
        return there and (over or stopped_early(rows, train.get("patience")))

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of the run's evaluations, one row for each part and level; empty before the first.

        Columns are `SCORE_COLUMNS`, or `SEVERAL_COLUMNS` with several labels. `low` and `high` are
        the 95% interval of the accuracy, or of the mean average precision. The part of another
        collection has its name, such as "all of other".
        """
        rows, columns = [], SCORE_COLUMNS
        for path in sorted(self.folder.glob("evaluation*.json")):
            evaluation = read_json(path)
            try:
                columns = SEVERAL_COLUMNS if evaluation.get("several") else SCORE_COLUMNS
                for level in ("segment", "track"):
                    scores = evaluation[level]
                    low, high = scores["interval"] or (None, None)
                    known = {name: scores[name] for name in columns if name in scores}
                    about = {"part": _part(evaluation), "level": level, "low": low, "high": high}
                    rows.append(about | known)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise KitError(
                    f"{path} is damaged; run `kit evaluate {self.folder}` again"
                ) from error
        return pd.DataFrame(rows, columns=list(columns))

    def _damaged(self, path: Path) -> KitError:
        return KitError(f"{path} is damaged; restore it, or train again with --fresh")

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace metrics.jsonl."""
        with atomic_write(self.folder / _METRICS) as stream:
            stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)

    def write(
        self,
        table: pd.DataFrame,
        config: Mapping[str, Any],
        statements: Sequence[str] = (),
    ) -> None:
        """Write the split or the folds, and config.json, which also holds the statements.

        Raises:
            KitError: a file cannot be written.
        """
        write_csv(table, self.folder / (_FOLDS if "fold" in table else _SPLIT))
        # Write config.json last: it makes the folder a run.
        write_json(self.folder / _CONFIG, _with(dict(config), statements))


def _part(evaluation: Mapping[str, Any]) -> str:
    """Return the part, with the name of another collection."""
    collection = evaluation.get("collection")
    return f"{evaluation['part']} of {collection['name']}" if collection else evaluation["part"]


def _with(config: dict[str, Any], statements: Sequence[str]) -> dict[str, Any]:
    """Return the content of config.json with new statements added."""
    there = list(config.get("statements") or ())
    new = [text for text in statements if text not in there]
    return config | {"statements": there + new} if new else config

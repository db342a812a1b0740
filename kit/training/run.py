"""The files of a run, and of the runs that it holds: one for each fold, one for each member."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kit.config import Experiment, from_dict
from kit.errors import KitError, UsageError
from kit.files import atomic_write, read_json, write_json
from kit.training.stopping import stopped_early

SPLIT_COLUMNS = ("track_id", "label", "group", "part")
FOLD_COLUMNS = ("track_id", "label", "group", "fold")
SEVERAL_COLUMNS = ("part", "level", "n", "mean_average_precision", "low", "high", "roc_auc")
SCORE_COLUMNS = ("part", "level", "n", "accuracy", "low", "high", "macro_f1", "majority_accuracy")


@dataclass(frozen=True)
class Run:
    """The files of one run.

    A run of folds or of members holds other runs, in folders of its own: `fold-0`, `member-0`, or
    `fold-0/member-0`. These are the ones with checkpoints.
    """

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Orbax's folder."""
        return self.folder / "checkpoints"

    @property
    def is_run(self) -> bool:
        """Return whether the folder has a configuration; checkpoints can be restored without."""
        return self._config.is_file()

    @property
    def is_folded(self) -> bool:
        """Return whether the run holds one run for each fold."""
        return self._folds.is_file()

    @property
    def inside(self) -> list["Run"]:
        """The runs that this one holds, in order: its folds, or its members; mostly none.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged.
        """
        return [Run(self.folder / name) for name in self._read_config().get("holds") or ()]

    @property
    def trainings(self) -> list["Run"]:
        """The runs with checkpoints: this one, or all that it holds.

        Raises:
            UsageError: one of them is not a run's folder.
            KitError: a file is damaged.
        """
        inside = self.inside
        return [one for run in inside for one in run.trainings] if inside else [self]

    @property
    def _folds(self) -> Path:
        return self.folder / "folds.csv"

    @property
    def _config(self) -> Path:
        return self.folder / "config.json"

    @property
    def _split(self) -> Path:
        return self.folder / "split.csv"

    @property
    def _metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    def experiment(self) -> Experiment:
        """Return the configuration.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged.
        """
        return from_dict(Experiment, self._read_config()["experiment"])

    def facts(self) -> dict[str, Any]:
        """Return what is known of the run's data: its kind, labels, and what the split kept apart.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged.
        """
        return dict(self._read_config().get("data") or {})

    @property
    def statements(self) -> tuple[str, ...]:
        """Return the statements of the user, such as a right to train on the audio.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged.
        """
        return tuple(self._read_config().get("statements") or ())

    def add_statements(self, statements: Sequence[str]) -> None:
        """Add sentences to `statements`, those that are not there yet.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged, or cannot be written.
        """
        config = self._read_config()
        new = _with(config, statements)
        if new != config:
            write_json(self._config, new)
        for run in self.inside:
            run.add_statements(statements)

    def _read_config(self) -> dict[str, Any]:
        if not self._config.is_file():
            raise UsageError(f"{self.folder} is not a run; give a folder that `kit train` made")
        config = read_json(self._config)
        if not isinstance(config, dict) or "experiment" not in config:
            raise self._damaged(self._config)
        return config

    def split(self) -> pd.DataFrame:
        """Return the split: track_id, label, group, part.

        In a run of folds every track is in the part "train": some of its networks learned from it.

        Raises:
            KitError: the run has no split, or the file is damaged.
        """
        if self.is_folded:
            return self.folds().drop(columns="fold").assign(part="train")
        return self._table(self._split, SPLIT_COLUMNS)

    def folds(self) -> pd.DataFrame:
        """Return the fold of each track of a run of folds: track_id, label, group, fold.

        Raises:
            KitError: the run has no folds, or the file is damaged.
        """
        return self._table(self._folds, FOLD_COLUMNS)

    @property
    def fold(self) -> str | None:
        """The fold that this run tests; None if it is not one of a run of folds.

        Raises:
            UsageError: this is not a run's folder.
            KitError: the file is damaged.
        """
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
        """Return one row for each finished epoch; none of a run that holds others.

        Raises:
            KitError: the file is damaged.
        """
        if not self._metrics.is_file():
            return []
        try:
            lines = self._metrics.read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
        except (OSError, ValueError) as error:
            raise self._damaged(self._metrics) from error
        if not all(isinstance(row, dict) and "step" in row for row in rows):
            raise self._damaged(self._metrics)
        return rows

    def finished(self) -> bool:
        """Return whether the checkpoint of the last epoch, or of an early stop, is on disk.

        A run that holds others is finished when all of them are.

        Raises:
            UsageError: this is not a run's folder.
            KitError: a file is damaged.
        """
        if inside := self.inside:
            return all(run.finished() for run in inside)
        rows = self.metrics()
        train = self._read_config()["experiment"].get("train", {})
        if not rows:
            return False
        over = rows[-1].get("epoch") == train.get("epochs")
        # Orbax gives a checkpoint this name once it is whole.
        there = (self.checkpoints / str(rows[-1]["step"])).is_dir()
        return there and (over or stopped_early(rows, train.get("patience")))

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of the run's evaluations: `SCORE_COLUMNS`, one row for each part and level.

        No row before the first evaluation. The part of another collection has its name, such as
        "all of other". `low` and `high` are the 95% interval of the accuracy.
        Where tracks have several labels the columns are `SEVERAL_COLUMNS`, and the interval is that
        of the mean average precision.

        Raises:
            KitError: an evaluation's file is damaged.
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
        with atomic_write(self._metrics) as stream:
            stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)

    def write(
        self,
        table: pd.DataFrame,
        config: Mapping[str, Any],
        statements: Sequence[str] = (),
    ) -> None:
        """Write the files that make a folder a run.

        Args:
            table: of `SPLIT_COLUMNS`, or of `FOLD_COLUMNS` for a run of folds.
            config: the content of config.json, without statements.
            statements: what the user has stated.
        Raises:
            KitError: they cannot be written.
        """
        with atomic_write(self._folds if "fold" in table else self._split) as stream:
            table.to_csv(stream, index=False, lineterminator="\n")
        # Last, since a folder with this file counts as a run.
        write_json(self._config, _with(dict(config), statements))


def _part(evaluation: Mapping[str, Any]) -> str:
    """Return the part, and of which collection it is if that is not the run's own."""
    collection = evaluation.get("collection")
    return f"{evaluation['part']} of {collection['name']}" if collection else evaluation["part"]


def _with(config: dict[str, Any], statements: Sequence[str]) -> dict[str, Any]:
    """Return a run's configuration with statements added; without any, as it was."""
    there = list(config.get("statements") or ())
    new = [text for text in statements if text not in there]
    return config | {"statements": there + new} if new else config

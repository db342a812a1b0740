"""Run folders, runs/<experiment>/<time>-<id>/, keyed by a hash of the experiment and its inputs."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kit.config import Experiment, from_dict, to_dict
from kit.config import identity as identity_of
from kit.errors import KitError, UsageError
from kit.files import atomic_write, read_json, write_json
from kit.training.stopping import stopped_early

SPLIT_COLUMNS = ("track_id", "label", "group", "part")
SCORE_COLUMNS = ("part", "level", "n", "accuracy", "low", "high", "macro_f1", "majority_accuracy")


@dataclass(frozen=True)
class Run:
    """The files of one run."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Orbax's folder."""
        return self.folder / "checkpoints"

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
        """What the user has stated, such as a right to train on the audio.

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

    def _read_config(self) -> dict[str, Any]:
        if not self._config.is_file():
            raise UsageError(f"{self.folder} is not a run; give a folder that `kit train` made")
        config = read_json(self._config)
        if not isinstance(config, dict) or "experiment" not in config:
            raise self._damaged(self._config)
        return config

    def split(self) -> pd.DataFrame:
        """Return the split: track_id, label, group, part.

        Raises:
            KitError: the run has no split, or the file is damaged.
        """
        if not self._split.is_file():
            raise KitError(f"{self._split} is missing; restore it, or train again with --fresh")
        try:
            parts = pd.read_csv(self._split, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise self._damaged(self._split) from error
        if tuple(parts.columns) != SPLIT_COLUMNS:
            raise self._damaged(self._split)
        return parts

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row for each finished epoch.

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

        Raises:
            UsageError: this is not a run's folder.
            KitError: a file is damaged.
        """
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

        No row before the first evaluation. `low` and `high` are the 95% interval of the accuracy.

        Raises:
            KitError: an evaluation's file is damaged.
        """
        rows = []
        for path in sorted(self.folder.glob("evaluation*.json")):
            evaluation = read_json(path)
            try:
                for level in ("segment", "track"):
                    scores = evaluation[level]
                    low, high = scores["interval"] or (None, None)
                    known = {name: scores[name] for name in SCORE_COLUMNS if name in scores}
                    rows.append(
                        {"part": evaluation["part"], "level": level, "low": low, "high": high}
                        | known
                    )
            except (KeyError, TypeError, ValueError) as error:
                raise KitError(
                    f"{path} is damaged; run `kit evaluate {self.folder}` again"
                ) from error
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))

    def _damaged(self, path: Path) -> KitError:
        return KitError(f"{path} is damaged; restore it, or train again with --fresh")

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace metrics.jsonl."""
        with atomic_write(self._metrics) as stream:
            stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def identity(
    experiment: Experiment, sources: Mapping[str, str], split: pd.DataFrame, code: str = ""
) -> str:
    """Return eight hexadecimal digits of a configuration and of what it learns from.

    Where the catalogue and the model's file lie does not count.

    Args:
        experiment: the configuration.
        sources: the hash of each track's file.
        split: label, group and part of each track.
        code: the source of a model of the user's own.
    """
    config = identity_of(experiment)
    del config["catalogue"]
    model = config["model"]
    model["name"] = model["name"].rpartition(":")[2]
    model.pop("file", None)
    rows = split.loc[:, list(SPLIT_COLUMNS)].sort_values("track_id").to_numpy().tolist()
    text = json.dumps([config, sorted(sources.items()), rows, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def find(experiment: Experiment, key: str, runs: Path) -> Run | None:
    """Return the newest run of an experiment with this `identity`, finished or not."""
    found = sorted((runs / experiment.name).glob(f"*-{key}"))
    whole = [folder for folder in found if (folder / "config.json").is_file()]
    return Run(whole[-1]) if whole else None


def create(
    experiment: Experiment,
    key: str,
    split: pd.DataFrame,
    runs: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    statements: Sequence[str] = (),
) -> Run:
    """Make a new run's folder, with its split and its configuration.

    Args:
        experiment: the configuration.
        key: its `identity`.
        split: which track is in which part.
        runs: where run folders are made.
        facts: what is known of the data, for `Run.facts`.
        statements: what the user has stated.
    Raises:
        KitError: it cannot be written.
    """
    run = Run(_new_folder(runs / experiment.name, key))
    try:
        with atomic_write(run._split) as stream:
            split.to_csv(stream, index=False, lineterminator="\n")
        # Last, since a folder with this file counts as a run.
        config = {"experiment": to_dict(experiment), "data": dict(facts or {})}
        write_json(run._config, _with(config, statements))
    except KitError:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run


def _new_folder(place: Path, key: str) -> Path:
    stem = time.strftime("%Y%m%d-%H%M%S")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for number in range(100):
            folder = place / (f"{stem}.{number:02d}-{key}" if number else f"{stem}-{key}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise KitError(
            f"cannot write {place}: {error.strerror or error}; "
            "free some space, or choose a folder that you may write to"
        ) from error
    raise KitError(f"{place} has a hundred runs of this second; start fewer at a time")


def listing(runs: Path | str = "runs") -> list[Run]:
    """Return all runs under a folder, newest first."""
    folders = [config.parent for config in Path(runs).glob("*/*/config.json")]
    return [Run(folder) for folder in sorted(folders, key=lambda f: (f.name, f), reverse=True)]


def locate(name: Path | str | None, runs: Path | str = "runs") -> Run:
    """Return the run that a name stands for.

    Args:
        name: a run's folder; an experiment's name, or its folder, for its newest run; or None
            for the newest run of all.
        runs: where the run folders are.
    Raises:
        UsageError: there is no such run.
    """
    if name is None:
        found = listing(runs)
        if not found:
            raise UsageError(f"there is no run in {runs}; train one with `kit train`")
        return found[0]
    for folder in (Path(name), Path(runs) / name):
        if (folder / "config.json").is_file() or (folder / "checkpoints").is_dir():
            return Run(folder)
        inside = [config.parent for config in folder.glob("*/config.json")]
        if inside:
            return Run(max(inside, key=lambda f: f.name))
    known = sorted({run.folder.parent.name for run in listing(runs)})
    have = f"it has runs of {', '.join(known)}" if known else "it has no run; train one first"
    raise UsageError(f"{name} is neither a run's folder nor an experiment in {runs}; {have}")


def _with(config: dict[str, Any], statements: Sequence[str]) -> dict[str, Any]:
    """Return a run's configuration with statements added; without any, as it was."""
    there = list(config.get("statements") or ())
    new = [text for text in statements if text not in there]
    return config | {"statements": there + new} if new else config

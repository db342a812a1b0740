"""A run's folder: runs/<experiment>/<time>-<id>/, found again by what it is a run of."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kit.config import Experiment, from_dict, to_dict, to_json
from kit.errors import KitError
from kit.files import atomic_write, read_json, write_json

SPLIT_COLUMNS = ("track_id", "label", "group", "part")


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
        """The configuration.

        Raises:
            KitError: this is not a run's folder, or the file is damaged.
        """
        if not self._config.is_file():
            raise KitError(f"{self.folder} is not a run; give a folder that `kit train` made")
        config = read_json(self._config)
        if not isinstance(config, dict) or "experiment" not in config:
            raise self._damaged(self._config)
        return from_dict(Experiment, config["experiment"])

    def state(self, statements: Sequence[str]) -> None:
        """Add to the configuration's file what the user has stated, if it is not there yet.

        Raises:
            KitError: the file is damaged, or cannot be written.
        """
        config = read_json(self._config)
        if not isinstance(config, dict):
            raise self._damaged(self._config)
        new = _with(config, statements)
        if new != config:
            write_json(self._config, new)

    def split(self) -> pd.DataFrame:
        """The split: track_id, label, group, part.

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
        """One row an epoch; none before the first has ended.

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

    def _damaged(self, path: Path) -> KitError:
        return KitError(f"{path} is damaged; restore it, or train again with --fresh")

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace metrics.jsonl."""
        with atomic_write(self._metrics) as stream:
            stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def identity(experiment: Experiment, sources: Mapping[str, str]) -> str:
    """Eight hexadecimal digits of a configuration and of the files that it learns from."""
    text = to_json(experiment) + json.dumps(sorted(sources.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def find(experiment: Experiment, sources: Mapping[str, str], runs: Path) -> Run | None:
    """The newest run of exactly this, finished or not."""
    found = sorted((runs / experiment.name).glob(f"*-{identity(experiment, sources)}"))
    whole = [folder for folder in found if (folder / "config.json").is_file()]
    return Run(whole[-1]) if whole else None


def create(
    experiment: Experiment,
    sources: Mapping[str, str],
    split: pd.DataFrame,
    runs: Path,
    *,
    statements: Sequence[str] = (),
) -> Run:
    """A new run's folder, with its split and its configuration.

    Args:
        experiment: the configuration.
        sources: the files that it learns from, their SHA-256 by track.
        split: which track is in which part.
        runs: where run folders are made.
        statements: what the user has stated; kept beside the configuration, no part of it.
    Raises:
        KitError: it cannot be written.
    """
    stem = time.strftime("%Y%m%d-%H%M%S")
    run = Run(runs / experiment.name / f"{stem}-{identity(experiment, sources)}")
    try:
        with atomic_write(run._split) as stream:
            split.to_csv(stream, index=False, lineterminator="\n")
        # Last, since a folder with this file counts as a run.
        write_json(run._config, _with({"experiment": to_dict(experiment)}, statements))
    except KitError:
        if not run._config.is_file():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run


def _with(config: dict[str, Any], statements: Sequence[str]) -> dict[str, Any]:
    """A run's config.json with statements added; without any, as it was."""
    there = list(config.get("statements") or ())
    new = [text for text in statements if text not in there]
    return config | {"statements": there + new} if new else config

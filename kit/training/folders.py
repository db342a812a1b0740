"""Run folders, runs/<experiment>/<time>-<id>, keyed by a hash of the experiment and its inputs."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kit.config import Experiment, hash_of, to_dict
from kit.config import identity as identity_of
from kit.errors import KitError, UsageError
from kit.training.members import Plan
from kit.training.run import SPLIT_COLUMNS, Run


def identity(
    experiment: Experiment, sources: Mapping[str, str], split: pd.DataFrame, code: str = ""
) -> str:
    """Return eight hexadecimal digits that identify a configuration and its training data.

    The paths of the catalogue and of the model's file do not count.

    Args:
        experiment: the configuration.
        sources: hash of each track's file.
        split: label, group and part, or fold, of each track.
        code: source of a user's model.
    """
    config = identity_of(experiment)
    del config["catalogue"]
    model = config["model"]
    model["name"] = model["name"].rpartition(":")[2]
    model.pop("file", None)
    columns = [*SPLIT_COLUMNS[:-1], split.columns[-1]]
    rows = split.loc[:, columns].sort_values("track_id").to_numpy().tolist()
    return hash_of([config, sorted(sources.items()), rows, code], 8)


def find(experiment: Experiment, key: str, runs: Path) -> Run | None:
    """Return the newest run of an experiment with this `identity`, finished or not."""
    found = sorted((runs / experiment.name).glob(f"*-{key}"))
    whole = [folder for folder in found if (folder / "config.json").is_file()]
    return Run(whole[-1]) if whole else None


def create(plan: Plan, key: str, runs: Path, *, statements: Sequence[str] = ()) -> Run:
    """Make the folder of a new run, and those of the runs inside it.

    Raises:
        KitError: a folder cannot be written.
    """
    run = Run(_new_folder(runs / plan.experiment.name, key))
    try:
        _fill(run, plan, statements)
    except KitError:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run


def _fill(run: Run, plan: Plan, statements: Sequence[str]) -> None:
    # Write the outer run last: it counts as a run only once the inner ones exist.
    for name, inner in plan.inside.items():
        _fill(Run(run.folder / name), inner, statements)
    config: dict[str, Any] = {"experiment": to_dict(plan.experiment), "data": dict(plan.facts)}
    if plan.inside:
        config["holds"] = list(plan.inside)
    run.write(plan.table, config, statements)


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
    raise KitError(f"{place} has a hundred runs of this second; start fewer at once")


def listing(runs: Path | str = "runs") -> list[Run]:
    """Return all runs under a folder, newest first.

    Example:
        >>> len(kit.training.listing("runs"))
        1
    """
    folders = [config.parent for config in Path(runs).glob("*/*/config.json")]
    return [Run(folder) for folder in sorted(folders, key=lambda f: (f.name, f), reverse=True)]


def locate(name: Path | str | None, runs: Path | str = "runs") -> Run:
    """Return a run by name.

    Args:
        name: a run's folder; an experiment's name or folder, for its newest run; or None for the
            newest run of all.
        runs: folder of the run folders.
    Raises:
        UsageError: no run has this name.

    Example:
        >>> kit.training.locate("tiny").finished()
        True
    """
    if name is None:
        found = listing(runs)
        if not found:
            raise UsageError(f"{runs} has no run; train one with `kit train`")
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

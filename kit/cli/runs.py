"""`kit runs`."""

import time
from pathlib import Path
from typing import Annotated, Any

import tyro

from kit.cli.arguments import Format
from kit.errors import KitError, UsageError

_STAMP = "%Y%m%d-%H%M%S"


def runs(
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = Path("runs"),
    format: Format = "table",
) -> int:
    """List the runs, newest first, with their scores.

    The accuracy is the share of test tracks that are predicted correctly, with its 95% interval;
    it is empty before `kit evaluate`. If tracks have several labels, the score is "map", the mean
    average precision, with its interval.

    Example: kit runs --format csv

    Args:
        folder: Folder that contains the run folders.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; train a run with `kit train`, or give another")
    from kit import terminal
    from kit.cli.output import write_rows
    from kit.training.folders import listing

    found = listing(folder)
    if not found:
        terminal.say(f"no runs in {folder}; train one with `kit train`")
        return 0
    rows = [_row(run) for run in found]
    several = any("map" in row for row in rows)
    write_rows(format, [row | {"map": row.get("map")} if several else row for row in rows])
    return 0


def _row(run: Any) -> dict[str, Any]:
    """Return the row of a `kit.training.Run`."""
    row: dict[str, Any] = {
        "run": str(run.folder),
        "experiment": run.folder.parent.name,
        "started": _started(run.folder.name),
        **dict.fromkeys(("state", "accuracy", "low", "high", "tracks")),
    }
    try:
        row["state"] = "finished" if run.finished() else _so_far(run)
        scores = run.scores
        test = scores[(scores["part"] == "test") & (scores["level"] == "track")]
        for score in test.to_dict("records"):
            row["tracks"] = int(score["n"])
            row |= {name: _number(score.get(name)) for name in ("accuracy", "low", "high")}
            if "accuracy" not in score:
                row["map"] = _number(score["mean_average_precision"])
    except KitError:
        row["state"] = "damaged"
    return row


def _so_far(run: Any) -> str:
    if not run.inside:
        return f"after {len(run.metrics())} epochs"
    finished = [network.finished() for network in run.trainings]
    return f"{sum(finished)} of {len(finished)} networks"


def _number(value: Any) -> float | None:
    return None if value is None or value != value else round(float(value), 6)


def _started(name: str) -> str | None:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(name[:15], _STAMP))
    except ValueError:
        return None

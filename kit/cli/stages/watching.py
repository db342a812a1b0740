"""Show the epochs of a training on the screen."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kit.config import Experiment
from kit.errors import UsageError
from kit.training.board import Board
from kit.training.run import Run
from kit.training.scores import checkpoint_score
from kit.training.stopping import early_stop_in_words

Rows = Sequence[Mapping[str, Any]]
COLUMNS = {
    "epoch": "epoch",
    "step": "step",
    "train_loss": "train loss",
    "validation_loss": "validation loss",
    "train_accuracy": "train accuracy",
    "validation_accuracy": "validation accuracy",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "segments_per_s": "segments/s",
}
_SHOWN = 15  # last epochs
_BLOCKS = "▁▂▃▄▅▆▇█"


def require_seconds(every_s: float) -> None:
    """Check the time between two updates.

    Raises:
        UsageError: it is not above 0.
    """
    if not every_s > 0:
        raise UsageError(f"--every-s is {every_s}; give seconds above 0")


def follow(run: Run, *, once: bool, every_s: float, tensorboard: bool) -> None:
    """Show the epochs of a training until it ends.

    Raises:
        UsageError: the folder is not a run, or TensorBoard's files cannot be written.
        KitError: a file of the run is damaged.
    """
    board = Board(run.folder / "tensorboard") if tensorboard else None
    with screen(run.folder, run.experiment()) as show:
        while True:
            ended = run.finished()
            rows = run.metrics()
            show(rows, ended)
            if board:
                board.add(rows)
            if ended or once:
                return
            time.sleep(every_s)


@contextlib.contextmanager
def screen(folder: Path, experiment: Experiment) -> Iterator[Callable[[Rows, bool], None]]:
    """Yield a function that shows the epochs of a run, given all rows and whether it has ended.

    In a terminal they are a live table, otherwise one line each.
    """
    console = Console(highlight=False)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda rows, ended: live.update(
                drawn(folder, experiment, rows, ended), refresh=True
            )
        return
    sys.stdout.write("\t".join(COLUMNS) + "\n")
    shown = 0

    def show(rows: Rows, _ended: bool) -> None:
        nonlocal shown
        for row in rows[shown:]:
            sys.stdout.write("\t".join(_cell(row.get(name)) for name in COLUMNS) + "\n")
        shown = len(rows)
        sys.stdout.flush()

    yield show


def drawn(folder: Path, experiment: Experiment, rows: Rows, ended: bool) -> Group:
    """Return a title, a table of the last epochs, and sparklines of the losses."""
    title = Text(f"{folder}: {_state(experiment, rows, ended)}", style="bold", overflow="fold")
    if not rows:
        return Group(title)
    table = Table(box=None, pad_edge=False)
    for title_of in COLUMNS.values():
        table.add_column(title_of, justify="right", overflow="fold")
    best = min(rows, key=checkpoint_score)
    for row in rows[-_SHOWN:]:
        cells = [_cell(row.get(name)) for name in COLUMNS]
        table.add_row(*cells, style="green" if row is best else None)
    courses = [
        Text(f"{COLUMNS[name]:>15} {course([row.get(name) for row in rows])}", no_wrap=True)
        for name in ("train_loss", "validation_loss")
    ]
    return Group(title, table, Text(f"best: epoch {best['epoch']}", style="green"), *courses)


def course(values: Sequence[float | None], width: int = 60) -> str:
    """Return a sparkline from the lowest to the highest value; empty without values.

    Args:
        values: values over time; None is skipped.
        width: maximum number of characters; more values are averaged.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    size = -(-len(known) // width)
    parts = [known[start : start + size] for start in range(0, len(known), size)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    steps = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((mean - low) * steps)] for mean in means)


def _state(experiment: Experiment, rows: Rows, ended: bool) -> str:
    epochs = experiment.train.epochs
    if ended:
        return early_stop_in_words(rows, experiment) or f"finished, {epochs} epochs"
    if not rows:
        return f"no epoch of {epochs} has ended yet"
    left_s = (epochs - len(rows)) * sum(row["seconds"] for row in rows) / len(rows)
    clock = time.strftime("%H:%M:%S", time.gmtime(left_s))
    days = f"{int(left_s // 86400)} d " if left_s >= 86400 else ""
    return f"{len(rows)} of {epochs} epochs, about {days}{clock} of training left"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4g}"

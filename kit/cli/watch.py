"""`kit watch`."""

import time
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Flag, Runs

RunOrNewest = Annotated[
    Path | None,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[RUN]", help_behavior_hint=""),
]


def watch(
    run: RunOrNewest = None,
    runs: Runs = Path("runs"),
    once: Flag = False,
    every_s: float = 2.0,
    tensorboard: Flag = False,
) -> int:
    """Show the epochs of a training as they end, until the training has ended.

    Ctrl-C ends the watching, not the training. A run that has ended is shown as it is. Where the
    output is not a terminal, each epoch is a line.

    Example: kit watch

    Example: kit watch runs/train/20261127-093450-036a2bd6 --tensorboard

    Args:
        run: Folder that `kit train` made, or name of an experiment, which stands for its newest
            run; the newest run of all if it is left out.
        runs: Folder of the run folders.
        once: Show what is there now, and end.
        every_s: Seconds between two looks at the run.
        tensorboard: Write the numbers for TensorBoard too, into RUN/tensorboard. Needs
            pip install 'genre-kit[tensorboard]'; look at them by tensorboard --logdir RUNS
    """
    from kit.cli.stages.watching import Screen, require_seconds
    from kit.training.board import Board
    from kit.training.run import locate

    require_seconds(every_s)
    found = locate(run, runs)
    experiment = found.experiment()
    board = Board(found.folder / "tensorboard") if tensorboard else None
    with Screen(found.folder, experiment) as show:
        while True:
            ended = found.finished()
            rows = found.metrics()
            show(rows, ended)
            if board:
                board.add(rows)
            if ended or once:
                return 0
            time.sleep(every_s)

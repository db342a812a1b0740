"""`kit watch`."""

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

    Ctrl-C ends the watching, not the training. A run that has ended is shown as it is; of folds and
    members, one network after another. Where the output is not a terminal, each epoch is a line.

    Example: kit watch

    Example: kit watch runs/train/20261127-093450-036a2bd6 --tensorboard

    Args:
        run: Folder that `kit train` made, or name of an experiment, which stands for its newest
            run; the newest run of all if it is left out.
        runs: Folder of the run folders.
        once: Show what is there now, and end; of folds and members, the network in training.
        every_s: Seconds between two looks at the run.
        tensorboard: Write the numbers for TensorBoard too, into RUN/tensorboard. Needs
            pip install 'genre-kit[tensorboard]'; look at them by tensorboard --logdir RUNS
    """
    from kit.cli.stages.watching import follow, require_seconds
    from kit.training.folders import locate

    require_seconds(every_s)
    trainings = locate(run, runs).trainings
    if once:
        open_ones = [one for one in trainings if not one.finished()]
        trainings = [*open_ones, trainings[-1]][:1]
    for one in trainings:
        follow(one, once=once, every_s=every_s, tensorboard=tensorboard)
    return 0

"""`kit watch`."""

from pathlib import Path

from kit.cli.arguments import Flag, RunOrNewest, Runs


def watch(
    run: RunOrNewest = None,
    runs: Runs = Path("runs"),
    once: Flag = False,
    every_s: float = 2.0,
    tensorboard: Flag = False,
) -> int:
    """Follow a training run epoch by epoch until it ends.

    Ctrl-C stops this command, not the training. The networks of folds and members are shown one
    after another. If the output is not a terminal, each epoch is one line.

    Example: kit watch

    Example: kit watch runs/train/20261127-093450-036a2bd6 --tensorboard

    Args:
        once: Show the current state and exit; of folds and members, the network in training.
        every_s: Seconds between two updates.
        tensorboard: Also write TensorBoard's files to RUN/tensorboard. Needs
            pip install 'genre-kit[tensorboard]'; view them with tensorboard --logdir RUNS
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

"""`kit evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot, Runs, require_catalogue

Chosen = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[RUN ...]", help_behavior_hint=""),
]


def evaluate(
    run: Chosen = (),
    catalogue: PathOrNot = None,
    part: Literal["test", "validation", "train", "all"] = "test",
    checkpoint: Literal["best", "last"] = "best",
    explain: Flag = False,
    runs: Runs = Path("runs"),
) -> int:
    """Score runs on their held-out tracks, and write reports.

    A run's scores and report.html go into its folder; those of another part than "test" are named
    after the part. A run of folds is scored on all its tracks, each by the network of its fold.
    Features that are missing are computed first.

    Example: kit evaluate

    Example: kit evaluate runs/train/* --part validation

    Example: kit evaluate --explain

    Args:
        run: Folders that `kit train` made, or names of experiments, which stand for their newest
            run; the newest run of all if none is given.
        catalogue: Folder of the catalogue, if it is not where it was in training.
        part: Which part of the run's split; "all" for another collection than it was trained on.
        checkpoint: The one with the highest validation accuracy, or the least validation loss if
            tracks have several labels; or the last.
        explain: Show in the report what the network listened to: for the surest right answer of
            each label and for two mistakes, the places of the spectrogram that the answer rests on.
            Takes seconds a track, but with musicnn some minutes on a CPU.
        runs: Folder of the run folders.
    """
    if catalogue is not None:
        require_catalogue(catalogue)
    from kit.catalogue import load
    from kit.cli.stages.evaluation import evaluate as stage
    from kit.training.folders import locate

    found = [locate(name, runs) for name in run or (None,)]
    tracks = None if catalogue is None else load(catalogue)
    for one in found:
        stage(
            one,
            catalogue=tracks,
            part=part,
            which=checkpoint,
            explain=explain,
            named=len(found) > 1 or not run,
        )
    return 0

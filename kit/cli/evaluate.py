"""`kit evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot, Repeated, Runs, require_catalogue

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
    labels_map: Repeated = (),
    explain: Flag = False,
    runs: Runs = Path("runs"),
) -> int:
    """Score runs on their held-out tracks, and write reports.

    A run's scores and report.html go into its folder; those of another part than "test" are named
    after the part. A run of folds is scored on all its tracks, each by the network of its fold.
    Features that are missing are computed first. The test part also gives calibration.json, from
    which `kit predict` says how certain it is, and doubtful.csv, a list of labels to check.

    Example: kit evaluate

    Example: kit evaluate runs/train/* --part validation

    Example: kit evaluate train --catalogue data/other --part all --labels-map "Tech House=house"

    Example: kit evaluate --explain

    Args:
        run: Folders that `kit train` made, or names of experiments, which stand for their newest
            run; the newest run of all if none is given.
        catalogue: Folder of the catalogue, if it is not where it was in training.
        part: Which part of the run's split; "all" for another collection than it was trained on.
        checkpoint: The one with the highest validation accuracy, or the least validation loss if
            tracks have several labels; or the last.
        labels_map: Label of another collection and the run's label for it, as "THEIRS=OURS"; or a
            CSV file with the columns from and to. Repeat it; several labels may become one. A
            label that is neither mapped nor known to the run is left out and counted.
        explain: Show in the report which parts of the spectrogram an answer depends on, for the
            most certain right answer of each label and for two mistakes. It takes seconds a track,
            or minutes with musicnn on a CPU.
        runs: Folder of the run folders.
    """
    if catalogue is not None:
        require_catalogue(catalogue)
    from kit.catalogue import load
    from kit.cli.stages.evaluation import evaluate as stage
    from kit.evaluation.another import parse_map
    from kit.training.folders import locate

    found = [locate(name, runs) for name in run or (None,)]
    tracks = None if catalogue is None else load(catalogue)
    mapped = parse_map(labels_map)
    for one in found:
        stage(
            one,
            catalogue=tracks,
            part=part,
            which=checkpoint,
            labels_map=mapped,
            explain=explain,
            named=len(found) > 1 or not run,
        )
    return 0

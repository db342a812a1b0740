"""`kit evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot, Repeated, Runs, opened

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

    Scores and report.html are written to the run's folder; for parts other than "test", the file
    names contain the part. A run of folds is scored on all its tracks, each by the network that was
    trained without it. Missing features are computed first. The test part also yields
    calibration.json, from which `kit predict` computes its certainty, and doubtful.csv, a list of
    labels to check.

    Example: kit evaluate

    Example: kit evaluate runs/train/* --part validation

    Example: kit evaluate train --catalogue data/other --part all --labels-map "Tech House=house"

    Example: kit evaluate --explain

    Args:
        run: Folders that `kit train` made, or names of experiments for their newest run; the newest
            of all runs if not given.
        catalogue: Folder of the catalogue, if it has moved since training.
        part: Part of the run's split; "all" for a collection that the run was not trained on.
        checkpoint: The best checkpoint (highest validation accuracy, or lowest validation loss if
            tracks have several labels), or the last one.
        labels_map: Map a label of another collection to a label of the run, as "THEIRS=OURS", or
            give a CSV file with the columns from and to. Can be repeated; several labels may map to
            one. Tracks whose label is neither mapped nor known to the run are left out and counted.
        explain: Show in the report which parts of the spectrogram a prediction depends on, for the
            most certain correct prediction of each label and for two errors. Takes seconds per
            track, or minutes with musicnn on a CPU.
    """
    tracks = None if catalogue is None else opened(catalogue)
    from kit.cli.stages.evaluation import evaluate as stage
    from kit.evaluation.another import parse_map
    from kit.training.folders import locate

    found = [locate(name, runs) for name in run or (None,)]
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

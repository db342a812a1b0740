"""Score a run, and write its report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit import terminal
from kit.catalogue import Catalogue, load
from kit.cli.stages.features import compute
from kit.compilation import use_cache
from kit.errors import UsageError
from kit.evaluation import evaluate as score
from kit.evaluation import evaluation_in_words
from kit.evaluation.another import prepared
from kit.evaluation.parts import Part, file_name, place
from kit.evaluation.sections import sentences
from kit.training import Run, restore
from kit.training.checkpoint import Which


def evaluate(
    run: Run,
    *,
    catalogue: Catalogue | None = None,
    part: Part = "test",
    which: Which = "best",
    labels_map: Mapping[str, str] | None = None,
    explain: bool = False,
    named: bool = False,
) -> dict[str, Any]:
    """Compute missing features and score a run, with progress bars and a summary.

    If `named`, it begins with the run's folder; the others are as for `kit.evaluation.evaluate`.

    Raises:
        UsageError: the catalogue has moved, or the run was trained on arrays.
    """
    use_cache()
    if named:
        terminal.say(f"run: {run.folder}")
    experiment = run.experiment()
    if run.facts().get("kind") == "arrays":
        raise UsageError(
            f"{run.folder} was trained on arrays, which kit does not store; give "
            "kit.fit_arrays the same arrays to score it"
        )
    folder = Path(experiment.catalogue)
    if catalogue is None and not folder.is_dir():
        raise UsageError(f"the catalogue {folder} of the training does not exist; set --catalogue")
    tracks = load(folder) if catalogue is None else catalogue
    if labels_map:
        prepared(tracks, run, restore(run.folder, which), part, labels_map)  # raises, before work
    compute(tracks, experiment.features, segments=experiment.segments, asker="run", brief=True)
    with terminal.bar("evaluate") as progress:
        result = score(
            run,
            catalogue=tracks,
            part=part,
            which=which,
            labels_map=labels_map,
            explain=explain,
            progress=progress,
        )
    for sentence in (*evaluation_in_words(result), *sentences(result)):
        terminal.say(sentence)
    terminal.say(f"report: {run.folder / file_name('report', place(result), '.html')}")
    return result

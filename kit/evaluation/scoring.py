"""Score a run on tracks, and write evaluation.json, the cards and the report."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from kit.catalogue import Catalogue
from kit.errors import KitError
from kit.evaluation import another, doubtful
from kit.evaluation.answers import (
    Progress,
    Scores,
    open_catalogue,
    open_store,
    score_items,
    score_part,
)
from kit.evaluation.baselines.beside import NETWORK, RECIPE, find, in_their_midst
from kit.evaluation.certainty import LEAST_TRACKS, Certainty
from kit.evaluation.data_card import NAME as DATA_CARD
from kit.evaluation.data_card import data_card
from kit.evaluation.explain.tracks import Explained, explained, require_network
from kit.evaluation.folds import mean_metrics, out_of_fold, predictions_in_csv, require_one_split
from kit.evaluation.measured_certainty import certainty
from kit.evaluation.model_card import NAME as MODEL_CARD
from kit.evaluation.model_card import model_card
from kit.evaluation.parts import Part, file_name, place
from kit.evaluation.reproduce import configurations_tried, reproduction
from kit.evaluation.sections import sections
from kit.evaluation.summary import summary
from kit.files import write_json, write_text
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which

Score = Callable[[Run, Restored, Part, Progress | None], Scores]
"""Returns the answers of a run's network for one part."""


def evaluate(
    run: Run | Path | str,
    *,
    catalogue: Catalogue | Path | str | None = None,
    part: Part = "test",
    which: Which = "best",
    labels_map: Mapping[str, str] | None = None,
    report: bool = True,
    explain: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Restore a run, score one part of its tracks, and write evaluation.json and a report.

    Compute the features first. In a run of folds the test part is every track, scored by the
    network of its fold; out_of_fold.csv has the predictions. The test part also gives
    calibration.json, which `kit predict` reads, and doubtful.csv, the labels that the network
    contradicts. Files of other parts carry the part's name: `evaluation-train.json`,
    `report-train.html`. Files of another collection carry its folder's name too:
    `evaluation-all-NAME.json`.

    Args:
        run: a run, or its folder.
        catalogue: the tracks, if they are not in the folder that the configuration names.
        part: of the run's split; "all" scores every track of the catalogue, such as another
            collection.
        which: the best checkpoint, or the last one.
        labels_map: another collection's labels to the run's labels. Tracks whose label neither the
            map nor the run knows are left out.
        report: also write figures and the page. Without them no plotting library is imported.
        explain: also show attribution maps of a few tracks in the report.
        progress: called with (tracks scored, tracks in all).
    Returns:
        The content of evaluation.json, see docs/evaluation-json.md.
    Raises:
        UsageError: the catalogue is not a folder, or the run has no network to explain.
        KitError: the run, its checkpoint, the part or the features are missing, the run does not
            know a label, or a folder cannot be written.

    Example:
        >>> found = kit.evaluate(kit.training.locate("tiny"), report=False)
        >>> found["track"]["n"]
        4
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    require_one_split(run, part)
    restored = restore(run.folder, which)
    if explain:
        require_network(restored)
    tracks, other = another.prepared(
        open_catalogue(restored, catalogue), run, restored, part, labels_map
    )

    def score(run: Run, network: Restored, part: Part, said: Progress | None) -> Scores:
        return score_part(run, network, tracks, part, said)

    evaluation, kept = _evaluation(run, restored, part, score, progress)
    if part == "test" and not restored.experiment.train.several:
        evaluation["baselines"] = _baselines(run, evaluation, tracks)
    if other:
        evaluation |= other
        evaluation["collection"] |= another.beside_own_test(evaluation, run)
    _save(run, restored, evaluation, kept, None if catalogue is None else tracks.folder)
    if report:
        store = open_store(tracks, restored.experiment.features)

        def spectrogram(track_id: str) -> np.ndarray:
            return store.read_log_mel([track_id])[0][: int(store.frames([track_id])[0])]

        rows = evaluation["tracks"]
        maps = explained(run, restored, rows, store, progress) if explain else ()
        audio_of = partial(_audio, tracks)
        _write_report(run, restored, evaluation, tracks, audio_of, spectrogram, maps)
    return evaluation


def score_arrays(
    run: Run | Path | str,
    x: np.ndarray,
    y: Sequence[Any] | np.ndarray,
    *,
    frames: Int[np.ndarray, " items"] | None = None,
    parts: Sequence[Part] = ("test",),
    which: Which = "best",
    report: bool = True,
) -> dict[str, Any]:
    """Score a run that was trained from arrays, and write evaluation.json and a report.

    Args:
        run: the result of `kit.training.fit_arrays`, or its folder.
        x: the arrays of the training, (items, frames, n_mels), in the same order.
        y: the label of each item.
        frames: number of valid frames of each item; all if None.
        parts: of the run's split.
        which: the best checkpoint, or the last one.
        report: also write figures and the page, which has no sound.
    Returns:
        The evaluation of the first part.
    Raises:
        KitError: the run or its checkpoint is missing, or the arrays are not those of the training.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    restored = restore(run.folder, which)
    x = np.asarray(x)
    row_of = {str(track_id): i for i, track_id in enumerate(run.split()["track_id"])}

    def score(run: Run, network: Restored, part: Part, _: Progress | None) -> Scores:
        return score_items(run, network, x, y, frames, part)

    def spectrogram(item: str) -> np.ndarray:
        at = row_of[item]
        return x[at] if frames is None else x[at][: int(frames[at])]

    evaluations = []
    for part in parts:
        require_one_split(run, part)
        evaluation, kept = _evaluation(run, restored, part, score)
        _save(run, restored, evaluation, kept, None)
        if report:
            _write_report(run, restored, evaluation, None, None, spectrogram)
        evaluations.append(evaluation)
    return evaluations[0]


def _evaluation(
    run: Run, restored: Restored, part: Part, score: Score, progress: Progress | None = None
) -> tuple[dict[str, Any], Certainty | None]:
    """Return evaluation.json of a part and, for a test part of one label a track, calibration."""
    folded = run.is_folded and part == "test"
    if folded:
        scores, folds = out_of_fold(run, restored.which, score, progress)
        evaluation = summary(run, restored, scores) | {"folds": folds}
        write_text(run.folder / "out_of_fold.csv", predictions_in_csv(evaluation))
    else:
        scores = score(run, restored, part, progress)
        evaluation = summary(run, restored, scores)
    if restored.experiment.train.several or part != "test":
        return evaluation, None
    enough = list(run.split()["part"]).count("validation") >= LEAST_TRACKS
    held = score(run, restored, "validation", None) if enough and not folded else None
    entries, kept, scaled = certainty(restored, scores, held)
    rows = doubtful.doubtful(evaluation["tracks"], list(restored.labels), np.exp(scaled))
    return evaluation | entries | {"doubtful": rows}, kept


def _baselines(run: Run, evaluation: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the network among the baselines of its split, or the command that computes them."""
    table = run.folds() if run.is_folded else run.split()
    found = find(table, (run.folder, catalogue.folder))
    name = RECIPE if isinstance(run.experiment().model, SmallSetConfig) else NETWORK
    beside = in_their_midst(evaluation["tracks"], table, found, name) if found else None
    command = ["kit", "baselines", str(catalogue.folder), "--run", str(run.folder)]
    return beside or {"command": shlex.join(command)}


def _save(
    run: Run,
    restored: Restored,
    evaluation: dict[str, Any],
    kept: Certainty | None,
    catalogue: Path | None,
) -> None:
    """Add how to reproduce it; write evaluation.json and, if there, calibration and doubtful."""
    part, mapped = evaluation["part"], evaluation.get("collection", {}).get("labels")
    evaluation["made_with"] = reproduction(run, restored, part, catalogue, mapped)
    if part == "test":
        evaluation["configurations_tried"] = configurations_tried(run, evaluation["tracks"])
    write_json(run.folder / file_name("evaluation", place(evaluation), ".json"), evaluation)
    if "doubtful" in evaluation:
        write_text(run.folder / doubtful.NAME, doubtful.in_csv(evaluation["doubtful"]))
    if kept and restored.which == "best":  # `kit predict` uses the best checkpoint
        kept.write(run.folder)


def _write_report(
    run: Run,
    restored: Restored,
    evaluation: dict[str, Any],
    catalogue: Catalogue | None,
    audio_of: Callable[[dict[str, Any]], Path | None] | None,
    spectrogram_of: Callable[[str], np.ndarray],
    maps: Sequence[Explained] = (),
) -> None:
    """Write the cards of a test part, the figures and the page."""
    # Matplotlib and Pillow take longer to import than a small run takes to score.
    from kit.evaluation.confounds.section import section_of as confounds
    from kit.evaluation.explain.section import section_of as attribution
    from kit.evaluation.report import write_figures, write_report

    if evaluation["part"] == "test":
        write_text(run.folder / DATA_CARD, data_card(run, evaluation, catalogue))
        write_text(run.folder / MODEL_CARD, model_card(run, restored, evaluation))
    extra = [confounds(run.folder, evaluation), attribution(maps) if maps else None]
    rows = mean_metrics(run)
    write_figures(run.folder, evaluation, rows)
    write_report(
        run.folder,
        evaluation,
        rows,
        audio_of=audio_of,
        spectrogram_of=spectrogram_of,
        sections=[*sections(evaluation), *filter(None, extra)],
    )


def _audio(catalogue: Catalogue, row: dict[str, Any]) -> Path | None:
    try:
        return catalogue.path_of(row)
    except KitError:
        return None  # The page says that there is no file.

"""Score a run on tracks, and write what was found."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from kit.catalogue import Catalogue, load
from kit.errors import KitError, UsageError
from kit.evaluation import another, doubtful
from kit.evaluation.answers import open_store, score_items, score_part
from kit.evaluation.baselines.beside import NETWORK, RECIPE, find, in_their_midst
from kit.evaluation.certainty import LEAST_TRACKS, Certainty, certainty
from kit.evaluation.data_card import NAME as DATA_CARD
from kit.evaluation.data_card import data_card
from kit.evaluation.explain.tracks import Explained, explained, require_network
from kit.evaluation.folds import (
    fold_counts,
    mean_metrics,
    out_of_fold,
    predictions_in_csv,
    require_one_split,
)
from kit.evaluation.model_card import NAME as MODEL_CARD
from kit.evaluation.model_card import model_card
from kit.evaluation.parts import Part, file_name, place
from kit.evaluation.reproduce import configurations_tried, reproduction
from kit.evaluation.scores import Progress, Scores
from kit.evaluation.sections import sections
from kit.evaluation.summary import summary
from kit.features import FeatureStore
from kit.files import write_json, write_text
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which


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

    The features must have been computed. In a run of folds the test part is every track, scored by
    the network of its fold; out_of_fold.csv has the predictions. The files of another part than
    the test part have its name: `evaluation-train.json`, `report-train.html`,
    `confusion-train.png`. Those of another collection have its folder's name too:
    `evaluation-all-NAME.json`. Of the test part, calibration.json has what `kit predict` needs to
    say how sure an answer is, and doubtful.csv the labels that the network contradicts.

    Args:
        run: a run, or its folder, on the machine that made it or on another one.
        catalogue: the tracks, if they are not in the folder that the run's configuration names.
        part: of the run's split; "all" scores every track of the catalogue, such as another
            collection.
        which: the best checkpoint, or the last one.
        labels_map: of another collection, its labels to those of the run; labels that neither the
            map nor the run knows are left out.
        report: also write the figures and the page. Without them no plotting library is imported.
        explain: also show in the report what the network listened to in a few tracks.
        progress: called with (tracks scored, tracks in all).
    Returns:
        The content of evaluation.json; `not_scored` counts the tracks of the part that have no
        features or are not in the catalogue, and `seen` those that training has seen. For the
        test part, `baselines` has the network among the baselines of its split if `kit baselines`
        has computed them, and else the command that does.
    Raises:
        UsageError: the catalogue is not a folder, or there is no network to explain.
        KitError: no run or checkpoint, no such part, no features, a label that the run does not
            know, or a folder that cannot be written.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    require_one_split(run, part)
    restored = restore(run.folder, which)
    if explain:
        require_network(restored)
    tracks, other = another.prepared(
        _catalogue(restored, catalogue), run, restored, part, labels_map
    )
    if run.is_folded and part == "test":
        store = open_store(tracks, restored.experiment.features)
        evaluation, kept = _evaluated_by_fold(
            run,
            restored,
            which,
            lambda fold, network, said: score_part(fold, network, tracks, "test", said)[1],
            progress,
        )
    else:
        store, scores = score_part(run, restored, tracks, part, progress)
        evaluation, kept = _certain(
            run,
            restored,
            scores,
            summary(run, restored, scores) | other,
            lambda: score_part(run, restored, tracks, "validation")[1],
        )
    if part == "test" and not restored.experiment.train.several:
        evaluation["baselines"] = _baselines(run, evaluation, tracks)
    if other:
        evaluation["collection"] |= another.beside_own_test(evaluation, run)
    given = None if catalogue is None else tracks.folder
    evaluation |= _made_with(run, restored, evaluation, given)
    _save(run, evaluation, kept)
    if report:
        _write_cards(run, restored, evaluation, tracks)
        _write_report(
            run,
            evaluation,
            audio_of=lambda row: _audio(tracks, row),
            spectrogram_of=lambda track_id: _valid(store, track_id),
            explained=explained(run, which, evaluation["tracks"], store, progress)
            if explain
            else (),
        )
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
        run: what `kit.training.fit_arrays` returned, or its folder.
        x: the items that it was trained with, (items, frames, n_mels), in the same order.
        y: the label of each item.
        frames: number of valid frames of each item; all if None.
        parts: of the run's split.
        which: the best checkpoint, or the last one.
        report: also write the figures and the page, which has no sound.
    Returns:
        The evaluation of the first part.
    Raises:
        KitError: no run or checkpoint, or not the arrays that it was trained with.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    restored = restore(run.folder, which)
    x = x if isinstance(x, np.ndarray) else np.asarray(x)
    row_of = {str(track_id): i for i, track_id in enumerate(run.split()["track_id"])}
    evaluations = []
    for part in parts:
        require_one_split(run, part)
        if run.is_folded and part == "test":
            evaluation, kept = _evaluated_by_fold(
                run,
                restored,
                which,
                lambda fold, network, _: score_items(fold, network, x, y, frames, "test"),
            )
        else:
            scores = score_items(run, restored, x, y, frames, part)
            evaluation, kept = _certain(
                run,
                restored,
                scores,
                summary(run, restored, scores),
                lambda: score_items(run, restored, x, y, frames, "validation"),
            )
        evaluation |= _made_with(run, restored, evaluation, None)
        _save(run, evaluation, kept)
        if report:
            _write_cards(run, restored, evaluation, None)
            _write_report(
                run,
                evaluation,
                audio_of=None,
                spectrogram_of=lambda item: _of_item(x, frames, row_of[item]),
            )
        evaluations.append(evaluation)
    return evaluations[0]


def _baselines(run: Run, evaluation: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the network among the baselines of its split, or the command that computes them."""
    table = run.folds() if run.is_folded else run.split()
    found = find(table, (run.folder, catalogue.folder))
    name = RECIPE if isinstance(run.experiment().model, SmallSetConfig) else NETWORK
    beside = in_their_midst(evaluation["tracks"], table, found, name) if found else None
    command = ["kit", "baselines", str(catalogue.folder), "--run", str(run.folder)]
    return beside or {"command": shlex.join(command)}


def _made_with(
    run: Run, restored: Restored, evaluation: dict[str, Any], catalogue: Path | None
) -> dict[str, Any]:
    """Return `made_with` and, for the test part, `configurations_tried` of evaluation.json."""
    part, tracks = evaluation["part"], evaluation["tracks"]
    mapped = evaluation.get("collection", {}).get("labels")
    made = {"made_with": reproduction(run, restored, part, catalogue, mapped)}
    return made | (
        {"configurations_tried": configurations_tried(run, tracks)} if part == "test" else {}
    )


def _evaluated_by_fold(
    run: Run,
    restored: Restored,
    which: Which,
    score: Callable[[Run, Restored, Progress | None], Scores],
    progress: Progress | None = None,
) -> tuple[dict[str, Any], Certainty | None]:
    """Return `_certain` of the out-of-fold predictions, and write these as CSV."""
    scores, folds = out_of_fold(run, which, score, progress)
    evaluation = summary(run, restored, scores)
    several = restored.experiment.train.several
    evaluation |= {"split": fold_counts(run, several), "folds": folds}
    write_text(run.folder / "out_of_fold.csv", predictions_in_csv(evaluation))
    return _certain(run, restored, scores, evaluation)


def _certain(
    run: Run,
    restored: Restored,
    scores: Scores,
    evaluation: dict[str, Any],
    validation: Callable[[], Scores] | None = None,
) -> tuple[dict[str, Any], Certainty | None]:
    """Return an evaluation with how sure answers are, and what predictions need of it.

    An evaluation of several labels a track, and of another part than the test part, is as it was.

    Args:
        run: the run.
        restored: its network.
        scores: of the test part, or of all folds.
        evaluation: of these scores.
        validation: gives the answers for the validation part; None for a run of folds.
    """
    if restored.experiment.train.several or scores.part != "test":
        return evaluation, None
    enough = list(run.split()["part"]).count("validation") >= LEAST_TRACKS
    held = validation() if validation and enough else None
    entries, kept, scaled = certainty(restored, scores, held)
    rows = doubtful.doubtful(evaluation["tracks"], evaluation["labels"], np.exp(scaled))
    return evaluation | entries | {"doubtful": rows}, kept


def _save(run: Run, evaluation: dict[str, Any], kept: Certainty | None) -> None:
    """Write evaluation.json, and calibration.json and doubtful.csv if it has them."""
    write_json(run.folder / file_name("evaluation", place(evaluation), ".json"), evaluation)
    if "doubtful" in evaluation:
        write_text(run.folder / doubtful.NAME, doubtful.in_csv(evaluation["doubtful"]))
    if kept and evaluation["checkpoint"]["which"] == "best":  # that of `kit predict`
        kept.write(run.folder)


def _write_cards(
    run: Run, restored: Restored, evaluation: dict[str, Any], catalogue: Catalogue | None
) -> None:
    """Write data-card.md and model-card.md; the cards are about the test part alone."""
    if evaluation["part"] == "test":
        write_text(run.folder / DATA_CARD, data_card(run, evaluation, catalogue))
        write_text(run.folder / MODEL_CARD, model_card(run, restored, evaluation))


def _write_report(
    run: Run,
    evaluation: dict[str, Any],
    *,
    audio_of: Callable[[dict[str, Any]], Path | None] | None,
    spectrogram_of: Callable[[str], np.ndarray],
    explained: Sequence[Explained] = (),
) -> None:
    # Matplotlib and Pillow take longer to import than a small run takes to score.
    from kit.evaluation.confounds.section import section_of as confounds
    from kit.evaluation.explain.section import section_of as maps
    from kit.evaluation.report import write_figures, write_report

    extra = [confounds(run.folder, evaluation), maps(explained) if explained else None]
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


def _valid(store: FeatureStore, track_id: str) -> np.ndarray:
    """Return the features of a track without padding, (frames, n_mels) dB."""
    return store.read_log_mel([track_id])[0][: int(store.frames([track_id])[0])]


def _audio(catalogue: Catalogue, row: dict[str, Any]) -> Path | None:
    try:
        return catalogue.path_of(row)
    except KitError:
        return None  # The page says that there is no file.


def _of_item(x: np.ndarray, frames: np.ndarray | None, at: int) -> np.ndarray:
    return np.asarray(x[at] if frames is None else x[at][: int(frames[at])])


def _catalogue(restored: Restored, given: Catalogue | Path | str | None) -> Catalogue:
    if isinstance(given, Catalogue):
        return given
    if given is None and not restored.experiment.catalogue:
        raise UsageError(
            "this run was trained from arrays, which it does not keep; use "
            "kit.evaluation.score_arrays(run, x, y), or give a catalogue with --catalogue"
        )
    where = Path(given or restored.experiment.catalogue)
    if not where.is_dir():
        raise UsageError(f"{where} is not a folder; say where the tracks are with --catalogue")
    return load(where)

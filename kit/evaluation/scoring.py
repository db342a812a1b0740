"""Score a run on tracks, and write what was found."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy.special import log_softmax

from kit.catalogue import Catalogue, load
from kit.errors import KitError, UsageError
from kit.evaluation import calibration
from kit.evaluation.answers import open_store, score_items, score_part
from kit.evaluation.baselines.beside import NETWORK, RECIPE, find, in_their_midst
from kit.evaluation.data_card import NAME as DATA_CARD
from kit.evaluation.data_card import data_card
from kit.evaluation.folds import (
    fold_counts,
    mean_metrics,
    out_of_fold,
    predictions_in_csv,
    require_one_split,
)
from kit.evaluation.model_card import NAME as MODEL_CARD
from kit.evaluation.model_card import model_card
from kit.evaluation.parts import Part, file_name
from kit.evaluation.reproduce import configurations_tried, reproduction
from kit.evaluation.scores import Progress, Scores
from kit.evaluation.summary import summary
from kit.features import FeatureStore
from kit.files import write_json, write_text
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.collection import targets

LEAST_TRACKS = 10
"""Fewer give no temperature."""


def evaluate(
    run: Run | Path | str,
    *,
    catalogue: Catalogue | Path | str | None = None,
    part: Part = "test",
    which: Which = "best",
    report: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Restore a run, score one part of its tracks, and write evaluation.json and a report.

    The features must have been computed. In a run of folds the test part is every track, scored by
    the network of its fold; out_of_fold.csv has the predictions. The files of another part than
    the test part have its name: `evaluation-train.json`, `report-train.html`,
    `confusion-train.png`.

    Args:
        run: a run, or its folder, on the machine that made it or on another one.
        catalogue: the tracks, if they are not in the folder that the run's configuration names.
        part: of the run's split; "all" scores every track of the catalogue, such as another
            collection.
        which: the best checkpoint, or the last one.
        report: also write the figures and the page. Without them no plotting library is imported.
        progress: called with (tracks scored, tracks in all).
    Returns:
        The content of evaluation.json; `not_scored` counts the tracks of the part that have no
        features or are not in the catalogue, and `seen` those that training has seen. For the
        test part, `baselines` has the network among the baselines of its split if `kit baselines`
        has computed them, and else the command that does.
    Raises:
        UsageError: the catalogue is not a folder.
        KitError: no run or checkpoint, no such part, no features, a label that the run does not
            know, or a folder that cannot be written.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    require_one_split(run, part)
    restored = restore(run.folder, which)
    tracks = _catalogue(restored, catalogue)
    if run.is_folded and part == "test":
        store = open_store(tracks, restored.experiment.features)
        evaluation = _evaluated_by_fold(
            run,
            restored,
            which,
            lambda fold, network, said: score_part(fold, network, tracks, "test", said)[1],
            progress,
        )
    else:
        store, scores = score_part(run, restored, tracks, part, progress)
        evaluation = summary(run, restored, scores) | _calibration(
            run, restored, scores, lambda: score_part(run, restored, tracks, "validation")[1]
        )
    if part == "test" and not restored.experiment.train.several:
        evaluation["baselines"] = _baselines(run, evaluation, tracks)
    given = None if catalogue is None else tracks.folder
    evaluation |= _made_with(run, restored, evaluation, given)
    write_json(run.folder / file_name("evaluation", part, ".json"), evaluation)
    if report:
        _write_cards(run, restored, evaluation, tracks)
        _write_report(
            run,
            evaluation,
            audio_of=lambda row: _audio(tracks, row),
            spectrogram_of=lambda track_id: _valid(store, track_id),
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
            evaluation = _evaluated_by_fold(
                run,
                restored,
                which,
                lambda fold, network, _: score_items(fold, network, x, y, frames, "test"),
            )
        else:
            scores = score_items(run, restored, x, y, frames, part)
            evaluation = summary(run, restored, scores) | _calibration(
                run,
                restored,
                scores,
                lambda: score_items(run, restored, x, y, frames, "validation"),
            )
        evaluation |= _made_with(run, restored, evaluation, None)
        write_json(run.folder / file_name("evaluation", part, ".json"), evaluation)
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
    made = {"made_with": reproduction(run, restored, part, catalogue)}
    return made | (
        {"configurations_tried": configurations_tried(run, tracks)} if part == "test" else {}
    )


def _evaluated_by_fold(
    run: Run,
    restored: Restored,
    which: Which,
    score: Callable[[Run, Restored, Progress | None], Scores],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return evaluation.json of the out-of-fold predictions, and write these as CSV."""
    scores, folds = out_of_fold(run, which, score, progress)
    evaluation = summary(run, restored, scores)
    several = restored.experiment.train.several
    evaluation |= {"split": fold_counts(run, several), "folds": folds}
    evaluation |= _calibration(run, restored, scores)
    write_text(run.folder / "out_of_fold.csv", predictions_in_csv(evaluation))
    return evaluation


def _calibration(
    run: Run,
    restored: Restored,
    scores: Scores,
    validation: Callable[[], Scores] | None = None,
) -> dict[str, Any]:
    """Return `calibration` of evaluation.json; nothing if too few tracks could give a temperature.

    The temperature of a track comes from the other folds, or from the validation part.

    Args:
        run: the run.
        restored: its network.
        scores: of the test part, or of all folds.
        validation: gives the answers for the validation part.
    """
    if restored.experiment.train.several or scores.part != "test":
        return {}
    log_p, y = _answered(scores, restored)
    if validation is None:
        if len(y) < LEAST_TRACKS:
            return {}
        scaled = calibration.of_others(log_p, y, scores.tracks["fold"].tolist())
        factor, source = calibration.temperature(log_p, y), "the other folds"
    else:
        if list(run.split()["part"]).count("validation") < LEAST_TRACKS:
            return {}
        factor = calibration.temperature(*_answered(validation(), restored))
        scaled, source = log_softmax(factor * log_p, axis=1), "the validation part"
    return {"calibration": calibration.calibration(log_p, scaled, y, factor, source)}


def _answered(scores: Scores, restored: Restored) -> tuple[np.ndarray, np.ndarray]:
    labels = scores.tracks["label"].tolist()
    return scores.answers.of_tracks(), targets(labels, restored.labels, False)


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
) -> None:
    # Matplotlib and Pillow take longer to import than a small run takes to score.
    from kit.evaluation.report import write_figures, write_report

    rows = mean_metrics(run)
    write_figures(run.folder, evaluation, rows)
    write_report(run.folder, evaluation, rows, audio_of=audio_of, spectrogram_of=spectrogram_of)


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

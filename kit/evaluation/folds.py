"""Out-of-fold predictions: the network that did not learn from a fold scores its tracks."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from kit.catalogue.io import as_csv
from kit.errors import UsageError
from kit.evaluation.answers import Progress, Scores
from kit.evaluation.certainty import step_in_json
from kit.evaluation.parts import Part
from kit.evaluation.summary import numbers
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.scores import joined

_CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def require_one_split(run: Run, part: Part) -> None:
    """Raise `UsageError` for the train or validation part of a run of folds: each fold has one."""
    if run.is_folded and part in ("train", "validation"):
        raise UsageError(
            f"{run.folder} has a {part} part for each fold; score the part of one fold: "
            f"kit evaluate {run.inside[0].folder} --part {part}"
        )


def out_of_fold(
    run: Run,
    which: Which,
    score: Callable[[Run, Restored, Part, Progress | None], Scores],
    progress: Progress | None = None,
) -> tuple[Scores, list[dict[str, Any]]]:
    """Return the answers for the tracks of all folds, and the scores of each fold.

    Returns:
        The answers in the order of folds.csv, and `folds` of evaluation.json.
    Raises:
        UsageError: a fold is not trained yet.
    """
    known = run.folds()
    answers: list[Scores] = []
    rows = []
    done = 0
    for fold in run.inside:
        network = restore(fold.folder, which)
        said = progress and (lambda n, _, before=done: progress(before + n, len(known)))
        scores = score(fold, network, "test", said)
        done += len(scores.tracks)
        answers.append(
            dataclasses.replace(scores, tracks=scores.tracks.assign(fold=str(fold.fold)))
        )
        rows.append({"fold": str(fold.fold), **_row(scores, network)})
        metrics = fold.metrics()
        if metrics and "chosen" in metrics[-1]:  # by the recipe for small sets
            rows[-1]["chosen"] = metrics[-1]["chosen"]
    tracks = pd.concat([scores.tracks for scores in answers], ignore_index=True)
    scored = joined([scores.answers for scores in answers])
    place = {track_id: number for number, track_id in enumerate(known["track_id"])}
    order = np.argsort([place[track_id] for track_id in tracks["track_id"]], kind="stable")
    missing: Counter[str] = Counter()
    for scores in answers:
        missing.update(scores.not_scored)
    merged = dataclasses.replace(
        answers[0],
        tracks=tracks.iloc[order].reset_index(drop=True),
        answers=scored.chosen(order.tolist()),
        not_scored=dict(missing),
    )
    return merged, rows


def _row(scores: Scores, network: Restored) -> dict[str, Any]:
    found = numbers(scores, network, brief=True)
    track, segment = found["track"], found["segment"]
    names = ("n", "groups", "correct", "accuracy", "interval", "macro_f1", "log_loss")
    if network.experiment.train.several:
        names = ("n", "mean_average_precision", "interval", "roc_auc", "log_loss")
    by_segment = {} if "accuracy" not in segment else {"segment_accuracy": segment["accuracy"]}
    return {
        **{name: track[name] for name in names},
        "segments": segment["n"],
        **by_segment,
        "step": step_in_json(network),
    }


def networks_of(run: Run, restored: Restored) -> Callable[[str], Restored]:
    """Return a function from a fold's name to its network, restored once; "" is the run's own."""
    folds = {one.fold: one for one in run.inside} if run.is_folded else {}

    @cache
    def network_of(fold: str) -> Restored:
        return restore(folds[fold].folder, restored.which) if fold in folds else restored

    return network_of


def predictions_in_csv(evaluation: dict[str, Any]) -> str:
    """Return out_of_fold.csv: track_id, label, fold, predicted, probability, and each p_LABEL."""
    about = ["track_id", "label", "fold", "predicted", "probability"]
    labels, tracks = evaluation["labels"], evaluation["tracks"]
    probabilities = pd.DataFrame([track["probabilities"] for track in tracks], columns=labels)
    return as_csv(pd.DataFrame(tracks, columns=about).join(probabilities.add_prefix("p_")))


def mean_metrics(run: Run) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl; for several networks, the means of each epoch.

    A row of means has `epoch`, losses, accuracies, and `networks`: how many reached the epoch.
    """
    trainings = run.trainings
    if trainings == [run]:
        return run.metrics()
    rows = [row for training in trainings for row in training.metrics()]
    table = pd.DataFrame(rows, columns=["epoch", *_CURVES])
    by_epoch = table.astype(dict.fromkeys(_CURVES, float)).groupby("epoch")
    means = pd.DataFrame(by_epoch.mean()).assign(networks=by_epoch.size())
    means = means.reset_index().astype(object)
    return means.where(means.notna(), None).to_dict("records")

"""Out-of-fold predictions: each track by the network of its fold, which never learned from it."""

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from kit.catalogue.schema import several_labels
from kit.errors import UsageError
from kit.evaluation.metrics import summarise
from kit.evaluation.parts import Part
from kit.evaluation.scores import Progress, Scores, groups_of, step_in_json
from kit.evaluation.several import summarise_several
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.collection import targets
from kit.training.scores import joined

_CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def require_one_split(run: Run, part: Part) -> None:
    """Check that a part is one of the run's own split, or of all its folds.

    Raises:
        UsageError: each of the run's folds has a train and a validation part of its own.
    """
    if run.is_folded and part in ("train", "validation"):
        raise UsageError(
            f"{run.folder} has a {part} part for each fold; score that of one of them: "
            f"kit evaluate {run.inside[0].folder} --part {part}"
        )


def out_of_fold(
    run: Run,
    which: Which,
    score: Callable[[Run, Restored, Progress | None], Scores],
    progress: Progress | None = None,
) -> tuple[Scores, list[dict[str, Any]]]:
    """Return the answers for the tracks of all folds, and the scores of each fold.

    Args:
        run: a run of folds.
        which: the best checkpoints, or the last ones.
        score: a fold's run, its network and its progress to the answers for its test part.
        progress: called with (tracks scored, tracks in all).
    Returns:
        The answers in the order of folds.csv, and for each fold `fold`, `n`, `groups`, `correct`,
        `accuracy`, `interval`, `macro_f1` and `log_loss` by track, `segments` and
        `segment_accuracy`, and `step` of its checkpoint. Where tracks have several labels,
        `mean_average_precision` and `roc_auc` take the place of `correct`, of accuracies and F1.
    Raises:
        UsageError: a fold that is not trained yet.
    """
    known = run.folds()
    answers: list[Scores] = []
    rows = []
    done = 0
    for fold in run.inside:
        network = restore(fold.folder, which)
        scores = score(fold, network, _offset(progress, done, len(known)))
        done += len(scores.tracks)
        answers.append(
            dataclasses.replace(scores, tracks=scores.tracks.assign(fold=str(fold.fold)))
        )
        rows.append({"fold": str(fold.fold), **_row(scores, network), **_chosen(fold)})
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


def _chosen(run: Run) -> dict[str, str]:
    """Return what the recipe for small sets chose in a fold; nothing for a network."""
    rows = run.metrics()
    return {"chosen": rows[-1]["chosen"]} if rows and "chosen" in rows[-1] else {}


def _offset(progress: Progress | None, before: int, total: int) -> Progress | None:
    return progress and (lambda done, _: progress(before + done, total))


def numbers(scores: Scores, network: Restored, *, brief: bool = False) -> dict[str, dict[str, Any]]:
    """Return the numbers of `metrics.summarise`, or those of several labels a track.

    Args:
        scores: the answers.
        network: that gave them.
        brief: as for `metrics.summarise`.
    """
    labels = scores.tracks["label"].tolist()
    answers, several = scores.answers, network.experiment.train.several
    y = targets(labels, network.labels, several)
    groups = groups_of(scores.tracks)
    if several:
        number = np.unique(groups, return_inverse=True)[1]
        return summarise_several(answers, y, network.labels, number)
    counts = np.array(network.train_counts, np.int64)
    return summarise(
        answers.segments, y, network.labels, counts, answers.log_weights, groups, brief
    )


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


def fold_counts(run: Run, several: bool) -> dict[str, dict[str, int]]:
    """Return the number of tracks of each label in each fold of a run.

    Args:
        run: a run of folds.
        several: a track may have several labels.
    """
    folds = run.folds()
    counts = {}
    for fold in run.inside:
        labels = folds.loc[folds["fold"] == fold.fold, "label"]
        each = [several_labels(text) if several else (text,) for text in labels]
        count = Counter(name for names in each for name in names)
        counts[f"fold {fold.fold}"] = dict(sorted(count.items()))
    return counts


def predictions_in_csv(evaluation: dict[str, Any]) -> str:
    """Return out_of_fold.csv: track_id, label, fold, predicted, probability, and p_LABEL of each.

    Args:
        evaluation: of a run of folds.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    about = ("track_id", "label", "fold", "predicted", "probability")
    writer.writerow([*about, *(f"p_{label}" for label in evaluation["labels"])])
    for track in evaluation["tracks"]:
        probabilities = [track["probabilities"][label] for label in evaluation["labels"]]
        writer.writerow([*(track[name] for name in about), *probabilities])
    return stream.getvalue()


def mean_metrics(run: Run) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl; for folds and members, their means by epoch.

    A row of means has `epoch`, losses and accuracies, and `networks`, the number of networks that
    reached the epoch.
    """
    trainings = run.trainings
    if trainings == [run]:
        return run.metrics()
    by_epoch: dict[int, list[dict[str, Any]]] = {}
    for training in trainings:
        for row in training.metrics():
            by_epoch.setdefault(row["epoch"], []).append(row)
    means = []
    for epoch, rows in sorted(by_epoch.items()):
        row: dict[str, Any] = {"epoch": epoch, "networks": len(rows)}
        for name in _CURVES:
            values = [row[name] for row in rows if row[name] is not None]
            row[name] = float(np.mean(values)) if values else None
        means.append(row)
    return means

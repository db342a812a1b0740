"""Scores for tracks with several labels: average precision and ROC AUC of each label."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kit.evaluation.intervals import bca_interval
from kit.evaluation.metrics import EvaluationError, areas, average_precision, mean_of_known
from kit.training.scores import SegmentScores, with_absence

RESAMPLES = 1_000
"""Draws of the bootstrap: fewer than for accuracies, since each draw takes longer."""


def summarise_several(
    answers: SegmentScores,
    targets: Float[np.ndarray, "tracks labels"],
    labels: tuple[str, ...],
    groups: Int[np.ndarray, " tracks"],
) -> dict[str, dict[str, Any]]:
    """Score tracks that have several labels, by segment and by track.

    Args:
        answers: of the network.
        targets: 1 for the labels of a track, 0 for the others.
        labels: names of the labels, in the order of the network's outputs.
        groups: the group of each track, such as its artist, by number.
    Returns:
        `{"segment": level, "track": level}`, with the keys `LEVEL.…` of docs/evaluation-json.md.
        `mean_average_precision` (macro mAP), `roc_auc` and `guessing` are means over the labels
        that some tracks have and others do not; None without such a label.
    Raises:
        EvaluationError: no tracks, or a wrong number of labels.
        KitError: a track without segments, or a value that is not finite.
    """
    if not answers.segments:
        raise EvaluationError("there is no track to score; raise --split.test-fraction")
    if targets.shape[1] != answers.segments[0].shape[1]:
        raise EvaluationError(
            f"the model gives {answers.segments[0].shape[1]} probabilities for {targets.shape[1]} "
            "labels; evaluate it with the labels it was trained on"
        )
    counts = [len(scores) for scores in answers.segments]
    by_segment = np.concatenate(answers.segments).astype(np.float64)
    by_track = answers.of_tracks()
    return {
        "segment": _level(by_segment, np.repeat(targets, counts, axis=0), labels)
        | {"interval": None, "interval_method": "none: by track only"},
        "track": _level(by_track, targets, labels) | _interval(by_track, targets, groups),
    }


def _level(
    log_p: Float[np.ndarray, "n labels"],
    targets: Float[np.ndarray, "n labels"],
    labels: tuple[str, ...],
) -> dict[str, Any]:
    support = targets.sum(axis=0)
    mixed = (support > 0) & (support < len(targets))
    each = [areas(scores, own > 0) for scores, own in zip(log_p.T, targets.T, strict=True)]
    yes, no = with_absence(log_p)
    losses = -(targets * yes + (1 - targets) * no)
    return {
        "n": len(targets),
        "mean_average_precision": mean_of_known(row["average_precision"] for row in each),
        "roc_auc": mean_of_known(row["roc_auc"] for row in each),
        "log_loss": float(losses.mean()),
        "guessing": float(support[mixed].mean() / len(targets)) if mixed.any() else None,
        "per_label": {
            name: {**row, "support": int(count)}
            for name, row, count in zip(labels, each, support, strict=True)
        },
    }


def _interval(log_p: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    support = targets.sum(axis=0)
    mixed = np.flatnonzero((support > 0) & (support < len(targets)))
    if count < 2 or not len(mixed):
        why = "none: one group, or no label to tell"
        return {"interval": None, "interval_method": why, "groups": count}

    def score(counts: Float[np.ndarray, "draws groups"]) -> Float[np.ndarray, " draws"]:
        weights = counts[:, member]
        each = [average_precision(log_p[:, k], targets[:, k], weights) for k in mixed]
        known = np.isfinite(each)
        # A draw without a track of a label leaves the label out.
        return np.where(known, each, 0).sum(axis=0) / known.sum(axis=0)

    found = bca_interval(score, count, RESAMPLES)
    return {
        "interval": None if found is None else list(found),
        "interval_method": f"BCa bootstrap over {count} groups"
        if found
        else "none: all draws of groups score alike",
        "groups": count,
    }

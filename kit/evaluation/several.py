"""Scores of a network whose tracks have several labels: average precision and ROC AUC by label."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kit.evaluation.metrics import BOOTSTRAP_SEED, CONFIDENCE, EvaluationError
from kit.training.scores import SegmentScores, with_absence

RESAMPLES = 1_000
"""Draws of the bootstrap: fewer than for accuracies, since each sorts anew."""


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
        labels: their names, in the order of the network's outputs.
        groups: the group of each track, such as its artist, by number.
    Returns:
        `{"segment": level, "track": level}`, where a level has

        - `n`: tracks, or segments;
        - `mean_average_precision`: the mean over the labels that some and not all have; None if
          there is none. It is called macro mAP;
        - `roc_auc`: the mean area under the ROC curve of these labels;
        - `log_loss`: the mean binary cross-entropy over tracks and labels, nats;
        - `guessing`: the mean average precision of a random order, which is the mean share of
          these labels;
        - `per_label`: label to `average_precision` and `roc_auc`, None where all or none have the
          label, and `support`;
        - `interval`: by track, the 95% interval of the mean average precision under draws of
          whole groups (1,000 times, fixed seed) as [low, high]; None by segment, and if there is
          one group only; and `interval_method`.
    Raises:
        EvaluationError: no tracks, or numbers of labels that disagree.
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


def average_precision(
    scores: Float[np.ndarray, " tracks"],
    targets: Float[np.ndarray, " tracks"],
    weights: Float[np.ndarray, "draws tracks"],
) -> Float[np.ndarray, " draws"]:
    """Return the average precision of one label for several weights of the tracks.

    NaN where no track with the label has a weight. Equal scores count as one threshold.

    Source: scikit-learn `average_precision_score`: the sum over thresholds of the precision times
        the growth of the recall.
    """
    hit, taken = _above(scores, targets, weights)
    growth = np.diff(hit, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, hit / taken, 0)
        return (precision * growth).sum(axis=1) / hit[:, -1]


def roc_auc(
    scores: Float[np.ndarray, " tracks"],
    targets: Float[np.ndarray, " tracks"],
    weights: Float[np.ndarray, "draws tracks"],
) -> Float[np.ndarray, " draws"]:
    """Return the area under the ROC curve of one label for several weights of the tracks.

    NaN where all or none of the tracks with a weight have the label.
    """
    hit, taken = _above(scores, targets, weights)
    false = taken - hit
    width = np.diff(false, axis=1, prepend=0)
    before = np.concatenate([np.zeros((len(hit), 1)), hit[:, :-1]], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (width * (hit + before) / 2).sum(axis=1) / (hit[:, -1] * false[:, -1])


def _above(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return, at each threshold from the highest, the weight of hits and of all tracks above it."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    taken = weights[:, order]
    hit = np.cumsum(taken * targets[order], axis=1)[:, last]
    return hit, np.cumsum(taken, axis=1)[:, last]


def _level(
    log_p: Float[np.ndarray, "n labels"],
    targets: Float[np.ndarray, "n labels"],
    labels: tuple[str, ...],
) -> dict[str, Any]:
    once = np.ones((1, len(targets)))
    support = targets.sum(axis=0)
    mixed = (support > 0) & (support < len(targets))
    precisions, areas = (
        [
            float(measure(scores, own, once)[0]) if some else None
            for scores, own, some in zip(log_p.T, targets.T, mixed, strict=True)
        ]
        for measure in (average_precision, roc_auc)
    )
    yes, no = with_absence(log_p)
    losses = -(targets * yes + (1 - targets) * no)
    each = zip(labels, precisions, areas, support, strict=True)
    return {
        "n": len(targets),
        "mean_average_precision": _mean(precisions),
        "roc_auc": _mean(areas),
        "log_loss": float(losses.mean()),
        "guessing": float(support[mixed].mean() / len(targets)) if mixed.any() else None,
        "per_label": {
            name: {"average_precision": ap, "roc_auc": area, "support": int(count)}
            for name, ap, area, count in each
        },
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _interval(log_p: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    support = targets.sum(axis=0)
    mixed = np.flatnonzero((support > 0) & (support < len(targets)))
    if count < 2 or not len(mixed):
        return {"interval": None, "interval_method": "none: one group, or no label to tell"}
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)[:, member].astype(
        float
    )
    each = [average_precision(log_p[:, k], targets[:, k], weights) for k in mixed]
    known = np.isfinite(each)
    # A draw without any of the tracks of a label says nothing of that label.
    total, of = np.where(known, each, 0).sum(axis=0), known.sum(axis=0)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(total[of > 0] / of[of > 0], [tail, 100 - tail])
    return {
        "interval": [float(low), float(high)],
        "interval_method": "bootstrap over groups of the split",
    }

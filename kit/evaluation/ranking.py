"""Scores of an order of tracks by one label's probability, for several weights of the tracks."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float


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


def areas(
    scores: Float[np.ndarray, " tracks"], has: Bool[np.ndarray, " tracks"]
) -> dict[str, float | None]:
    """Return `roc_auc` and `average_precision` of one label; None if all or none have it."""
    if has.all() or not has.any():
        return {"roc_auc": None, "average_precision": None}
    case = (scores, has.astype(float), np.ones((1, len(has))))
    return {
        "roc_auc": float(roc_auc(*case)[0]),
        "average_precision": float(average_precision(*case)[0]),
    }


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

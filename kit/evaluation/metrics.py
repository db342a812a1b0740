"""What a classifier is worth, by segment and by track, in numbers that JSON can hold.

A track's segments are not independent draws, so the two levels get their intervals in different
ways, and the track is the level to believe.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from kit.errors import KitError

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Fixed, so that the same predictions always give the same evaluation.json.
BOOTSTRAP_SEED = 0


class EvaluationError(KitError):
    """Predictions that cannot be scored."""


def track_log_probabilities(
    segment_log_probabilities: Float[np.ndarray, "tracks segments classes"],
) -> Float[np.ndarray, "tracks classes"]:
    """A track's log-probabilities: the mean over its segments, normalised again.

    That is the geometric mean of the probabilities: one segment that is sure it is not so counts.

    Args:
        segment_log_probabilities: natural logarithms, of one segment each.
    Returns:
        Natural logarithms, float64.
    Raises:
        EvaluationError: a value is NaN or infinite, or there are no segments.
    """
    _require_scores(segment_log_probabilities)
    mean = segment_log_probabilities.astype(np.float64).mean(axis=1)
    return mean - logsumexp(mean, axis=1, keepdims=True)


def summarise(
    segment_log_probabilities: Float[np.ndarray, "tracks segments classes"],
    targets: Int[np.ndarray, " tracks"],
    labels: tuple[str, ...],
    train_counts: Int[np.ndarray, " classes"],
) -> dict[str, dict[str, Any]]:
    """Score the test tracks, by segment and by track.

    Args:
        segment_log_probabilities: natural logarithms, of one segment each.
        targets: the true label of each track, an index into `labels`.
        labels: the names, in the order of the classes.
        train_counts: how many training tracks each label has; the most frequent is the baseline
            (the first of them at a tie).
    Returns:
        `{"segment": level, "track": level}`, where a level has

        - `n`, `correct`, `accuracy`;
        - `interval`: the 95% interval of the accuracy as [low, high], or None, and
          `interval_method`. By track it is Wilson's. By segment, where ten segments are one piece
          of music, whole tracks are drawn again with replacement (10,000 times, fixed seed); None
          if all tracks have the same share right, for then the draws cannot differ;
        - `macro_f1`: the mean F1 of the labels that occur in the truth or the predictions;
        - `log_loss`: the mean of -log p(true label), nats;
        - `majority_label`, `majority_accuracy`: always answering the most frequent training label;
        - `per_class`: label to `precision` (None if never predicted), `recall` (None if absent
          from the test), `f1` (None if both) and `support`;
        - `confusion`: counts, a row for each true label, a column for each predicted one.
    Raises:
        EvaluationError: no tracks, a value that is not finite, a target that is no label, numbers
            of labels that disagree, or no training track at all.
    """
    _require_scores(segment_log_probabilities)
    tracks, segments, classes = segment_log_probabilities.shape
    if tracks == 0:
        raise EvaluationError("the test part has no tracks; raise SplitConfig.test_fraction")
    if len(labels) != classes:
        raise EvaluationError(
            f"the model gives {classes} probabilities for {len(labels)} labels "
            f"({', '.join(labels)}); evaluate it with the labels it was trained on"
        )
    if outside := sorted({int(t) for t in targets if not 0 <= t < classes}):
        raise EvaluationError(
            f"target {outside[0]} is not an index of the {classes} labels; "
            "evaluate with the labels the model was trained on"
        )
    if train_counts.sum() <= 0:
        raise EvaluationError("train_counts has no track; give the counts of the training part")

    majority = int(np.argmax(train_counts))
    by_segment = segment_log_probabilities.astype(np.float64).reshape(-1, classes)
    by_track = track_log_probabilities(segment_log_probabilities)
    segment_targets = np.repeat(targets, segments)
    right = (by_segment.argmax(axis=1) == segment_targets).reshape(tracks, segments).sum(axis=1)
    correct = int((by_track.argmax(axis=1) == targets).sum())
    return {
        "segment": _level(by_segment, segment_targets, labels, majority)
        | _bootstrap_interval(right, segments),
        "track": _level(by_track, targets, labels, majority) | _wilson_interval(correct, tracks),
    }


def mistakes(tracks: Iterable[dict[str, Any]], *, limit: int = 10) -> list[dict[str, Any]]:
    """The tracks that the model was surest of and wrong about, surest first.

    Args:
        tracks: rows of evaluation.json's "tracks": `track_id`, `label`, `predicted` and
            `probability` (of the predicted label).
        limit: how many at most.
    """
    return _surest(t for t in tracks if t["predicted"] != t["label"])[:limit]


def hits(tracks: Iterable[dict[str, Any]], *, per_label: int = 2) -> list[dict[str, Any]]:
    """The tracks that the model was surest of and right about: a few of each label.

    Args:
        tracks: rows as in `mistakes`.
        per_label: how many at most of each label.
    Returns:
        Rows, label after label in the order of their names, surest first within each.
    """
    right = _surest(t for t in tracks if t["predicted"] == t["label"])
    names = sorted({t["label"] for t in right})
    return [t for name in names for t in [r for r in right if r["label"] == name][:per_label]]


def _surest(tracks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    # The id settles ties, so that the order of the rows never shows.
    return sorted(tracks, key=lambda t: (-t["probability"], t["track_id"]))


def _require_scores(scores: np.ndarray) -> None:
    if scores.shape[1] == 0 or scores.shape[2] == 0:
        raise EvaluationError(
            f"the predictions have shape {scores.shape}; every track needs a segment and a label"
        )
    if not np.isfinite(scores).all():
        track = int(np.argwhere(~np.isfinite(scores))[0][0])
        raise EvaluationError(
            f"the predictions of track number {track} are not finite; the training diverged, "
            "so lower TrainConfig.learning_rate and train again"
        )


def _level(
    log_probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str], majority: int
) -> dict[str, Any]:
    predicted = log_probabilities.argmax(axis=1)
    matrix = confusion_matrix(targets, predicted, labels=np.arange(len(labels)))
    sums = (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    hit, support, answers = (s.tolist() for s in sums)
    n, correct = len(targets), sum(hit)
    per_class: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(labels):
        per_class[name] = {
            "precision": _ratio(hit[k], answers[k]),
            "recall": _ratio(hit[k], support[k]),
            "f1": _ratio(2 * hit[k], support[k] + answers[k]),
            "support": support[k],
        }
    scores = [c["f1"] for c in per_class.values() if c["f1"] is not None]
    return {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "macro_f1": float(np.mean(scores)),
        "log_loss": float(-log_probabilities[np.arange(n), targets].mean()),
        "majority_label": labels[majority],
        "majority_accuracy": support[majority] / n,
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _wilson_interval(correct: int, n: int) -> dict[str, Any]:
    interval = binomtest(correct, n).proportion_ci(CONFIDENCE, method="wilson")
    return {"interval": [float(interval.low), float(interval.high)], "interval_method": "Wilson"}


def _bootstrap_interval(right: np.ndarray, segments: int) -> dict[str, Any]:
    """`right`: how many of each track's segments are right, (tracks,)."""
    # Drawing tracks is drawing from the histogram of their counts: the order of the tracks
    # cannot matter, and ten thousand draws of ten thousand tracks need no memory.
    histogram = np.bincount(right, minlength=segments + 1)
    if np.count_nonzero(histogram) == 1:
        return {
            "interval": None,
            "interval_method": "none: all tracks have the same share of segments right",
        }
    tracks = len(right)
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(
        tracks, histogram / tracks, size=RESAMPLES
    )
    accuracy = draws @ np.arange(segments + 1) / (tracks * segments)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(accuracy, [tail, 100 - tail])
    return {
        "interval": [float(low), float(high)],
        "interval_method": "bootstrap over tracks",
    }

"""Scores of a classifier by segment and by track, as numbers that JSON can hold.

Segments of one track are not independent draws, so each level has its own kind of interval. The
level to believe is the track.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kit.errors import KitError
from kit.evaluation.intervals import CONFIDENCE, wilson_interval
from kit.training.scores import track_log_probabilities

RESAMPLES = 10_000
# Fixed, so that the same predictions always give the same evaluation.json.
BOOTSTRAP_SEED = 0


class EvaluationError(KitError):
    """Predictions that cannot be scored."""


def summarise(
    segment_log_probabilities: Sequence[Float[np.ndarray, "_ classes"]],
    targets: Int[np.ndarray, " tracks"],
    labels: tuple[str, ...],
    train_counts: Int[np.ndarray, " classes"],
    log_weights: Sequence[Float[np.ndarray, " _"]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Score tracks, by segment and by track.

    Args:
        segment_log_probabilities: for each track the natural logarithms of its segments'
            probabilities; tracks may differ in their number of segments.
        targets: the true label of each track, an index into `labels`.
        labels: the names, in the order of the classes.
        train_counts: number of training tracks of each label. The most frequent label is the
            baseline (at a tie, the first).
        log_weights: for each track the logarithms of its segments' weights, if a network with
            attention gave them. They weigh the segments in the answer for a track; by segment each
            counts the same.
    Returns:
        `{"segment": level, "track": level}`, where a level has

        - `n`, `correct`, `accuracy`. By segment every segment counts the same, so that a track
          with more segments weighs more;
        - `interval`: the 95% interval of the accuracy as [low, high], or None, and
          `interval_method`. By track it is Wilson's, for independent tracks. By segment, whole
          tracks are drawn again with replacement (10,000 times, fixed seed); None if all tracks
          have the same share of segments right, since the draws cannot differ then;
        - `macro_f1`: the mean F1 of the labels that occur in the truth or the predictions;
        - `log_loss`: the mean of -log p(true label), nats;
        - `majority_label`, `majority_accuracy`: always answering the most frequent training label;
        - `per_class`: label to `precision` (None if never predicted), `recall` (None if absent
          from the truth), `f1` (None if both) and `support`;
        - `confusion`: counts, a row for each true label, a column for each predicted one.
    Raises:
        EvaluationError: no tracks, a target that is not the index of a label, numbers of labels
            that disagree, or no training track.
        KitError: a track without segments, or a value that is not finite.
    """
    if not segment_log_probabilities:
        raise EvaluationError("there is no track to score; raise --split.test-fraction")
    classes = segment_log_probabilities[0].shape[1]
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
    by_track = track_log_probabilities(segment_log_probabilities, log_weights)
    by_segment = np.concatenate(segment_log_probabilities).astype(np.float64)
    segments = np.array([len(scores) for scores in segment_log_probabilities])
    segment_targets = np.repeat(targets, segments)
    hit = by_segment.argmax(axis=1) == segment_targets
    right = np.add.reduceat(hit.astype(int), np.cumsum(segments) - segments)
    correct = int((by_track.argmax(axis=1) == targets).sum())
    return {
        "segment": _level(by_segment, segment_targets, labels, majority)
        | _bootstrap_interval(right, segments),
        "track": _level(by_track, targets, labels, majority)
        | {"interval": list(wilson_interval(correct, len(targets))), "interval_method": "Wilson"},
    }


def mistakes(tracks: Iterable[dict[str, Any]], *, limit: int = 10) -> list[dict[str, Any]]:
    """Return the tracks that the model was surest of and wrong about, surest first.

    Args:
        tracks: rows of evaluation.json's "tracks": `track_id`, `label`, `predicted` and
            `probability` (of the predicted label).
        limit: the most to return.
    """
    return _surest(t for t in tracks if t["predicted"] != t["label"])[:limit]


def hits(tracks: Iterable[dict[str, Any]], *, per_label: int = 2) -> list[dict[str, Any]]:
    """Return a few tracks of each label that the model was surest of and right about.

    Args:
        tracks: rows as in `mistakes`.
        per_label: the most to return of each label.
    Returns:
        Rows by label in the order of their names, surest first within each label.
    """
    right = _surest(t for t in tracks if t["predicted"] == t["label"])
    names = sorted({t["label"] for t in right})
    return [t for name in names for t in [r for r in right if r["label"] == name][:per_label]]


def _surest(tracks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    # The id settles ties, so that the order of the rows changes nothing.
    return sorted(tracks, key=lambda t: (-t["probability"], t["track_id"]))


def _level(
    log_probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str], majority: int
) -> dict[str, Any]:
    predicted = log_probabilities.argmax(axis=1)
    k = len(labels)
    matrix = np.bincount(targets * k + predicted, minlength=k * k).reshape(k, k)
    sums = (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    hit, support, answers = (s.tolist() for s in sums)
    n, correct = len(targets), sum(hit)
    per_class: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(labels):
        per_class[name] = {
            "precision": _ratio(hit[i], answers[i]),
            "recall": _ratio(hit[i], support[i]),
            "f1": _ratio(2 * hit[i], support[i] + answers[i]),
            "support": support[i],
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


def _bootstrap_interval(
    right: Int[np.ndarray, " tracks"], segments: Int[np.ndarray, " tracks"]
) -> dict[str, Any]:
    """Return the interval of the accuracy by segment under draws of whole tracks.

    Args:
        right: number of right segments of each track.
        segments: number of segments of each track.
    """
    # Drawing tracks is drawing from the histogram of their counts: the order of the tracks
    # cannot matter, and ten thousand draws of ten thousand tracks need little memory.
    kinds, count = np.unique(np.stack([right, segments], axis=1), axis=0, return_counts=True)
    if np.all(kinds[:, 0] * kinds[0, 1] == kinds[0, 0] * kinds[:, 1]):
        return {
            "interval": None,
            "interval_method": "none: all tracks have the same share of segments right",
        }
    tracks = len(right)
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(
        tracks, count / tracks, size=RESAMPLES
    )
    accuracy = (draws @ kinds[:, 0]) / (draws @ kinds[:, 1])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(accuracy, [tail, 100 - tail])
    return {
        "interval": [float(low), float(high)],
        "interval_method": "bootstrap over tracks",
    }

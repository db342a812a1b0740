"""Scores of a classifier by segment and by track, in JSON's types.

Segments of one track, and tracks of one artist, are alike. So intervals are over groups such as
artists, and the score by track is the one to report.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from kit.errors import KitError
from kit.evaluation.intervals import bca_interval, group_interval, permuted
from kit.training.scores import track_log_probabilities

MERGES = 3
"""Pairs of labels to list in `merges`."""


class EvaluationError(KitError):
    """Predictions that cannot be scored."""


def summarise(
    segment_log_probabilities: Sequence[Float[np.ndarray, "_ classes"]],
    targets: Int[np.ndarray, " tracks"],
    labels: tuple[str, ...],
    train_counts: Int[np.ndarray, " classes"],
    log_weights: Sequence[Float[np.ndarray, " _"]] | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    brief: bool = False,
) -> dict[str, dict[str, Any]]:
    """Score tracks, by segment and by track.

    Args:
        segment_log_probabilities: for each track the log-probabilities of its segments; tracks may
            differ in their number of segments.
        targets: the true label of each track, an index into `labels`.
        labels: names of the labels, in the order of the classes.
        train_counts: number of training tracks of each label. The most frequent label (the first
            one at a tie) is the baseline, and the shares are the prior.
        log_weights: for each track the logarithms of the attention weights of its segments; they
            weigh the segments in the track's answer, and do not count by segment.
        groups: the group of each track, such as its artist; None if tracks are independent.
        brief: leave out `intervals`, `chance` and `merges`, which take thousands of draws.
    Returns:
        `{"segment": level, "track": level}`, with the keys `LEVEL.…` of docs/evaluation-json.md.
        `balanced_accuracy` averages over labels that occur in the truth, `macro_f1` over labels
        that occur in the truth or the predictions. A skill is None if a true label has no training
        track.
    Raises:
        EvaluationError: no tracks, a target outside `labels`, a wrong number of labels, or no
            training track.
        KitError: a track without segments, or a value that is not finite.

    Source: scikit-learn `roc_auc_score`, `average_precision_score`; Brier (1950), Verification of
        forecasts expressed in terms of probability.
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

    by_track = track_log_probabilities(segment_log_probabilities, log_weights)
    by_segment = np.concatenate(segment_log_probabilities).astype(np.float64)
    segments = [len(scores) for scores in segment_log_probabilities]
    owners = (
        np.arange(len(targets)) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    levels = {
        "segment": (by_segment, np.repeat(targets, segments), np.repeat(owners, segments)),
        "track": (by_track, targets, owners),
    }
    found = {
        name: _level(log_p, truth, owner, labels, train_counts)
        for name, (log_p, truth, owner) in levels.items()
    }
    if brief:
        return found
    found["track"] |= {
        "intervals": _intervals(by_track, targets, owners),
        "chance": permuted(by_track.argmax(axis=1), targets, owners),
        "merges": _merges(by_track, targets, owners, labels),
    }
    return found


def mistakes(tracks: Iterable[dict[str, Any]], *, limit: int = 10) -> list[dict[str, Any]]:
    """Return the most probable wrong answers of `tracks` of evaluation.json, highest first."""
    return _surest(t for t in tracks if t["predicted"] != t["label"])[:limit]


def hits(tracks: Iterable[dict[str, Any]], *, per_label: int = 2) -> list[dict[str, Any]]:
    """Return each label's most probable right answers of `tracks`, by the labels' names."""
    right = _surest(t for t in tracks if t["predicted"] == t["label"])
    names = sorted({t["label"] for t in right})
    return [t for name in names for t in [r for r in right if r["label"] == name][:per_label]]


def _surest(tracks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    # The id settles ties, so that the order of the rows does not matter.
    return sorted(tracks, key=lambda t: (-t["probability"], t["track_id"]))


def average_precision(
    scores: Float[np.ndarray, " tracks"],
    targets: Float[np.ndarray, " tracks"],
    weights: Float[np.ndarray, "draws tracks"],
) -> Float[np.ndarray, " draws"]:
    """Return the average precision of one label, for each draw of weights of the tracks.

    NaN for a draw without a track that has the label. Equal scores are one threshold.

    Source: scikit-learn `average_precision_score`.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    drawn = weights[:, order]
    # Weight of the tracks, and of those with the label, at or above each threshold.
    taken = np.cumsum(drawn, axis=1)[:, last]
    hit = np.cumsum(drawn * targets[order], axis=1)[:, last]
    growth = np.diff(hit, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, hit / taken, 0)
        return (precision * growth).sum(axis=1) / hit[:, -1]


def areas(
    scores: Float[np.ndarray, " tracks"], has: Bool[np.ndarray, " tracks"]
) -> dict[str, float | None]:
    """Return `roc_auc` and `average_precision` of one label; None if all or no tracks have it."""
    # Takes a second to import; training and prediction do not need it.
    from scipy.stats import mannwhitneyu

    if has.all() or not has.any():
        return {"roc_auc": None, "average_precision": None}
    own, rest = scores[has], scores[~has]
    auc = mannwhitneyu(own, rest, method="asymptotic").statistic / (len(own) * len(rest))
    precision = average_precision(scores, has.astype(float), np.ones((1, len(has))))
    return {"roc_auc": float(auc), "average_precision": float(precision[0])}


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _level(
    log_p: Float[np.ndarray, "n classes"],
    targets: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    labels: Sequence[str],
    train_counts: Int[np.ndarray, " classes"],
) -> dict[str, Any]:
    right, k = log_p.argmax(axis=1) == targets, len(labels)
    matrix = np.bincount(targets * k + log_p.argmax(axis=1), minlength=k * k).reshape(k, k)
    sums = (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    hit, support, answers = (s.tolist() for s in sums)
    majority = int(np.argmax(train_counts))
    per_class: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(labels):
        per_class[name] = {
            "precision": _ratio(hit[i], answers[i]),
            "recall": _ratio(hit[i], support[i]),
            "f1": _ratio(2 * hit[i], support[i] + answers[i]),
            **areas(log_p[:, i], targets == i),
            "support": support[i],
        }
    losses, prior = _losses(log_p, targets), train_counts / train_counts.sum()
    with np.errstate(divide="ignore"):
        of_prior = _losses(np.broadcast_to(np.log(prior), log_p.shape), targets)
    return {
        "n": len(targets),
        "correct": sum(hit),
        "accuracy": float(right.mean()),
        **group_interval(right, groups),
        "balanced_accuracy": float(_balanced_accuracy(matrix[None])[0]),
        "macro_f1": float(_macro_f1(matrix[None])[0]),
        **{name: float(loss.mean()) for name, loss in losses.items()},
        **{f"{n}_skill": _skill(loss.mean(), of_prior[n].mean()) for n, loss in losses.items()},
        "roc_auc": mean_of_known(row["roc_auc"] for row in per_class.values()),
        "average_precision": mean_of_known(row["average_precision"] for row in per_class.values()),
        "majority_label": labels[majority],
        "majority_accuracy": support[majority] / len(targets),
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def _losses(
    log_p: Float[np.ndarray, "n classes"], targets: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " n"]]:
    true = np.eye(log_p.shape[1])[targets]
    return {
        "log_loss": -log_p[np.arange(len(targets)), targets],
        "brier": np.square(np.exp(log_p) - true).sum(axis=1),
    }


def _skill(loss: float, of_prior: float) -> float | None:
    # With a single label the prior has a loss of 0.
    return float(1 - loss / of_prior) if np.isfinite(of_prior) and of_prior > 0 else None


def _balanced_accuracy(
    matrices: Real[np.ndarray, "draws classes classes"],
) -> Float[np.ndarray, " draws"]:
    hit, support = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(axis=-1)
    occur = support > 0
    recall = np.divide(hit, support, out=np.zeros(hit.shape), where=occur)
    return recall.sum(axis=-1) / occur.sum(axis=-1)


def _macro_f1(
    matrices: Real[np.ndarray, "draws classes classes"],
) -> Float[np.ndarray, " draws"]:
    hit = np.diagonal(matrices, axis1=-2, axis2=-1)
    both = matrices.sum(axis=-1) + matrices.sum(axis=-2)
    occur = both > 0
    f1 = np.divide(2 * hit, both, out=np.zeros(hit.shape), where=occur)
    return f1.sum(axis=-1) / occur.sum(axis=-1)


def _intervals(
    log_p: Float[np.ndarray, "tracks classes"],
    targets: Int[np.ndarray, " tracks"],
    groups: Int[np.ndarray, " tracks"],
) -> dict[str, list[float] | None]:
    """Return the BCa intervals of scores that are functions of sums over tracks."""
    k, count = log_p.shape[1], int(groups.max()) + 1
    cells = np.zeros((count, k, k))
    np.add.at(cells, (groups, targets, log_p.argmax(axis=1)), 1)
    sums = {name: np.bincount(groups, loss) for name, loss in _losses(log_p, targets).items()}
    table = np.column_stack([cells.reshape(count, -1), *sums.values()])
    # Sort by content, so that the numbers of the groups do not matter.
    table = table[np.lexsort(table.T)]

    def of(score: Callable[[np.ndarray], np.ndarray]) -> list[float] | None:
        found = bca_interval(lambda counts: score(counts @ table), count)
        return None if found is None else list(found)

    def matrices(total: np.ndarray) -> np.ndarray:
        return total[:, : k * k].reshape(-1, k, k)

    def mean(column: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda total: total[:, k * k + column] / total[:, : k * k].sum(axis=1)

    return {
        "balanced_accuracy": of(lambda total: _balanced_accuracy(matrices(total))),
        "macro_f1": of(lambda total: _macro_f1(matrices(total))),
        **{name: of(mean(column)) for column, name in enumerate(sums)},
    }


def _merges(
    log_p: Float[np.ndarray, "tracks classes"],
    targets: Int[np.ndarray, " tracks"],
    groups: Int[np.ndarray, " tracks"],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    p, found = np.exp(log_p), []
    accuracy = float((p.argmax(axis=1) == targets).mean())
    for first, second in combinations(range(len(labels)), 2) if len(labels) > 2 else ():
        merged = p.copy()
        merged[:, first] += merged[:, second]
        merged[:, second] = 0
        right = merged.argmax(axis=1) == np.where(targets == second, first, targets)
        if right.mean() > accuracy:
            found.append(
                {
                    "labels": [labels[first], labels[second]],
                    "accuracy": float(right.mean()),
                    "interval": group_interval(right, groups)["interval"],
                }
            )
    return sorted(found, key=lambda pair: (-pair["accuracy"], pair["labels"]))[:MERGES]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

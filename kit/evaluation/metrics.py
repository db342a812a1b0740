"""Scores of a classifier by segment and by track, as numbers that JSON can hold.

Segments of one track and tracks of one group are alike, so the intervals are over groups, such as
artists. The level to believe is the track.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real

from kit.errors import KitError
from kit.evaluation.chance import permuted
from kit.evaluation.intervals import bca_interval, group_interval
from kit.evaluation.ranking import areas, mean_of_known
from kit.training.scores import track_log_probabilities

MERGES = 3
"""Pairs of labels whose merging is shown."""


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
        segment_log_probabilities: for each track the natural logarithms of its segments'
            probabilities; tracks may differ in their number of segments.
        targets: the true label of each track, an index into `labels`.
        labels: the names, in the order of the classes.
        train_counts: number of training tracks of each label. The most frequent label is the
            baseline (at a tie, the first), and their shares are the prior.
        log_weights: for each track the logarithms of its segments' weights, if a network with
            attention gave them. They weigh the segments in the answer for a track; by segment each
            counts the same.
        groups: the group of each track, such as its artist; None if each is independent.
        brief: leave out what is by track alone, which takes thousands of draws.
    Returns:
        `{"segment": level, "track": level}`, where a level has

        - `n`, `correct`, `accuracy`. By segment every segment counts the same, so that a track
          with more segments weighs more;
        - `interval`, `interval_method`, `groups`: the 95% interval of the accuracy over groups,
          see `kit.evaluation.intervals.group_interval`, and their number;
        - `balanced_accuracy`, `macro_f1`: the mean recall of the labels that occur in the truth,
          and the mean F1 of those that occur in the truth or the predictions;
        - `log_loss`: the mean of -log p(true label), nats; `brier`: the mean over tracks of the sum
          over labels of the squared error of the probability, 0 to 2; `log_loss_skill` and
          `brier_skill`: 1 less its ratio to that of the prior. 1 is perfect, 0 is no better than
          the prior; None if a true label has no training track;
        - `roc_auc`, `average_precision`: the mean over labels of one against the rest;
        - `majority_label`, `majority_accuracy`: always answering the most frequent training label;
        - `per_class`: label to `precision` (None if never predicted), `recall` (None if absent
          from the truth), `f1` (None if both), `roc_auc` and `average_precision` (None if all or
          none have the label) and `support`;
        - `confusion`: counts, a row for each true label, a column for each predicted one.

        By track there are also, unless `brief`,

        - `intervals`: of `balanced_accuracy`, `macro_f1`, `log_loss` and `brier`, see
          `kit.evaluation.intervals.bca_interval`; None if all draws are alike;
        - `chance`: see `kit.evaluation.chance.permuted`;
        - `merges`: of more than two labels the pairs that add most to the accuracy if they become
          one, as `labels`, `accuracy` and `interval`; empty if none adds anything.
    Raises:
        EvaluationError: no tracks, a target that is not the index of a label, numbers of labels
            that disagree, or no training track.
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
    # A prior of 1 for the only label cannot be beaten.
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
    """Return the intervals over groups of scores that are functions of sums over tracks."""
    k, count = log_p.shape[1], int(groups.max()) + 1
    cells = np.zeros((count, k, k))
    np.add.at(cells, (groups, targets, log_p.argmax(axis=1)), 1)
    sums = {name: np.bincount(groups, loss) for name, loss in _losses(log_p, targets).items()}
    table = np.column_stack([cells.reshape(count, -1), *sums.values()])
    # In an order on which no number or name of a group has an influence.
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

"""A weighted average of baselines, whose weights come from cross-validation in the training part.

What is chosen for a fold depends on its training tracks alone, so that the answers for its test
tracks tell what the choice is worth, and not how often it was repeated.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from kit.evaluation.baselines.folds import Answered, Baseline, Fold, Task
from kit.evaluation.baselines.models import INNER_FOLDS
from kit.training.probe import inner_splits

NAME = "chosen by nested cross-validation"

_STEPS = 5
_LEAST_WEIGHT = 0.05
_LEAST_P = 1e-6

Weights = dict[str, float]
"""The share of each baseline in an average, by its name, the largest first; they add up to 1."""
Say = Callable[[str], None]


def chosen_of(candidates: Sequence[Baseline], say: Say | None = None) -> Baseline:
    """Return the baseline that answers by the average of the candidates that `weigh` gives.

    For each fold the candidates answer the training tracks out of inner folds, grouped like the
    outer ones, and are weighed by these answers. Where the training part is too small for inner
    folds, all have the same weight.

    Args:
        candidates: the prior is of no use among them.
        say: called with what is being done, for each fold and candidate.
    """

    def answer(fold: Fold, task: Task) -> Answered:
        inner = inner_folds(fold, task)
        found = {}
        for candidate in candidates if inner else ():
            if say:
                say(f"fold {fold.name}, {candidate.name}")
            found[candidate.name] = held_out(candidate, inner, task, fold)
        equal = {candidate.name: 1 / len(candidates) for candidate in candidates}
        weights = weigh(found, task.targets[fold.train]) if found else equal
        answered = average_of(candidates, weights).answer(fold, task)
        chosen = {"baseline": in_words(weights), "weights": weights}
        return dataclasses.replace(answered, chosen=chosen)

    return Baseline(NAME, answer)


def average_of(candidates: Sequence[Baseline], weights: Mapping[str, float]) -> Baseline:
    """Return the baseline that answers by a weighted mean of the candidates' probabilities.

    Args:
        candidates: those without a weight have no part in it.
        weights: by name.
    """
    by_name = {candidate.name: candidate for candidate in candidates}

    def answer(fold: Fold, task: Task) -> Answered:
        each = {name: by_name[name].answer(fold, task) for name in weights}
        parts = [
            dataclasses.replace(part, weight=weights[name] * part.weight)
            for name, one in each.items()
            for part in one.parts
        ]
        shares = [weights[name] * one.probabilities for name, one in each.items()]
        return Answered(np.sum(shares, axis=0), {}, tuple(parts))

    return Baseline(in_words(weights), answer)


def mean_of(each: Sequence[Mapping[str, float]]) -> Weights:
    """Return the mean of the weights of several averages, the greatest first.

    Those below 0.05 are dropped, and the others add up to 1.
    """
    total = Counter()
    for weights in each:
        total.update(weights)
    kept = {n: w for n, w in total.most_common() if w >= _LEAST_WEIGHT * len(each)}
    return {name: weight / sum(kept.values()) for name, weight in kept.items()}


def in_words(weights: Mapping[str, float]) -> str:
    """Return one name for an average of baselines."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{weight:.0%} {name}" for name, weight in weights.items())


def inner_folds(fold: Fold, task: Task) -> list[Fold]:
    """Return folds of a fold's training tracks; none if some label has one group only."""
    targets, groups = task.targets[fold.train], task.groups[fold.train]
    splits = inner_splits(targets, groups, INNER_FOLDS, task.seed)
    return [
        Fold(f"{fold.name}.{number}", fold.train[train], fold.train[test])
        for number, (train, test) in enumerate(splits)
    ]


def held_out(
    candidate: Baseline, inner: Sequence[Fold], task: Task, fold: Fold
) -> Float[np.ndarray, "train classes"]:
    """Return a candidate's answers for the training tracks of a fold, out of the inner folds."""
    place = {track: at for at, track in enumerate(fold.train.tolist())}
    answers = np.zeros((len(place), len(task.labels)))
    for part in inner:
        rows = [place[track] for track in part.test.tolist()]
        answers[rows] = candidate.answer(part, task).probabilities
    return answers


def weigh(found: Mapping[str, Float[np.ndarray, "tracks classes"]], targets: np.ndarray) -> Weights:
    """Return the weights of an average by how likely it makes the true labels.

    The weights are those of a mixture, after five steps of expectation-maximisation from equal
    ones. In each step a candidate's weight becomes its mean share in the probability of the true
    label. All steps would lead to the most likely weights, which are extreme by chance on few
    tracks. Weights below 0.05 are dropped, and the others add up to 1.

    Args:
        found: the answers of each candidate.
        targets: the label of each track, by number.
    """
    names = list(found)
    rows = np.arange(len(targets))
    true = np.stack([np.maximum(found[name][rows, targets], _LEAST_P) for name in names], axis=1)
    weights = np.full(len(names), 1 / len(names))
    for _ in range(_STEPS):
        shares = weights * true
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    weights[weights < min(_LEAST_WEIGHT, weights.max())] = 0
    order = np.argsort(-weights, kind="stable")
    return {names[at]: float(weights[at] / weights.sum()) for at in order if weights[at]}


def log_loss(
    p: Float[np.ndarray, "tracks classes"], targets: np.ndarray, least: float = _LEAST_P
) -> float:
    """Return the mean negative logarithm of the probability of the true label.

    Args:
        p: a row for each track.
        targets: the label of each, by number.
        least: lower probabilities count as this.
    """
    true = np.maximum(p[np.arange(len(p)), targets], least)
    # 0 has no sign.
    return float(max(0.0, -np.log(true).mean()))

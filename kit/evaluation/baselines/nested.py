"""Weighted average of baselines, with weights from cross-validation inside the training part.

The weights of a fold depend on its training tracks alone. So the answers for its test tracks
measure the choice without bias, however many candidates it compares.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np
from jaxtyping import Float

from kit.evaluation.baselines.curve import Point, learning_curve
from kit.evaluation.baselines.folds import Answered, Baseline, Fold, Row, Task, out_of_fold
from kit.evaluation.baselines.models import INNER_FOLDS
from kit.training.probe import inner_splits

NAME = "chosen by nested cross-validation"

_STEPS = 5
_LEAST_WEIGHT = 0.05
_LEAST_P = 1e-6

Weights = dict[str, float]
"""The share of each baseline in an average, by its name, the largest first; they add up to 1."""
Say = Callable[[str], None]
Show = Callable[[str, int, int, str], None]
"""Called with the stage ("vectors", "baselines", "choice", "curve"), steps done, steps, note."""


def chosen_of(candidates: Sequence[Baseline], say: Say | None = None) -> Baseline:
    """Return the baseline that averages the candidates by the weights of `weigh`.

    In each fold the candidates answer the training tracks out of inner folds, grouped like the
    outer ones; these answers give the weights. All weights are equal if the training part is too
    small for inner folds.

    Args:
        candidates: to average, without the prior.
        say: called with a note for each fold and candidate.
    """

    def answer(fold: Fold, task: Task) -> Answered:
        within = dataclasses.replace(task, folds=tuple(inner_folds(fold, task)))
        found = {}
        for candidate in candidates if within.folds else ():
            if say:
                say(f"fold {fold.name}, {candidate.name}")
            found[candidate.name] = out_of_fold([candidate], within)[0].probabilities
        equal = {candidate.name: 1 / len(candidates) for candidate in candidates}
        weights = weigh(found, task.targets[fold.train]) if found else equal
        answered = average_of(candidates, weights).answer(fold, task)
        chosen = {"baseline": in_words(weights), "weights": weights}
        return dataclasses.replace(answered, chosen=chosen)

    return Baseline(NAME, answer)


def average_of(candidates: Sequence[Baseline], weights: Mapping[str, float]) -> Baseline:
    """Return the baseline that answers by the weighted mean probability of the candidates."""
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
    """Return the mean of the weights of several averages, without those below 0.05."""
    total = Counter()
    for weights in each:
        total.update(weights)
    kept = {n: w for n, w in total.most_common() if w >= _LEAST_WEIGHT * len(each)}
    return {name: weight / sum(kept.values()) for name, weight in kept.items()}


def in_words(weights: Mapping[str, float]) -> str:
    """Return the name of an average of baselines, such as "60% MFCC statistics, SVM + 40% …"."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{weight:.0%} {name}" for name, weight in weights.items())


def inner_folds(fold: Fold, task: Task) -> list[Fold]:
    """Return folds of a fold's training tracks; none if a label has a single group."""
    targets, groups = task.targets[fold.train], task.groups[fold.train]
    splits = inner_splits(targets, groups, INNER_FOLDS, task.seed)
    return [
        Fold(f"{fold.name}.{number}", fold.train[train], fold.train[test])
        for number, (train, test) in enumerate(splits)
    ]


def weigh(found: Mapping[str, Float[np.ndarray, "tracks classes"]], targets: np.ndarray) -> Weights:
    """Return mixture weights that raise the likelihood of the true labels.

    Five steps of expectation-maximisation start from equal weights. Each step sets a candidate's
    weight to its mean share in the probability of the true label. More steps would overfit few
    tracks. Weights below 0.05 are dropped, and the others rescaled to add up to 1.
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


def nested_choice(
    candidates: Sequence[Baseline], answers: list[Row], task: Task, show: Show
) -> tuple[str, list[Point]]:
    """Append the choice's answers to `answers`; return the choice on all tracks, and its curve."""
    total = len(candidates) * len(task.folds)
    done = count()

    def say(name: str) -> None:
        show("choice", next(done), total, name)

    answers += out_of_fold([chosen_of(candidates, say)], task)
    show("choice", total, total, "")
    if len(task.folds) == 1:
        weights = next(iter(answers[-1].chosen.values()))["weights"]
    else:
        # The out-of-fold answers are a cross-validation over all tracks.
        known = {c.name for c in candidates}
        found = {row.name: row.probabilities for row in answers if row.name in known}
        weights = weigh(found, task.targets[task.tested])
    return in_words(weights), curve_of(candidates, weights, answers, task, show)


def curve_of(
    candidates: Sequence[Baseline],
    weights: Mapping[str, float],
    answers: Sequence[Row],
    task: Task,
    show: Show,
) -> list[Point]:
    """Return the learning curve of the average of the candidates that have a weight."""
    known = {one.name: weights[one.name] for one in candidates if one.name in weights}
    if not known:
        return []
    shares = {name: weight / sum(known.values()) for name, weight in known.items()}
    average = average_of(candidates, shares)
    parts = [shares[row.name] * row.probabilities for row in answers if row.name in shares]
    whole = Row(average.name, np.sum(parts, axis=0), {}, 0.0)
    return learning_curve(
        [average], task, progress=lambda done, total: show("curve", done, total, ""), whole=[whole]
    )

"""A choice among baselines, or an average of some, by cross-validation inside the training part.

What is chosen for a fold depends on its training tracks alone, so that the answers for its test
tracks tell what the choice is worth, and not how often it was repeated.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from kit.evaluation.baselines.folds import Answered, Baseline, Fold, Task
from kit.evaluation.baselines.models import INNER_FOLDS
from kit.training.inner import inner_splits

NAME = "chosen by nested cross-validation"
SEPARATOR = " + "
"""Between the names of baselines whose mean is taken."""

_LARGEST_AVERAGE = 4  # baselines; further ones are worse and only water the average down
_LEAST_P = 1e-6

Say = Callable[[str], None]


def chosen_of(candidates: Sequence[Baseline], say: Say | None = None) -> Baseline:
    """Return the baseline that takes the best of the candidates, or an average of the best.

    For each fold the candidates answer the training tracks out of inner folds, grouped like the
    outer ones; `best` tells what is compared.

    Args:
        candidates: the prior is of no use among them. The first is taken where the training part is
            too small for inner folds.
        say: called with what is being done, for each fold and candidate.
    """

    def answer(fold: Fold, task: Task) -> Answered:
        inner = inner_folds(fold, task)
        found = {}
        for candidate in candidates if inner else ():
            if say:
                say(f"fold {fold.name}, {candidate.name}")
            found[candidate.name] = held_out(candidate, inner, task, fold)
        names = best(found, task.targets[fold.train]) if found else (candidates[0].name,)
        answered = average_of(candidates, names).answer(fold, task)
        return Answered(answered.probabilities, {"baseline": in_words(names)})

    return Baseline(NAME, answer)


def average_of(candidates: Sequence[Baseline], names: Sequence[str]) -> Baseline:
    """Return the baseline that answers by the mean of the probabilities of those named."""
    chosen = [candidate for candidate in candidates if candidate.name in names]

    def answer(fold: Fold, task: Task) -> Answered:
        return Answered(np.mean([c.answer(fold, task).probabilities for c in chosen], axis=0))

    return Baseline(in_words(names), answer)


def in_words(names: Sequence[str]) -> str:
    """Return one name for an average of baselines."""
    return SEPARATOR.join(names)


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


def best(
    found: dict[str, Float[np.ndarray, "tracks classes"]], targets: np.ndarray
) -> tuple[str, ...]:
    """Return the names of the candidates whose mean has the least log loss.

    Compared are the mean probabilities of the one, two, three and four with the least log loss.
    With few tracks, log loss is steadier than the number that is right.

    Args:
        found: the answers of each candidate.
        targets: the label of each track, by number.
    """
    ranked = sorted(found, key=lambda name: log_loss(found[name], targets))
    averages = [tuple(ranked[:count]) for count in range(1, _LARGEST_AVERAGE + 1)]
    return min(
        averages, key=lambda names: log_loss(np.mean([found[n] for n in names], axis=0), targets)
    )


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

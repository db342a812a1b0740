"""Choose among the baselines by nested cross-validation, and compute a learning curve."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np

from kit.evaluation.baselines.curve import Point, learning_curve
from kit.evaluation.baselines.folds import Baseline, Row, Task, out_of_fold
from kit.evaluation.baselines.nested import average_of, chosen_of, in_words, weigh

Show = Callable[[str, int, int, str], None]
"""Called with the stage ("vectors", "baselines", "choice", "curve"), the number done, the number in
all, a note."""


def nested_choice(
    candidates: Sequence[Baseline], answers: list[Row], task: Task, show: Show
) -> tuple[str, list[Point]]:
    """Add the answers of the choice of each fold; return the choice in all, and its curve.

    Args:
        candidates: to choose from.
        answers: those of the candidates; the choice is added.
        task: the tracks.
        show: called before each fit.
    """
    total = len(candidates) * len(task.folds)
    done = count()

    def say(name: str) -> None:
        show("choice", next(done), total, name)

    answers += out_of_fold([chosen_of(candidates, say)], task)
    show("choice", total, total, "")
    if len(task.folds) == 1:
        weights = next(iter(answers[-1].chosen.values()))["weights"]
    else:
        # The answers out of the outer folds are those of a cross-validation over all tracks.
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
    """Return the learning curve of an average over shares of the groups.

    Args:
        candidates: that can be fitted anew.
        weights: of the average by name; a row that is not a candidate has no part in it.
        answers: of the candidates to the whole task.
        task: the tracks.
        show: called after each point.
    """
    known = {one.name: weights[one.name] for one in candidates if one.name in weights}
    if not known:
        return []
    shares = {name: weight / sum(known.values()) for name, weight in known.items()}
    average = average_of(candidates, shares)
    parts = [shares[row.name] * row.probabilities for row in answers if row.name in shares]
    whole = Row(average.name, np.sum(parts, axis=0), {}, 0.0)
    return learning_curve(
        [average],
        task,
        progress=lambda done, total: show("curve", done, total, ""),
        whole=[whole],
    )

"""A learning curve: accuracy on the same test tracks, with fewer groups to learn from."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kit.evaluation.baselines.folds import Baseline, Fold, Task, out_of_fold

SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Attributes:
        share: of the groups of each fold's training part.
        groups: the number of them, in the mean over the folds.
        tracks: their tracks, in the mean over the folds.
        accuracy: by track, out of fold.
    """

    share: float
    groups: float
    tracks: float
    accuracy: float


def learning_curve(
    baseline: Baseline,
    task: Task,
    shares: Sequence[float] = SHARES,
    progress: Callable[[int, int], None] | None = None,
) -> list[Point]:
    """Return the accuracy of a baseline by the share of the training groups that it learns from.

    Groups are drawn label by label, at least two of each, and those of a share are among those of
    the next.

    Args:
        baseline: answers each fold; it is trained anew for each share.
        task: the tracks.
        shares: above 0 and at most 1.
        progress: called with (shares done, shares in all).
    """
    points = []
    for done, share in enumerate(shares):
        if progress:
            progress(done, len(shares))
        folds = tuple(thinned(fold, task, share) for fold in task.folds)
        p = out_of_fold([baseline], dataclasses.replace(task, folds=folds))[0].probabilities
        groups = [len(np.unique(task.groups[fold.train])) for fold in folds]
        right = p.argmax(axis=1) == task.targets[task.tested]
        tracks = float(np.mean([len(fold.train) for fold in folds]))
        points.append(Point(share, float(np.mean(groups)), tracks, float(right.mean())))
    if progress:
        progress(len(shares), len(shares))
    return points


def thinned(fold: Fold, task: Task, share: float) -> Fold:
    """Return a fold with a share of its training groups, drawn label by label."""
    targets, groups = task.targets[fold.train], task.groups[fold.train]
    kept: set[int] = set()
    for label in np.unique(targets):
        names = np.unique(groups[targets == label])
        order = np.random.default_rng([task.seed, int(label)]).permutation(names)
        kept.update(order[: max(2, round(share * len(names)))].tolist())
    return dataclasses.replace(fold, train=fold.train[np.isin(groups, list(kept))])

"""Learning curves: accuracy on the same test tracks by the size of the training part."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.evaluation.baselines.folds import Baseline, Fold, Row, Task, out_of_fold
from kit.evaluation.intervals import group_interval

SHARES = (0.25, 0.5, 0.75, 1.0)
DRAWS = 3


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Attributes:
        baseline: its name.
        share: of the groups in each fold's training part; None for a point by `clips`.
        clips: training tracks per label and fold, or all if a label has fewer; None for a point by
            `share`.
        groups: mean number of training groups over folds and draws.
        tracks: mean number of training tracks over folds and draws.
        accuracy: mean over draws of the out-of-fold accuracy by track.
        low: lower end of the 95% interval over groups.
        high: upper end.
        draws: the accuracy of each draw.
    """

    baseline: str
    share: float | None
    clips: int | None
    groups: float
    tracks: float
    accuracy: float
    low: float
    high: float
    draws: tuple[float, ...]


def learning_curve(
    baselines: Sequence[Baseline],
    task: Task,
    sizes: Sequence[float | int] = SHARES,
    draws: int = 1,
    progress: Callable[[int, int], None] | None = None,
    whole: Sequence[Row] = (),
) -> list[Point]:
    """Return the accuracy of baselines by the size of the training part.

    Sizes with equal training parts share their answers.

    Args:
        baselines: trained again for each size and draw.
        task: the tracks; draw n uses its seed + n.
        sizes: a float is a share of the training groups, above 0 and at most 1, see `thinned`; an
            int is a number of clips per label, see `drawn`.
        draws: number of draws of each size.
        progress: called with (draws done, draws in all).
        whole: known answers of each baseline for the whole task.
    """
    points, known = [], {_learned_from(task): list(whole)} if whole else {}
    total = len(sizes) * draws
    for number, size in enumerate(sizes):
        tasks, rows = [], []
        for draw in range(draws):
            if progress:
                progress(number * draws + draw, total)
            seeded = dataclasses.replace(task, seed=task.seed + draw)
            folds = tuple(_less(fold, seeded, size) for fold in task.folds)
            tasks.append(dataclasses.replace(seeded, folds=folds))
            key = _learned_from(tasks[-1])
            if key not in known:
                known[key] = out_of_fold(baselines, tasks[-1])
            rows.append(known[key])
        points += [point(size, tasks, each) for each in zip(*rows, strict=True)]
    if progress:
        progress(total, total)
    return points


def point(size: float | int, tasks: Sequence[Task], rows: Sequence[Row]) -> Point:
    """Return the point of one baseline and size, with a task and its answers for each draw."""
    tested = tasks[0].tested
    right = [row.probabilities.argmax(axis=1) == tasks[0].targets[tested] for row in rows]
    groups = np.tile(tasks[0].groups[tested], len(rows))
    low, high = group_interval(np.concatenate(right), groups)["interval"]
    train = [(task, fold.train) for task in tasks for fold in task.folds]
    by_clips = isinstance(size, int)
    return Point(
        baseline=rows[0].name,
        share=None if by_clips else size,
        clips=size if by_clips else None,
        groups=float(np.mean([len(np.unique(task.groups[tracks])) for task, tracks in train])),
        tracks=float(np.mean([len(tracks) for _, tracks in train])),
        accuracy=float(np.mean(right)),
        low=low,
        high=high,
        draws=tuple(float(one.mean()) for one in right),
    )


def _learned_from(task: Task) -> tuple[Any, ...]:
    return task.seed, *(fold.train.tobytes() for fold in task.folds)


def _less(fold: Fold, task: Task, size: float | int) -> Fold:
    return drawn(fold, task, size) if isinstance(size, int) else thinned(fold, task, size)


def thinned(fold: Fold, task: Task, share: float) -> Fold:
    """Return a fold with a share of its training groups, at least two per label.

    A larger share contains the groups of a smaller one.
    """
    targets, groups = task.targets[fold.train], task.groups[fold.train]
    kept: set[int] = set()
    for label in np.unique(targets):
        names = np.unique(groups[targets == label])
        order = np.random.default_rng([task.seed, int(label)]).permutation(names)
        kept.update(order[: max(2, round(share * len(names)))].tolist())
    return dataclasses.replace(fold, train=fold.train[np.isin(groups, list(kept))])


def drawn(fold: Fold, task: Task, clips: int) -> Fold:
    """Return a fold with up to `clips` training tracks per label, taken from its groups in turn.

    A larger number contains the tracks of a smaller one.
    """
    targets, groups = task.targets[fold.train], task.groups[fold.train]
    kept: list[int] = []
    for label in np.unique(targets):
        rng = np.random.default_rng([task.seed, int(label), 7])
        order = rng.permutation(np.flatnonzero(targets == label))
        # Rank of each track within its group.
        own = groups[order]
        rank = np.array([np.sum(own[:at] == own[at]) for at in range(len(own))])
        kept += order[np.argsort(rank, kind="stable")][:clips].tolist()
    return dataclasses.replace(fold, train=fold.train[np.sort(kept)])

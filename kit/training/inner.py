"""Inner cross-validation of a training part."""

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import StratifiedGroupKFold

Split = tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]


def inner_splits(
    targets: Int[np.ndarray, " tracks"], groups: np.ndarray, most: int, seed: int
) -> list[Split]:
    """Return `(train, test)` of each inner fold, with each group in one of them.

    Each label has a group in every fold, so there are at most as many folds as the rarest label has
    groups; no folds if it has one. Folds with an empty test part, or with one label in the training
    part, are left out; they occur if a group has several labels.

    Args:
        targets: number of each track's label.
        groups: group of each track, such as its artist.
        most: largest number of folds.
        seed: seed of the draw.
    """
    count = min([most, *(len(np.unique(groups[targets == label])) for label in np.unique(targets))])
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [
        (train, test)
        for train, test in splitter.split(targets, targets, groups)
        if len(test) and len(np.unique(targets[train])) > 1
    ]

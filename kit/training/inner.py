"""Cross-validation inside a training part."""

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import StratifiedGroupKFold

Split = tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]


def inner_splits(
    targets: Int[np.ndarray, " tracks"], groups: np.ndarray, most: int, seed: int
) -> list[Split]:
    """Return the training and the test tracks of each inner fold, with no group on both sides.

    There are as many folds as each label has groups, at most `most`; none if a label has one group
    only. Where groups have several labels, a fold without test tracks, or with one label to learn
    from, is left out.

    Args:
        targets: the label of each track, by number.
        groups: the group of each, such as its artist.
        most: folds.
        seed: of the draw.
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

"""The accuracy that answers have by chance: labels permuted over groups."""

from typing import Any

import numpy as np
from jaxtyping import Int

DRAWS = 1_000
SEED = 0
"""Fixed, so that the same predictions always give the same evaluation.json."""


def permuted(
    predicted: Int[np.ndarray, " tracks"],
    targets: Int[np.ndarray, " tracks"],
    groups: Int[np.ndarray, " tracks"],
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Return how often answers are as accurate if the labels are permuted over groups.

    The tracks of a group with one label get one label again, so that artists whose tracks sound
    alike do not count as many. The tracks of a group with several labels are as many groups.

    Args:
        predicted: the answer for each track, by number.
        targets: its label, by number.
        groups: its group, by number.
        draws: permutations.
    Returns:
        `accuracy`, the mean over the permutations; `as_good`, those that are at least as accurate
        as the true labels; `draws`; and `p`, (as_good + 1) / (draws + 1).

    Source: Phipson & Smyth (2010), Permutation p-values should never be zero.
    """
    classes = int(max(predicted.max(), targets.max())) + 1
    cells, member = np.unique(np.stack([targets, groups]), axis=1, return_inverse=True)
    answers = np.zeros((cells.shape[1], classes))
    np.add.at(answers, (member.reshape(-1), predicted), 1)
    # In an order on which no number or name of a group has an influence.
    order = np.lexsort((*answers.T, cells[0]))
    answers, labels = answers[order], cells[0][order]
    rng = np.random.default_rng(SEED)
    rows = np.arange(len(labels))
    drawn = rng.permuted(np.tile(labels, (draws, 1)), axis=1)
    hits = answers[rows, drawn].sum(axis=1)
    as_good = int(np.sum(hits >= answers[rows, labels].sum()))
    return {
        "accuracy": float(np.mean(hits)) / len(targets),
        "as_good": as_good,
        "draws": draws,
        "p": (as_good + 1) / (draws + 1),
    }

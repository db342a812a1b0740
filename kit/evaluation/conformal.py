"""Thresholds with a guarantee for new groups of tracks, such as artists that were never heard.

Conformal prediction needs exchangeable data. Tracks of one artist are alike, and not exchangeable
with those of another; artists are. So each group has the same weight here, shared equally by its
tracks, and the new group counts as one more, with the worst result.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

_ROUNDING = 1e-9  # of sums of weights


def set_threshold(
    true: Float[np.ndarray, " tracks"], groups: Sequence[Any] | np.ndarray, level: float
) -> float | None:
    """Return the least probability of a label in a prediction set.

    The labels with at least this probability include the right one with a probability of `level`,
    for a track of a new group that is drawn as these groups were. With one track a group this is
    split conformal prediction with the score 1 - p.

    Args:
        true: the probability of the right label of each track, by a network that has not learned
            from it.
        groups: the group of each track.
        level: the probability, such as 0.9.
    Returns:
        The threshold; None with fewer than `level / (1 - level)` groups, which are too few for it.

    Source: Lee, Barber & Willett (2023), Distribution-free inference with hierarchical data, and
        for the idea Dunn, Wasserman & Ramdas (2023), who draw one track of each group.
    """
    order = np.argsort(-true, kind="stable")
    weight, count = _weights(groups)
    reached = np.cumsum(weight[order]) / (count + 1) >= level - _ROUNDING
    return float(true[order][reached.argmax()]) if reached.any() else None


def answer_threshold(
    probability: Float[np.ndarray, " tracks"],
    right: Bool[np.ndarray, " tracks"],
    groups: Sequence[Any] | np.ndarray,
    risk: float,
) -> float | None:
    """Return the least probability of an answer at which at most a share `risk` is wrong.

    One wrong answer by a new group is added to the answers at or above the threshold. The share of
    wrong ones is then at most `risk`, and also for each higher threshold, up to the highest one
    that leaves enough groups to tell.

    Args:
        probability: of the answer for each track, by a network that has not learned from it.
        right: whether it is the right one.
        groups: the group of each track.
        risk: the share, such as 0.1.
    Returns:
        The threshold; None if no threshold has so few wrong answers, or there are too few groups:
        `(1 - risk) / risk` are needed if none is wrong.

    Source: Angelopoulos et al. (2024), Conformal risk control, of the loss 1(answered) (1(wrong) -
        risk). The loss does not fall steadily with the threshold, so the guarantee is approximate.
    """
    order = np.argsort(-probability, kind="stable")
    weight = _weights(groups)[0][order]
    answered, wrong = np.cumsum(weight), np.cumsum(weight * ~right[order])
    # Equal probabilities are one threshold.
    last = np.append(np.diff(probability[order]) < 0, True)
    passes = (wrong + 1 <= risk * (answered + 1) + _ROUNDING)[last[: len(order)]]
    if not passes.any():
        return None
    failed = np.flatnonzero(~passes[passes.argmax() :])
    end = passes.argmax() + failed[0] if len(failed) else len(passes)
    return float(probability[order][last][end - 1])


def _weights(groups: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, int]:
    """Return the weight of each track, 1 for each group in all, and the number of groups."""
    number, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)[1:]
    return 1 / size[number], len(size)

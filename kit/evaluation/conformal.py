"""Conformal thresholds for tracks of new groups, such as unseen artists.

Conformal prediction needs exchangeable data. Artists are exchangeable; the tracks of one artist are
not exchangeable with the tracks of another. So each group has weight 1, shared equally by its
tracks, and the new group counts as one more with the worst result.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

_ROUNDING = 1e-9  # of sums of weights


def set_threshold(
    true: Float[np.ndarray, " tracks"], groups: Sequence[Any] | np.ndarray, level: float
) -> float | None:
    """Return the lowest probability of a label in a prediction set.

    For a track of a new group, the labels with at least this probability contain the right one with
    probability `level`. With one track per group it is split conformal prediction, score 1 - p.

    Args:
        true: the probability of each track's right label, by a network that did not learn from it.
        groups: the group of each track.
        level: the coverage, such as 0.9.
    Returns:
        The threshold; None with fewer than `level / (1 - level)` groups.

    Source: Lee, Barber & Willett (2023), Distribution-free inference with hierarchical data; Dunn,
        Wasserman & Ramdas (2023), who draw one track of each group.
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
    """Return the lowest probability of an answer such that at most a share `risk` is wrong.

    The share counts one wrong answer of a new group in addition to the answers at or above the
    threshold. It is at most `risk` for every higher threshold too, as long as groups suffice.

    Args:
        probability: of each track's answer, by a network that did not learn from the track.
        right: whether the answer is right.
        groups: the group of each track.
        risk: the share, such as 0.1.
    Returns:
        The threshold; None if every threshold has too many wrong answers or too few groups:
        without a wrong answer, `(1 - risk) / risk` groups are needed.

    Source: Angelopoulos et al. (2024), Conformal risk control, with the loss 1(answered) (1(wrong)
        - risk). This loss is not monotone in the threshold, so the guarantee is approximate.
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
    """Return the weight of each track, 1 / tracks of its group, and the number of groups."""
    number, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)[1:]
    return 1 / size[number], len(size)

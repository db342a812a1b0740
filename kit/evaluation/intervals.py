"""Confidence intervals and a permutation test for tracks in groups, such as an artist's tracks."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from scipy.special import expit, logit, stdtrit

CONFIDENCE = 0.95
FEW_GROUPS = 12
"""With fewer groups the interval is too narrow to support a claim."""
RESAMPLES = 2_000
"""Draws of a bootstrap."""
PERMUTATIONS = 1_000
SEED = 0
"""Fixed: the same predictions always give the same evaluation.json."""
_CELLS = 4_000_000  # of the arrays that a bootstrap holds at once


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of independent tracks."""
    # Takes a second to import; training and prediction do not need it.
    from scipy.stats import binomtest

    found = binomtest(correct, n).proportion_ci(CONFIDENCE, "wilson")
    return float(found.low), float(found.high)


def group_interval(
    right: Real[np.ndarray, " tracks"] | Bool[np.ndarray, " tracks"],
    groups: Sequence[Any] | np.ndarray,
) -> dict[str, Any]:
    """Return the 95% interval of an accuracy: `interval`, `interval_method` and `groups`.

    `right` may be any shares, whose mean is the accuracy. The standard error is that of a ratio
    estimate under cluster sampling. The interval is Student's t with `groups - 1` degrees of
    freedom on the logit scale, so it stays within 0 and 1. If all groups have the same accuracy, it
    is Wilson's interval for one track per group.
    """
    accuracy = float(right.mean())
    hits, size = _sums(right.astype(float), groups)
    # Sort, so that the order of the tracks does not change the last bit.
    total, count = np.sort(hits - accuracy * size), len(size)
    spread = count / max(count - 1, 1) * float(np.square(total).sum())
    # Rounding makes sums of 0 differ a little from 0.
    error = float(np.sqrt(spread)) / int(size.sum()) if spread > 1e-18 else 0.0
    if count < 2 or error == 0 or not 0 < accuracy < 1:
        low, high = wilson_interval(round(accuracy * count), count)
        method = f"Wilson's for {count} independent groups"
    else:
        quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
        reach = quantile * error / (accuracy * (1 - accuracy))
        low, high = (float(expit(logit(accuracy) + s * reach)) for s in (-1, 1))
        method = f"logit t over {count} groups"
    few = f"; fewer than {FEW_GROUPS} groups are too few for it" if count < FEW_GROUPS else ""
    return {"interval": [low, high], "interval_method": method + few, "groups": count}


def difference_interval(
    first: Bool[np.ndarray, " tracks"],
    second: Bool[np.ndarray, " tracks"],
    groups: Sequence[Any] | np.ndarray,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Return the BCa interval over groups of the difference of two accuracies, paired by track.

    None for one group, and if all draws score alike, such as for equal answers.

    Args:
        first: whether the first classifier is right for each track.
        second: whether the second one is.
        groups: the group of each track.
        confidence: coverage of the interval.
    """
    gaps, sizes = _sums(first.astype(float) - second, groups)

    def mean(counts: Float[np.ndarray, "draws groups"]) -> Float[np.ndarray, " draws"]:
        return (counts @ gaps) / (counts @ sizes)

    return bca_interval(mean, len(sizes), confidence=confidence)


def bca_interval(
    score: Callable[[Float[np.ndarray, "draws groups"]], Float[np.ndarray, " draws"]],
    groups: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated bootstrap interval of a score over groups.

    None for one group, if all draws have the same score, and if a draw has none.

    Args:
        score: counts of each group in each draw to the score of each draw, which may be NaN.
        groups: number of groups.
        resamples: number of draws.
        confidence: coverage of the interval.

    Source: SciPy `bootstrap`; Efron (1987), Better bootstrap confidence intervals.
    """
    # Takes a second to import; training and prediction do not need it.
    from scipy.stats import DegenerateDataWarning, bootstrap

    def of_draws(drawn: Int[np.ndarray, "*draws taken"], axis: int) -> np.ndarray:
        rows = np.moveaxis(drawn, axis, -1).reshape(-1, drawn.shape[axis])
        at = rows + groups * np.arange(len(rows))[:, None]
        counts = np.bincount(at.ravel(), minlength=groups * len(rows)).reshape(-1, groups)
        return score(counts.astype(float)).reshape(np.delete(drawn.shape, axis))

    if groups < 2:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (np.arange(groups),),
            of_draws,
            n_resamples=resamples,
            batch=max(1, _CELLS // groups),
            vectorized=True,
            confidence_level=confidence,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if np.isfinite([low, high]).all() else None


def _sums(
    values: Float[np.ndarray, " tracks"], groups: Sequence[Any] | np.ndarray
) -> tuple[Float[np.ndarray, " groups"], Int[np.ndarray, " groups"]]:
    number = np.unique(np.asarray(groups), return_inverse=True)[1]
    return np.bincount(number, weights=values), np.bincount(number)


def permuted(
    predicted: Int[np.ndarray, " tracks"],
    targets: Int[np.ndarray, " tracks"],
    groups: Int[np.ndarray, " tracks"],
    draws: int = PERMUTATIONS,
) -> dict[str, Any]:
    """Return how often the same answers are as accurate after the labels are permuted over groups.

    All tracks of a group with one label get one new label. A group with several labels counts as
    one group per label.

    Args:
        predicted: the answer for each track, by number.
        targets: its label, by number.
        groups: its group, by number.
        draws: number of permutations.
    Returns:
        `accuracy`, the mean over permutations; `as_good`, the permutations at least as accurate as
        the true labels; `draws`; and `p`, (as_good + 1) / (draws + 1).

    Source: Phipson & Smyth (2010), Permutation p-values should never be zero.
    """
    classes = int(max(predicted.max(), targets.max())) + 1
    cells, member = np.unique(np.stack([targets, groups]), axis=1, return_inverse=True)
    answers = np.zeros((cells.shape[1], classes))
    np.add.at(answers, (member.reshape(-1), predicted), 1)
    # Sort by content, so that the numbers of the groups do not matter.
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

"""Confidence intervals of scores of tracks that come in groups, such as those of an artist."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit, logit, stdtrit

CONFIDENCE = 0.95
FEW_GROUPS = 12
"""With fewer groups the interval is too narrow: no claim should rest on it."""
RESAMPLES = 2_000
"""Draws of a bootstrap."""
BOOTSTRAP_SEED = 0
"""Fixed, so that the same predictions always give the same evaluation.json."""
_CELLS = 4_000_000  # of the arrays that a bootstrap holds at once


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of independent tracks."""
    # Takes a second to import, which training and prediction do without.
    from scipy.stats import binomtest

    found = binomtest(correct, n).proportion_ci(CONFIDENCE, "wilson")
    return float(found.low), float(found.high)


def group_interval(
    right: Bool[np.ndarray, " tracks"], groups: Sequence[Any] | np.ndarray
) -> dict[str, Any]:
    """Return the 95% interval of an accuracy as `interval` and `interval_method`, JSON's types.

    The standard error is that of a ratio under draws of whole groups; the interval is Student's
    with one degree of freedom less than groups, on the scale of the logit, so that it stays within
    0 and 1. Where all groups have the same accuracy, the interval is Wilson's for as many
    independent tracks as there are groups.

    Args:
        right: whether the answer for each track is right.
        groups: the group of each track.
    """
    accuracy = float(right.mean())
    hits, size = _sums(right.astype(float), groups)
    # Sorted, so that the order of the tracks does not change the last bit.
    total, count = np.sort(hits - accuracy * size), len(size)
    return _logit_interval(accuracy, _standard_error(total, size), count)


def mean_interval(shares: Float[np.ndarray, " groups"]) -> dict[str, Any]:
    """Return the 95% interval of the mean of one share a group, as `group_interval` does."""
    shares, count = np.sort(shares), len(shares)
    return _logit_interval(
        float(shares.mean()), _standard_error(shares - shares.mean(), np.ones(count, int)), count
    )


def _logit_interval(value: float, error: float, count: int) -> dict[str, Any]:
    if count < 2 or error == 0 or not 0 < value < 1:
        low, high = wilson_interval(round(value * count), count)
        method = f"Wilson's for {count} independent groups"
    else:
        reach = _quantile(count) * error / (value * (1 - value))
        low, high = (float(expit(logit(value) + s * reach)) for s in (-1, 1))
        method = f"logit t over {count} groups"
    few = f"; fewer than {FEW_GROUPS} groups are too few for it" if count < FEW_GROUPS else ""
    return {"interval": [low, high], "interval_method": method + few, "groups": count}


def difference_interval(
    first: Bool[np.ndarray, " tracks"],
    second: Bool[np.ndarray, " tracks"],
    groups: Sequence[Any] | np.ndarray,
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Return the BCa interval over groups of an accuracy less another one on the same tracks.

    It is paired by track. None for one group, and where all draws are alike, as for equal answers.

    Args:
        first: whether the first answer for each track is right.
        second: the same of the other.
        groups: the group of each track.
        confidence: of the interval.
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

    None for one group, and where all draws have the same score or some have none.

    Args:
        score: from how often each draw has each group to the score of each draw, which may be NaN.
        groups: their number.
        resamples: draws.
        confidence: of the interval.

    Source: SciPy `bootstrap`; Efron (1987), Better bootstrap confidence intervals.
    """
    # Takes a second to import, which training and prediction do without.
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
            rng=np.random.default_rng(BOOTSTRAP_SEED),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if np.isfinite([low, high]).all() else None


def _sums(
    values: Float[np.ndarray, " tracks"], groups: Sequence[Any] | np.ndarray
) -> tuple[Float[np.ndarray, " groups"], Int[np.ndarray, " groups"]]:
    number = np.unique(np.asarray(groups), return_inverse=True)[1]
    return np.bincount(number, weights=values), np.bincount(number)


def _standard_error(total: Float[np.ndarray, " groups"], size: Int[np.ndarray, " groups"]) -> float:
    count = len(size)
    spread = count / max(count - 1, 1) * float(np.square(total).sum())
    # Rounding makes sums of 0 differ a little from 0.
    return float(np.sqrt(spread)) / int(size.sum()) if spread > 1e-18 else 0.0


def _quantile(groups: int) -> float:
    return float(stdtrit(groups - 1, (1 + CONFIDENCE) / 2))

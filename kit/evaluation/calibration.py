"""Calibration: temperature, reliability diagram, and accuracy of the most certain answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax

BINS = 10
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the tracks, the most certain first, whose accuracy is reported."""


def temperature(
    scores: Float[np.ndarray, "tracks classes"], targets: Int[np.ndarray, " tracks"]
) -> float:
    """Return the factor of scores, such as log-probabilities, with the lowest log loss.

    It is the inverse of the source's temperature: below 1 the scores are overconfident.

    Source: Guo et al. (2017), On calibration of modern neural networks.
    """

    def loss(log_factor: float) -> float:
        log_p = log_softmax(np.exp(log_factor) * scores, axis=1)
        return float(-log_p[np.arange(len(targets)), targets].mean())

    # Takes 0.2 s to import; predictions do not need it.
    from scipy.optimize import minimize_scalar

    # SciPy's annotations lack the attributes of its result.
    found: Any = minimize_scalar(loss, bounds=(-3.0, 4.0), method="bounded")
    return float(np.exp(found.x))


def of_others(
    log_p: Float[np.ndarray, "tracks classes"],
    targets: Int[np.ndarray, " tracks"],
    folds: Sequence[str],
) -> Float[np.ndarray, "tracks classes"]:
    """Return log-probabilities scaled by the temperature of the other folds' answers."""
    scaled, names = log_p.copy(), np.asarray(folds)
    for name in np.unique(names):
        own = names == name
        factor = temperature(log_p[~own], targets[~own])
        scaled[own] = log_softmax(factor * log_p[own], axis=1)
    return scaled


def reliability(
    log_p: Float[np.ndarray, "tracks classes"], targets: Int[np.ndarray, " tracks"]
) -> dict[str, Any]:
    """Return the reliability diagram, the expected calibration error and the log loss.

    Ten bins of equal size (one per 20 tracks below 200 tracks) divide the tracks by the
    probability of the answer.

    Returns:
        `bins`, each with `n`, the mean `probability` of the answer and the share `right`; `ece`,
        the mean distance of the two over tracks; and `log_loss`.

    Source: Naeini, Cooper & Hauskrecht (2015), with bins of equal size.
    """
    p = np.exp(log_p.max(axis=1))
    right = log_p.argmax(axis=1) == targets
    order = np.argsort(p, kind="stable")
    count = max(1, min(BINS, len(p) // 20))
    bins = [
        {"n": len(at), "probability": float(p[at].mean()), "right": float(right[at].mean())}
        for at in np.array_split(order, count)
    ]
    gaps = [one["n"] * abs(one["probability"] - one["right"]) for one in bins]
    loss = -log_p[np.arange(len(targets)), targets].mean()
    return {"bins": bins, "ece": float(sum(gaps) / len(p)), "log_loss": float(max(loss, 0.0))}


def surest(
    log_p: Float[np.ndarray, "tracks classes"], targets: Int[np.ndarray, " tracks"]
) -> list[dict[str, Any]]:
    """Return the accuracy of the most certain answers, for each of `SHARES`.

    Returns:
        `share` of the tracks, their number `n`, the lowest `probability` of their answers, and the
        share `right`.

    Source: El-Yaniv & Wiener (2010), On the foundations of noise-free selective classification.
    """
    p = np.exp(log_p.max(axis=1))
    right = log_p.argmax(axis=1) == targets
    order = np.argsort(-p, kind="stable")
    found = []
    for share in SHARES:
        kept = order[: max(1, round(share * len(order)))]
        least, good = float(p[kept].min()), float(right[kept].mean())
        found.append({"share": share, "n": len(kept), "probability": least, "right": good})
    return found


def calibration(
    log_p: Float[np.ndarray, "tracks classes"],
    scaled: Float[np.ndarray, "tracks classes"],
    targets: Int[np.ndarray, " tracks"],
    factor: float,
    learned_on: str,
) -> dict[str, Any]:
    """Return `calibration` of evaluation.json.

    Args:
        log_p: the network's log-probabilities of the tracks.
        scaled: the same, scaled by a temperature fitted on other tracks.
        targets: the label of each track, by number.
        factor: the factor for new tracks.
        learned_on: the tracks that the factor was fitted on, in words.
    """
    return {
        "factor": factor,
        "learned_on": learned_on,
        "before": reliability(log_p, targets),
        "after": reliability(scaled, targets),
        "surest": surest(scaled, targets),
    }

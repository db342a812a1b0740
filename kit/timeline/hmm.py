"""A hidden Markov model that smooths answers along a mix: labels last for minutes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

STAYS_S = tuple(float(s) for s in np.geomspace(30, 1200, 12))
"""Mean durations of a section that are tried where none is given, seconds."""


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Answers with their neighbours taken into account.

    Attributes:
        probabilities: of each label at each time, given all answers; rows add up to 1.
        labels: the most likely sequence of labels, as their numbers.
        stay_s: mean duration of a section of one label, seconds.
    """

    probabilities: Float64[np.ndarray, "times labels"]
    labels: Int[np.ndarray, " times"]
    stay_s: float


def smooth(
    log_likelihoods: Float[np.ndarray, "times labels"], step_s: float, stay_s: float | None = None
) -> Smoothed:
    """Return the states of a hidden Markov model whose labels last, and follow each other evenly.

    Args:
        log_likelihoods: natural logarithms of p(answer at a time | label), but for a constant.
        step_s: seconds between two times.
        stay_s: mean duration of a section; if None, the one of `STAYS_S` that makes the answers
            most likely.

    Source: Rabiner 1989, "A tutorial on hidden Markov models"; the duration by the likelihood of
        the forward pass.
    """
    given = np.array(STAYS_S if stay_s is None else [stay_s])
    likelihoods = np.exp(log_likelihoods - log_likelihoods.max(axis=1, keepdims=True))
    likelihoods = np.maximum(likelihoods.astype(np.float64), 1e-12)
    # The probability that a section has ended by the next time.
    change = -np.expm1(-step_s / given)
    score, _ = _forward(likelihoods, change)
    best = int(np.argmax(score))
    one = change[best : best + 1]
    _, forward = _forward(likelihoods, one)
    probabilities = forward[:, 0] * _backward(likelihoods, float(one[0]))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Smoothed(probabilities, _viterbi(likelihoods, float(one[0])), float(given[best]))


def _spread(p: np.ndarray, change: np.ndarray | float) -> np.ndarray:
    """Return the probabilities of labels one step later: they stay, or become any other one."""
    others = p.shape[-1] - 1
    if not others:
        return p
    total = p.sum(axis=-1, keepdims=True)
    return p * (1 - change) + (total - p) * (change / others)


def _forward(likelihoods: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood for each probability of a change, and the filtered labels."""
    p = np.full((len(change), likelihoods.shape[1]), 1 / likelihoods.shape[1])
    filtered = np.empty((len(likelihoods), *p.shape))
    sums = np.empty((len(likelihoods), len(change)))
    for t, row in enumerate(likelihoods):
        p = (p if t == 0 else _spread(p, change[:, None])) * row
        sums[t] = p.sum(axis=1)
        p = p / sums[t][:, None]
        filtered[t] = p
    return np.log(sums).sum(axis=0), filtered


def _backward(likelihoods: np.ndarray, change: float) -> np.ndarray:
    out = np.ones_like(likelihoods)
    for t in range(len(likelihoods) - 2, -1, -1):
        # The matrix of changes is symmetric.
        row = _spread(likelihoods[t + 1] * out[t + 1], change)
        out[t] = row / row.sum()
    return out


def _viterbi(likelihoods: np.ndarray, change: float) -> np.ndarray:
    times, labels = likelihoods.shape
    emission = np.log(likelihoods)
    stays = np.log1p(-change)
    moves = np.log(change / max(1, labels - 1))
    score = emission[0]
    came = np.zeros((times, labels), int)
    for t in range(1, times):
        best = int(np.argmax(score))
        # The best way to change is from the best label: from elsewhere it would score less.
        moved = score[best] + moves
        stay = score + stays >= moved
        came[t] = np.where(stay, np.arange(labels), best)
        score = np.where(stay, score + stays, moved) + emission[t]
    path = np.empty(times, int)
    path[-1] = int(np.argmax(score))
    for t in range(times - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path

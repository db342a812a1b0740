"""Answers along a mix to its sections, its joins, and the stretches that are uncertain."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64
from scipy.special import softmax

from kit.timeline.hmm import Smoothed
from kit.timeline.listen import Answers

NEAR_S = 20.0
"""Seconds from a join within which a change of the label belongs to it."""
POOL_S = 30.0
"""Seconds around a time whose answers are pooled to one, as those of an excerpt are."""


@dataclass(frozen=True)
class Section:
    """A track of a mix, or a stretch of one label.

    Attributes:
        start_s: where it begins, seconds.
        end_s: where it ends.
        label: the label.
        confidence: mean of the label's smoothed probability over the section.
        uncertain: share of the section in which the answer is uncertain.

    Example:
        >>> restored = kit.training.restore(kit.training.locate("tiny").folder)
        >>> found = kit.timeline.timeline(restored, "music/low/00.flac")
        >>> [(one.start_s, one.end_s, one.label) for one in found.sections]
        [(0.0, 1.3, 'low')]
    """

    start_s: float
    end_s: float
    label: str
    confidence: float
    uncertain: float


def sections(
    answers: Answers,
    smoothed: Smoothed,
    uncertain: Bool[np.ndarray, " stretches"],
    labels: tuple[str, ...],
    joins_s: Sequence[float] = (),
) -> tuple[Section, ...]:
    """Return the sections of a file: together they cover all of it.

    A section ends at a join, or where the smoothed label changes far from any join: halfway between
    the middles of two stretches.

    Args:
        answers: of `listen`.
        smoothed: their labels.
        uncertain: of each stretch.
        labels: names of the labels.
        joins_s: where tracks were found to join, seconds.
    """
    middles = answers.times_s
    cuts = np.flatnonzero(np.diff(smoothed.labels))
    changes = ((middles[cuts] + middles[cuts + 1]) / 2).tolist()
    alone = [at for at in changes if all(abs(at - join) > NEAR_S for join in joins_s)]
    edges = [0.0, *sorted([*joins_s, *alone]), answers.duration_s]
    parts = np.split(np.arange(len(middles)), np.searchsorted(middles, edges[1:-1]))
    found = []
    for edge, part in zip(pairwise(edges), parts, strict=True):
        if len(part):
            mean = smoothed.probabilities[part].mean(axis=0)
            best = int(np.argmax(mean))
            unsure = float(uncertain[part].mean())
            found.append(Section(*edge, labels[best], float(mean[best]), unsure))
    return tuple(found)


def pooled(answers: Answers) -> Float64[np.ndarray, "stretches labels"]:
    """Return the probabilities for the 30 s around each stretch: mean logarithms, normalised."""
    middles = answers.times_s
    logs = answers.log_probabilities.astype(np.float64)
    sums = np.cumsum(np.pad(logs, ((1, 0), (0, 0))), axis=0)
    first = np.searchsorted(middles, middles - POOL_S / 2)
    last = np.searchsorted(middles, middles + POOL_S / 2, side="right")
    return softmax((sums[last] - sums[first]) / (last - first)[:, None], axis=1)

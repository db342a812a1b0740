"""Scores of segments to scores of tracks, and the score of a checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import logsumexp

from kit.errors import KitError


def track_log_probabilities(
    segments: Sequence[Float[np.ndarray, "_ classes"]],
) -> Float64[np.ndarray, "tracks classes"]:
    """Return each track's log-probabilities: the mean over its segments, normalised again.

    That is the geometric mean of the probabilities: one segment that is sure of a "no" counts.

    Args:
        segments: for each track the natural logarithms of its segments, (segments, classes); the
            tracks may have different numbers of segments.
    Raises:
        KitError: a track without segments, or a value that is not finite.
    """
    for number, scores in enumerate(segments):
        if 0 in scores.shape:
            raise KitError(
                f"the predictions of track number {number} have shape {scores.shape}; every track "
                "needs a segment and a label"
            )
        if not np.isfinite(scores).all():
            raise KitError(
                f"the predictions of track number {number} are not finite; the training diverged, "
                "so lower TrainConfig.learning_rate and train again"
            )
    if not len(segments):
        return np.zeros((0, 0))
    means = np.stack([scores.mean(axis=0, dtype=np.float64) for scores in segments])
    return means - logsumexp(means, axis=1, keepdims=True)


def checkpoint_score(row: Mapping[str, Any]) -> float:
    """Return the score of an epoch's checkpoint; the lowest is the best.

    The share of wrong validation segments counts, and at a tie the validation loss. The loss alone
    would prefer the first epochs, since a small collection's network soon is surer than it should
    be while it still learns. Without a validation part the last epoch is the best.

    Args:
        row: of metrics.jsonl.
    """
    if row["validation_loss"] is None:
        return -float(row["step"])
    return 1.0 - row["validation_accuracy"] + 1e-6 * row["validation_loss"]

"""The probabilities of a track from those of its segments."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from kit.errors import KitError


def track_log_probabilities(
    segments: Sequence[Float[np.ndarray, "_ n_classes"]],
) -> Float[np.ndarray, "tracks n_classes"]:
    """Return each track's log-probabilities: the mean over its segments, normalised again.

    This is the geometric mean of the probabilities, so one segment that excludes a label weighs
    heavily against it.

    Args:
        segments: for each track the natural logarithms of its segments' probabilities.
    Returns:
        Natural logarithms, float64.
    Raises:
        KitError: a track has no segment, or a value is NaN or infinite.
    """
    for number, scores in enumerate(segments):
        if scores.shape[0] == 0:
            raise KitError(f"track number {number} has no segment; leave it out")
        if not np.isfinite(scores).all():
            raise KitError(
                f"the predictions of track number {number} are not finite; the training diverged, "
                "so lower --train.learning-rate and train again"
            )
    mean = np.stack([scores.mean(axis=0, dtype=np.float64) for scores in segments])
    return mean - logsumexp(mean, axis=1, keepdims=True)

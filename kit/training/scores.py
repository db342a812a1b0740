"""Pool scores of segments to scores of tracks, and score checkpoints."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from kit.errors import KitError


class SegmentScores(NamedTuple):
    """Log-probabilities of the segments of tracks.

    Attributes:
        segments: (segments, classes) for each track.
        log_weights: logarithms of the attention weights, (segments,) for each track; the weights of
            a track add up to 1. None for a network without attention.
        several: each label has a probability of its own.
    """

    segments: list[Float[np.ndarray, "_ classes"]]
    log_weights: list[Float[np.ndarray, " _"]] | None = None
    several: bool = False

    def of_tracks(self) -> Float64[np.ndarray, "tracks classes"]:
        """Return each track's log-probabilities; see `track_log_probabilities`."""
        return track_log_probabilities(self.segments, self.log_weights, self.several)

    def chosen(self, tracks: Iterable[int]) -> "SegmentScores":
        """Return the scores of some tracks, by number."""
        numbers, weights = list(tracks), self.log_weights
        return SegmentScores(
            [self.segments[number] for number in numbers],
            None if weights is None else [weights[number] for number in numbers],
            self.several,
        )


def joined(parts: Sequence[SegmentScores]) -> SegmentScores:
    """Concatenate the scores of several sets of tracks."""
    weights = [part.log_weights for part in parts if part.log_weights is not None]
    segments = [each for part in parts for each in part.segments]
    log_weights = [each for part in weights for each in part] if weights else None
    return SegmentScores(segments, log_weights, any(part.several for part in parts))


def averaged(networks: Sequence[SegmentScores]) -> SegmentScores:
    """Average the scores of networks with attention for the same tracks.

    The mean over networks of a track's probabilities is a weighted mean over its segments: the
    weight of a segment is the mean of its weights, and its probabilities are averaged by them.
    """
    segments, log_weights = [], []
    for number, _ in enumerate(networks[0].segments):
        scores = np.stack([each.segments[number] for each in networks]).astype(np.float64)
        weights = np.stack([each.log_weights[number] for each in networks if each.log_weights])
        total = np.logaddexp.reduce(weights)
        mean = np.logaddexp.reduce(scores + weights[..., None]) - total[:, None]
        segments.append(mean.astype(np.float32))
        log_weights.append(total - np.log(len(networks)))
    return SegmentScores(segments, log_weights, networks[0].several)


def track_log_probabilities(
    segments: Sequence[Float[np.ndarray, "_ classes"]],
    log_weights: Sequence[Float[np.ndarray, " _"]] | None = None,
    several: bool = False,
) -> Float64[np.ndarray, "tracks classes"]:
    """Return each track's log-probabilities: the mean over its segments, normalised.

    That is the geometric mean of the probabilities, in which one segment with a probability near 0
    counts. With weights it is the weighted arithmetic mean, as in the attention loss
    (`kit.training.losses`), in which segments of little weight do not count.

    Args:
        segments: natural logarithms of probabilities, (segments, classes) for each track.
        log_weights: logarithms of the weights, (segments,) for each track.
        several: each label has a probability of its own; logits are averaged in place of
            log-probabilities.
    Raises:
        KitError: a track has no segments, or a value is not finite.

    Example:
        >>> segments = np.log([[0.5, 0.5], [0.9, 0.1]])  # of one track
        >>> np.exp(kit.training.track_log_probabilities([segments])).round(2)
        array([[0.75, 0.25]])
    """
    for number, scores in enumerate(segments):
        if 0 in scores.shape:
            raise KitError(
                f"the predictions of track number {number} have shape {scores.shape}; every track "
                "needs a segment and a label"
            )
        weights = 0.0 if log_weights is None else log_weights[number]
        if not (np.isfinite(scores).all() and np.isfinite(weights).all()):
            raise KitError(
                f"the predictions of track number {number} are not finite; the training diverged, "
                "so lower TrainConfig.learning_rate and train again"
            )
    if not len(segments):
        return np.zeros((0, 0))
    if log_weights is None:
        each = [scores.astype(np.float64) for scores in segments]
        means = np.stack([_mean_of_logits(x) if several else x.mean(axis=0) for x in each])
    else:
        pairs = zip(segments, log_weights, strict=True)
        means = np.stack([np.logaddexp.reduce(scores + w[:, None]) for scores, w in pairs])
    if several:
        return means
    return means - np.logaddexp.reduce(means, axis=1, keepdims=True)


def _mean_of_logits(scores: np.ndarray) -> np.ndarray:
    yes, no = with_absence(scores)
    return -np.logaddexp(0, -(yes - no).mean(axis=0))


def with_absence(log_p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return finite logarithms of probabilities and of their complements, precise near 0 and 1."""
    yes = np.minimum(log_p, -1e-37)
    return yes, np.log(-np.expm1(yes))


def checkpoint_score(row: Mapping[str, Any]) -> float:
    """Return the score of an epoch's checkpoint from its row of metrics.jsonl; the lowest is best.

    It is the validation error rate, with the validation loss at a tie. The loss alone would prefer
    early epochs, since networks become overconfident on small collections while they still learn.
    With several labels it is the validation loss; without a validation part, the last epoch wins.
    """
    if row["validation_loss"] is None:
        return -float(row["step"])
    if row["validation_accuracy"] is None:
        return row["validation_loss"]
    return 1.0 - row["validation_accuracy"] + 1e-6 * row["validation_loss"]

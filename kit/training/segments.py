"""Positions of segments in a row of features: a grid for evaluation, a random draw for each epoch.

A row holds adjacent excerpts of `n_frames` frames each; its valid frames come first. A segment lies
in the valid frames of one excerpt. With `SegmentConfig.pad`, a track that is shorter than a segment
has one segment, which starts at its first frame.
"""

import numpy as np
from jaxtyping import Int

from kit.config import SegmentConfig


def grid(frames: int, n_frames: int, segments: SegmentConfig) -> Int[np.ndarray, " segments"]:
    """Return the first frames of a row's segments in evaluation and prediction.

    Each excerpt has a segment every `hop_frames` frames, and one more at the end of its valid
    frames if the others do not cover them.

    Args:
        frames: valid frames of the row.
        n_frames: frames of one excerpt.
        segments: length and hop.
    """
    if segments.pad and frames < segments.frames:
        return np.zeros(1, np.int64)
    starts = []
    for first in range(0, frames, n_frames):
        last = min(frames - first, n_frames) - segments.frames
        here = list(range(0, last + 1, segments.hop_frames))
        if here and here[-1] < last:
            here.append(last)
        starts += [first + start for start in here]
    return np.array(starts, np.int64)


def segments_of_tracks(
    frames: Int[np.ndarray, " tracks"], n_frames: int, segments: SegmentConfig
) -> Int[np.ndarray, " tracks"]:
    """Return the number of segments of each track in an unbalanced `draw`."""
    track, _, count, _ = _excerpts(frames, n_frames, segments)
    return np.bincount(track, count, len(frames)).astype(np.int64)


def draw(
    frames: Int[np.ndarray, " tracks"],
    n_frames: int,
    segments: SegmentConfig,
    *,
    seed: int,
    epoch: int,
    classes: Int[np.ndarray, " tracks"] | None = None,
) -> tuple[Int[np.ndarray, " segments"], Int[np.ndarray, " segments"]]:
    """Return the training segments of an epoch in training order: `(tracks, starts)`.

    An excerpt with v valid frames gives v // segments.frames segments, adjacent ("grid") or at
    uniform random offsets ("random"). The result depends on the arguments alone, so a resumed run
    has the batches of an uninterrupted one.

    Args:
        frames: valid frames of each track's row.
        n_frames: frames of one excerpt.
        segments: length and kind of draw.
        seed: seed of the run.
        epoch: from 0.
        classes: class of each track, to balance them: the total stays, and the classes have equally
            many segments, within one. Segments of a frequent class are drawn without repetition;
            those of a rare class repeat equally often, within one.
    """
    rng = np.random.default_rng([seed, epoch])
    track, first, valid, number = _side_by_side(frames, n_frames, segments)
    if classes is not None:
        chosen = _balanced(rng, np.asarray(classes)[track])
        track, first, valid, number = (values[chosen] for values in (track, first, valid, number))
    starts = first + _offsets(rng, valid, number, segments)
    order = rng.permutation(len(track))
    return track[order], starts[order]


def draw_tracks(
    frames: Int[np.ndarray, " tracks"],
    n_frames: int,
    segments: SegmentConfig,
    *,
    seed: int,
    epoch: int,
    classes: Int[np.ndarray, " tracks"] | None = None,
) -> tuple[Int[np.ndarray, " drawn"], list[Int[np.ndarray, " _"]]]:
    """Return the tracks of an epoch in training order, and the first frames of their segments.

    Segments are drawn as in `draw`, and come in their order in time.

    Args:
        classes: class of each track, to balance them: the total stays, and the classes have equally
            many tracks, within one. A repeated track has new segments.
        The others: as for `draw`.
    """
    rng = np.random.default_rng([seed, epoch])
    every = np.arange(len(frames)) if classes is None else _balanced(rng, np.asarray(classes))
    drawn = rng.permutation(every)
    place, first, valid, number = _side_by_side(np.asarray(frames)[drawn], n_frames, segments)
    starts = first + _offsets(rng, valid, number, segments)
    return drawn, np.split(starts, np.cumsum(np.bincount(place, minlength=len(drawn)))[:-1])


def _side_by_side(
    frames: np.ndarray, n_frames: int, segments: SegmentConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each segment's track, its excerpt's first and valid frames, and its number there."""
    track, first, count, valid = _excerpts(frames, n_frames, segments)
    track, first, valid = (np.repeat(values, count) for values in (track, first, valid))
    return track, first, valid, np.arange(len(track)) - np.repeat(np.cumsum(count) - count, count)


def _offsets(
    rng: np.random.Generator, valid: np.ndarray, number: np.ndarray, segments: SegmentConfig
) -> np.ndarray:
    """Return the first frame of each segment in its excerpt."""
    if segments.draw == "random":
        return rng.integers(0, np.maximum(valid - segments.frames, 0) + 1)
    return number * segments.frames


def _balanced(rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    """Return `len(classes)` indices into `classes`, with each class equally often."""
    share, rest = divmod(len(classes), len(present := rng.permutation(np.unique(classes))))
    parts = []
    for place, name in enumerate(present):
        own = np.flatnonzero(classes == name)
        times, more = divmod(share + (place < rest), len(own))
        parts += [np.tile(own, times), rng.permutation(own)[:more]]
    return np.concatenate(parts)


def _excerpts(
    frames: np.ndarray, n_frames: int, segments: SegmentConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each excerpt's track, first frame, number of segments and valid frames."""
    frames = np.asarray(frames, np.int64)
    each = -(-frames // n_frames)
    track = np.repeat(np.arange(len(each)), each)
    first = (np.arange(len(track)) - np.repeat(np.cumsum(each) - each, each)) * n_frames
    valid = np.minimum(frames[track] - first, n_frames)
    count = valid // segments.frames
    if segments.pad:
        count[frames[track] < segments.frames] = 1
    return track, first, count, valid

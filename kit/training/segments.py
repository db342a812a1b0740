"""Where segments lie in a row of features: a grid for evaluation, a draw for each epoch.

A row holds excerpts side by side, `n_frames` frames each, and its valid frames are a prefix of it.
A segment lies in the valid frames of one excerpt: never across two, never in padding. Only with
`SegmentConfig.pad` a track that is shorter than a segment has one, which begins at its first frame.
"""

import numpy as np
from jaxtyping import Int

from kit.config import SegmentConfig


def grid(frames: int, n_frames: int, segments: SegmentConfig) -> Int[np.ndarray, " segments"]:
    """Return the first frames of a row's segments in evaluation and prediction.

    In each excerpt: every `hop_frames` frames while the segment fits, and one segment at the end
    of the valid frames if they would not be heard otherwise.

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
    """Return the number of segments that `draw` gives of each track, where it does not balance."""
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
    """Return the training segments of an epoch in their order: `(tracks, starts)`.

    An excerpt with v valid frames gives v // segments.frames segments: side by side ("grid"), or
    at uniform random offsets ("random"). With `segments.pad`, a track that would give none gives
    one. A function of its arguments alone, so that a resumed run
    sees the batches of an uninterrupted one.

    Args:
        frames: valid frames of each track's row.
        n_frames: frames of one excerpt.
        segments: length and kind of draw.
        seed: of the run.
        epoch: from 0.
        classes: class of each track, to balance them: the number of segments stays, and every class
            has the same share of it, to one segment. Those of a frequent class are drawn without
            repetition; those of a rare one come equally often, to one time.
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
    """Return the tracks of an epoch in their order, and the first frames of each one's segments.

    The segments of a track are those that `draw` gives of it, in their order in time.

    Args:
        frames: as for `draw`.
        n_frames: as for `draw`.
        segments: as for `draw`.
        seed: as for `draw`.
        epoch: as for `draw`.
        classes: class of each track, to balance them: the number of tracks stays, and every class
            has the same share of it, to one track. A track that comes again has segments of its
            own.
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
    """Return, for each segment, its track, its excerpt's first and valid frames, and its place."""
    track, first, count, valid = _excerpts(frames, n_frames, segments)
    track, first, valid = (np.repeat(values, count) for values in (track, first, valid))
    return track, first, valid, np.arange(len(track)) - np.repeat(np.cumsum(count) - count, count)


def _offsets(
    rng: np.random.Generator, valid: np.ndarray, number: np.ndarray, segments: SegmentConfig
) -> np.ndarray:
    """Return where in its excerpt each segment begins: at random, or side by side."""
    if segments.draw == "random":
        return rng.integers(0, np.maximum(valid - segments.frames, 0) + 1)
    return number * segments.frames


def _balanced(rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    """Return as many indices into `classes` as it has, with each class equally often."""
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
    """Return, for each excerpt, its track, first frame, number of segments and valid frames."""
    frames = np.asarray(frames, np.int64)
    each = -(-frames // n_frames)
    track = np.repeat(np.arange(len(each)), each)
    first = (np.arange(len(track)) - np.repeat(np.cumsum(each) - each, each)) * n_frames
    valid = np.minimum(frames[track] - first, n_frames)
    count = valid // segments.frames
    if segments.pad:
        count[frames[track] < segments.frames] = 1
    return track, first, count, valid

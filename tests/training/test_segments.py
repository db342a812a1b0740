import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.config import SegmentConfig
from kit.defaults import ORIGINAL_SEGMENTS
from kit.training.segments import draw, grid, segments_of_tracks


def test_the_original_grid_is_ten_segments_side_by_side():
    np.testing.assert_array_equal(grid(1280, 1280, ORIGINAL_SEGMENTS), np.arange(10) * 128)


@pytest.mark.parametrize(
    ("frames", "n_frames", "starts"),
    [
        (10, 10, [0, 2, 4, 6]),
        (11, 11, [0, 2, 4, 6, 7]),  # the last frame would go unheard
        (4, 11, [0]),
        (3, 11, []),
        (15, 6, [0, 2, 6, 8]),  # two excerpts of 6 frames, and 3 frames of a third
        (16, 6, [0, 2, 6, 8, 12]),
    ],
)
def test_the_grid_by_hand(frames, n_frames, starts):
    assert grid(frames, n_frames, SegmentConfig(frames=4)).tolist() == starts


@pytest.mark.parametrize(
    ("frames", "starts"), [(1, [0]), (3, [0]), (4, [0]), (5, [0, 1]), (15, [0, 2, 6, 8])]
)
def test_a_track_shorter_than_a_segment_gives_one_with_padding(frames, starts):
    assert grid(frames, 6, SegmentConfig(frames=4, pad=True)).tolist() == starts


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_padding_draws_short_tracks_once_and_leaves_the_others(kind):
    plain = SegmentConfig(frames=4, draw=kind)
    padded = dataclasses.replace(plain, pad=True)
    long, mixed = np.array([12, 9, 15]), np.array([12, 3, 15, 1])
    for one, other in zip(
        draw(long, 12, plain, seed=1, epoch=2), draw(long, 12, padded, seed=1, epoch=2), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    tracks, starts = draw(mixed, 12, padded, seed=1, epoch=2)
    np.testing.assert_array_equal(np.bincount(tracks), [3, 1, 3, 1])
    np.testing.assert_array_equal(segments_of_tracks(mixed, 12, padded), [3, 1, 3, 1])
    assert (starts[(tracks == 1) | (tracks == 3)] == 0).all()


@st.composite
def layouts(draw_):
    """Segments of at most an excerpt, and the valid frames of some tracks."""
    length = draw_(st.integers(1, 12))
    n_frames = draw_(st.integers(length, 40))
    config = SegmentConfig(
        frames=length,
        hop=draw_(st.none() | st.integers(1, length)),
        draw=draw_(st.sampled_from(["random", "grid"])),
    )
    frames = draw_(st.lists(st.integers(length, 3 * n_frames), min_size=1, max_size=6))
    return config, n_frames, np.array(frames, np.int32)


def assert_inside(start, frames, n_frames, config):
    assert start >= 0
    assert start + config.frames <= frames, "in padding"
    assert start // n_frames == (start + config.frames - 1) // n_frames, "across excerpts"


@given(layouts())
def test_the_grid_covers_every_frame_and_nothing_else(layout):
    config, n_frames, lengths = layout
    for frames in lengths.tolist():
        starts = grid(frames, n_frames, config)
        heard = np.zeros(frames, bool)
        for start in starts:
            assert_inside(start, frames, n_frames, config)
            heard[start : start + config.frames] = True
        # A last excerpt that is shorter than a segment has none.
        rest = frames % n_frames
        assert heard[: frames - rest if 0 < rest < config.frames else frames].all()
        assert len(set(starts.tolist())) == len(starts)


@given(layouts(), st.integers(0, 3), st.integers(0, 3))
def test_a_draw_stays_inside_and_repeats(layout, seed, epoch):
    config, n_frames, frames = layout
    tracks, starts = draw(frames, n_frames, config, seed=seed, epoch=epoch)
    for track, start in zip(tracks.tolist(), starts.tolist(), strict=True):
        assert_inside(start, frames[track], n_frames, config)
    again = draw(frames, n_frames, config, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(again, (tracks, starts))
    each = frames // n_frames * (n_frames // config.frames) + frames % n_frames // config.frames
    np.testing.assert_array_equal(np.bincount(tracks, minlength=len(frames)), each)
    np.testing.assert_array_equal(segments_of_tracks(frames, n_frames, config), each)


def test_a_draw_of_the_grid_takes_each_segment_once():
    config = SegmentConfig(frames=4, draw="grid")
    tracks, starts = draw(np.array([12, 9]), 12, config, seed=0, epoch=0)
    assert sorted(zip(tracks.tolist(), starts.tolist(), strict=True)) == [
        *((0, 0), (0, 4), (0, 8)),
        *((1, 0), (1, 4)),
    ]


def test_random_offsets_are_uniform():
    """Each of the 6 offsets of 4 frames in 9 is drawn in a sixth of the cases."""
    frames = np.full(6000, 9)
    _, starts = draw(frames, 9, SegmentConfig(frames=4), seed=0, epoch=0)
    counts = np.bincount(starts, minlength=6)
    assert len(counts) == 6
    # 12,000 draws: a deviation of 41 each.
    np.testing.assert_allclose(counts, 2000, atol=5 * 41)


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_epochs_and_seeds_differ(kind):
    config = dataclasses.replace(SegmentConfig(frames=4), draw=kind)
    frames = np.full(20, 12)
    first = draw(frames, 12, config, seed=0, epoch=0)
    assert not np.array_equal(first, draw(frames, 12, config, seed=0, epoch=1))
    assert not np.array_equal(first, draw(frames, 12, config, seed=1, epoch=0))


@given(layouts(), st.data())
def test_a_balanced_draw_gives_each_class_its_share(layout, data):
    config, n_frames, frames = layout
    config = dataclasses.replace(config, draw="grid")
    size = len(frames)
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)))
    each = segments_of_tracks(frames, n_frames, config)
    tracks, starts = draw(frames, n_frames, config, seed=0, epoch=1, classes=classes)
    again = draw(frames, n_frames, config, seed=0, epoch=1, classes=classes)
    np.testing.assert_array_equal(again, (tracks, starts))
    assert len(tracks) == each.sum()
    counts = np.bincount(classes[tracks], minlength=3)[np.unique(classes)]
    assert counts.max() - counts.min() <= 1
    for track, start in zip(tracks.tolist(), starts.tolist(), strict=True):
        assert_inside(start, frames[track], n_frames, config)
    for name in np.unique(classes):
        drawn = np.array(
            [
                np.count_nonzero((tracks == track) & (starts == start))
                for track in np.flatnonzero(classes == name)
                for start in draw(frames[[track]], n_frames, config, seed=0, epoch=0)[1]
            ]
        )
        assert drawn.max() - drawn.min() <= 1


def test_repeated_segments_lie_at_offsets_of_their_own():
    classes = np.array([0] * 99 + [1])
    tracks, starts = draw(
        np.full(100, 4000), 4000, SegmentConfig(frames=400), seed=0, epoch=0, classes=classes
    )
    rare = starts[tracks == 99]
    assert len(rare) == 500
    assert len(np.unique(rare)) > 400

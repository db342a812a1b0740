"""Batches of whole tracks: every track once in an epoch, with all its segments side by side."""

import dataclasses

import numpy as np
import pytest

from kit.config import (
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    TrainConfig,
    identity,
)
from kit.errors import ConfigError
from kit.training.batches import Batches
from kit.training.data import Held, Part
from kit.training.segments import draw_tracks, grid, segments_of_tracks

FEATURES = FeatureConfig(
    frontend=FrontendConfig(n_mels=2), n_frames=12, excerpts=2, clip_s=0.4, least_s=None
)
FRAMES = np.array([24, 20, 12, 4, 9, 24, 24], np.int32)  # 6, 5, 3, 1, 2, 6 and 6 segments
ROWS = np.array([3, 0, 6, 1, 5, 2, 4], np.int32)
Y = np.array([0, 1, 1, 0, 1, 1, 1], np.int32)


def made(**train):
    features = dataclasses.replace(FEATURES, least_s=0.1)
    config = TrainConfig(**{"batch_size": 20, "loss": "mean", **train})
    experiment = Experiment(features=features, segments=SegmentConfig(frames=4), train=config)
    part = Part(Held(np.zeros((7, 24, 2), np.float32)), ROWS, FRAMES, Y, 12)
    return Batches.of(experiment, part), part


def by_track(picks, size):
    """The rows, starts and weights of each batch, (tracks, places) each."""
    return (
        [each.reshape(size, -1) for each in batch]
        for batch in zip(*picks[:2], picks.weight, strict=True)
    )


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_a_batch_has_whole_tracks(kind):
    batches, _ = made(loss=kind)
    assert (batches.size, batches.per_epoch) == (3, 2)  # 20 segments are three tracks of 6
    picks = batches.training(0)
    assert picks.rows.shape == picks.starts.shape == picks.weight.shape == (2, 18)
    assert picks.y.shape == (2, 3)
    place = {row: number for number, row in enumerate(ROWS.tolist())}
    counts = segments_of_tracks(FRAMES, 12, batches.experiment.segments)
    seen = []
    for (rows, starts, weight), y in zip(by_track(picks, 3), picks.y, strict=True):
        for one, first, real, label in zip(rows, starts, weight, y, strict=True):
            track = place[one[0]]
            seen.append(track)
            assert set(one.tolist()) == {ROWS[track]}
            assert label == Y[track]
            count = counts[track]
            np.testing.assert_array_equal(real, np.arange(6) < count)
            np.testing.assert_array_equal(first, np.resize(first[:count], 6))
            for start in first.tolist():
                assert 0 <= start <= FRAMES[track] - 4
                assert start // 12 == (start + 3) // 12
    assert len(set(seen)) == len(seen) == 6


def test_an_epoch_is_a_function_of_the_seed_and_its_number():
    first, again, other = made()[0], made()[0], made(seed=1)[0]
    for one, two in zip(first.training(3), again.training(3), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first.training(3).starts, first.training(4).starts)
    assert not np.array_equal(first.training(3).starts, other.training(3).starts)


def test_a_balanced_epoch_has_as_many_tracks_of_each_class():
    tracks, starts = draw_tracks(FRAMES, 12, SegmentConfig(frames=4), seed=0, epoch=0, classes=Y)
    assert sorted(np.bincount(Y[tracks])) == [3, 4]
    counts = segments_of_tracks(FRAMES, 12, SegmentConfig(frames=4))
    assert [len(each) for each in starts] == counts[tracks].tolist()
    (whole, _) = [each for track, each in zip(tracks, starts, strict=True) if track == 0][:2]
    assert len(whole) == 6


def test_evaluation_takes_each_segment_of_the_grid_once():
    batches, part = made()
    picks = batches.evaluation(part)
    assert picks.y.shape == (3, 3)  # seven tracks, and two that repeat the last
    assert picks.rows.shape == (3, 30)  # 5 segments of each excerpt
    found = [
        (row, start)
        for rows, starts, weight in zip(*picks[:2], picks.weight, strict=True)
        for row, start, real in zip(rows.tolist(), starts.tolist(), weight, strict=True)
        if real
    ]
    expected = [
        (row, start)
        for row, frames in zip(ROWS.tolist(), FRAMES.tolist(), strict=True)
        for start in grid(frames, 12, batches.experiment.segments).tolist()
    ]
    assert found == expected


def test_few_tracks_make_a_smaller_batch():
    batches, _ = made(batch_size=600)
    assert (batches.size, batches.per_epoch) == (7, 1)


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(ConfigError, match=r"batch_size is 5; .*whole tracks of 6 segments; raise"):
        made(batch_size=5)
    assert made(batch_size=5, loss="segments")[0].size == 5
    assert "loss" not in identity(TrainConfig())
    assert identity(TrainConfig(loss="mean"))["loss"] == "mean"

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.training.segments import (
    Segments,
    cut,
    epoch_order,
    eval_batches,
    scaling_of,
    steps_per_epoch,
    train_batch,
)


def numbered(tracks, segments):
    """Segments whose every value is the number of the segment."""
    x = np.arange(tracks * segments, dtype=np.float32).reshape(tracks, segments, 1, 1)
    return Segments(np.broadcast_to(x, (tracks, segments, 2, 3)), np.arange(tracks, dtype=np.int32))


def test_cut_keeps_time_in_order_and_drops_the_rest():
    features = np.arange(2 * 11 * 3, dtype=np.float32).reshape(2, 11, 3)
    segments = cut(features, 4)
    assert segments.shape == (2, 2, 4, 3)
    np.testing.assert_array_equal(segments[1, 1], features[1, 4:8])


def test_the_original_cuts_ten():
    assert cut(np.zeros((1, 1280, 128), np.float32), 128).shape == (1, 10, 128, 128)


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_takes_no_segment_twice(tracks, segments, batch_size, epoch):
    data = numbered(tracks, segments)
    order = epoch_order(len(data), seed=1, epoch=epoch)
    seen = []
    for position in range(steps_per_epoch(len(data), batch_size)):
        batch = train_batch(data, order, batch_size=batch_size, position=position)
        assert batch.x.shape == (batch_size, 2, 3)
        counted = batch.weight > 0
        numbers = batch.x[counted, 0, 0].astype(int)
        np.testing.assert_array_equal(batch.y[counted], numbers // segments)
        seen += numbers.tolist()
    assert len(seen) == len(set(seen))
    assert len(seen) >= len(data) - batch_size + 1 or len(seen) == len(data)


def test_epochs_and_seeds_differ_and_repeat():
    first = epoch_order(50, seed=0, epoch=0)
    np.testing.assert_array_equal(first, epoch_order(50, seed=0, epoch=0))
    assert not np.array_equal(first, epoch_order(50, seed=0, epoch=1))
    assert not np.array_equal(first, epoch_order(50, seed=1, epoch=0))


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 20))
def test_evaluation_counts_each_segment_once(tracks, segments, batch_size):
    data = numbered(tracks, segments)
    seen = []
    for batch in eval_batches(data, batch_size=batch_size):
        assert batch.x.shape[0] == batch_size
        seen += batch.x[batch.weight > 0, 0, 0].astype(int).tolist()
    assert seen == list(range(len(data)))


def test_scaling_is_the_mean_and_deviation_of_all_values():
    x = np.random.default_rng(0).normal(-40, 15, (5, 3, 7, 4)).astype(np.float32)
    scaling = scaling_of(Segments(x, np.zeros(5, np.int32)))
    np.testing.assert_allclose(scaling, (x.mean(), x.std()), rtol=1e-5)
    silence = Segments(np.full((1, 1, 2, 2), -80, np.float32), np.zeros(1, np.int32))
    assert scaling_of(silence) == (-80, 1)
    assert not np.any(scaling_of(silence).apply(silence.x))


def test_steps_per_epoch_is_never_zero():
    assert steps_per_epoch(3, 64) == 1
    assert steps_per_epoch(130, 64) == 2


@pytest.mark.parametrize("frames", [5, 11])
def test_segments_longer_than_half_a_track(frames):
    assert cut(np.zeros((1, 11, 3), np.float32), frames).shape[1] == 11 // frames

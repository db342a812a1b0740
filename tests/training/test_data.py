import dataclasses

import numpy as np
import pytest

from kit.config import SegmentConfig
from kit.training.data import Held, Part, Read, ahead, hold
from kit.training.scaling import make_scaling, scaling_of
from kit.training.step import Batch


def parts(x, frames=None, n_frames=None):
    """The same tracks in memory and read row by row."""
    frames = np.full(len(x), x.shape[1]) if frames is None else np.asarray(frames)
    y = np.arange(len(x)).astype(np.int32)
    rows = np.arange(len(x))[::-1].astype(np.int32)
    reads = []

    def read(numbers):
        reads.append(len(numbers))
        return x[numbers]

    given = (rows, frames.astype(np.int32), y, n_frames or x.shape[1])
    return Part(Held(x), *given), Part(Read(read, x[0].nbytes), *given), reads


def batch_of(part, tracks, starts, frames, size):
    return part.picks(tracks, starts, size).batch(part.source, 0, frames)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_batches_are_the_same_from_memory_and_from_a_store(dtype):
    x = np.random.default_rng(0).integers(-100, 100, (5, 12, 3)).astype(dtype)
    held, read, reads = parts(x)
    tracks, starts = np.array([4, 0, 0, 2]), np.array([0, 3, 8, 5])
    loaded = dataclasses.replace(read, source=hold(read.source, len(x)))
    assert isinstance(loaded.source, Held)
    assert loaded.source.array.ctypes.data % 64 == 0  # JAX uses such memory without a copy
    reads.clear()
    a, b, c = (batch_of(part, tracks, starts, 4, 6) for part in (held, read, loaded))
    assert reads == [3]  # each row once
    for one, two, three in zip(a, b, c, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    assert a.x.dtype == dtype
    np.testing.assert_array_equal(a.x[1], x[4, 3:7])
    np.testing.assert_array_equal(a.y[:4], tracks)
    np.testing.assert_array_equal(a.weight, [1, 1, 1, 1, 0, 0])
    # Padding repeats segments: zeros would be a spectrum that no track has.
    np.testing.assert_array_equal(a.x[4:], a.x[:2])


def test_wide_numbers_are_singles_on_the_device():
    x = np.arange(24.0).reshape(1, 12, 2)
    (held, _, _) = parts(x)
    assert batch_of(held, np.array([0]), np.array([1]), 3, 1).x.dtype == np.float32


def test_scaling_is_the_mean_and_deviation_of_the_valid_frames():
    rng = np.random.default_rng(0)
    x = rng.normal(-40, 15, (70, 21, 4)).astype(np.float32)
    frames = rng.integers(5, 22, 70)
    for row, valid in zip(x[::-1], frames, strict=True):
        row[valid:] = np.nan  # padding, whatever it is, counts nowhere
    held, read, _ = parts(x, frames)
    values = x[np.isfinite(x)].astype(np.float64)
    one, two = scaling_of(held), scaling_of(read)
    np.testing.assert_allclose((one.mean, one.deviation), (values.mean(), values.std()), rtol=1e-6)
    assert one == two


def test_scaling_of_stored_bytes_is_in_decibels():
    x = np.random.default_rng(0).integers(-127, 128, (3, 9, 4)).astype(np.int8)
    held, _, _ = parts(x)
    scaling = scaling_of(held, 0.5, -40.0)
    decibels = 0.5 * x - 40.0
    np.testing.assert_allclose((scaling.mean, scaling.deviation), (decibels.mean(), decibels.std()))
    scaled = np.asarray(scaling.apply(x))
    np.testing.assert_allclose((scaled.mean(), scaled.std()), (0, 1), atol=1e-5)


def test_scaling_of_silence():
    held, _, _ = parts(np.full((2, 4, 3), -80, np.float32))
    scaling = scaling_of(held)
    assert scaling == make_scaling(mean=-80.0)
    assert not np.any(scaling.apply(held.source.array))


def test_evaluation_takes_each_segment_of_the_grid_once():
    held, _, _ = parts(np.zeros((3, 12, 1), np.float32), frames=[12, 4, 9], n_frames=6)
    tracks, starts = held.evaluation_segments(SegmentConfig(frames=4, hop=4))
    assert list(zip(tracks.tolist(), starts.tolist(), strict=True)) == [
        *((0, 0), (0, 2), (0, 6), (0, 8)),
        (1, 0),
        *((2, 0), (2, 2)),
    ]


def test_batches_come_in_order_and_errors_arrive():
    def make(number):
        if number == 7:
            raise RuntimeError("row 7")
        return Batch(np.full((1, 1, 1), number), np.zeros(1, np.int32), np.ones(1, np.float32))

    assert [int(batch.x[0, 0, 0]) for batch in ahead(make, 7)] == list(range(7))
    with pytest.raises(RuntimeError, match="row 7"):
        list(ahead(make, 20))
    assert list(ahead(make, 0)) == []

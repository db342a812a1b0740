import jax
import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.dsp import ParameterError, frame


@settings(max_examples=15, deadline=None)
@given(
    frame_length=st.integers(1, 40),
    hop_length=st.integers(1, 50),
    extra=st.integers(0, 90),
    batch=st.lists(st.integers(1, 3), max_size=2),
)
def test_equals_librosa(frame_length, hop_length, extra, batch):
    shape = (*batch, frame_length + extra)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    ours = frame(x, frame_length=frame_length, hop_length=hop_length)
    theirs = librosa.util.frame(x, frame_length=frame_length, hop_length=hop_length)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis(axis):
    x = np.arange(7 * 8 * 9).reshape(7, 8, 9)
    np.testing.assert_array_equal(
        frame(x, frame_length=4, hop_length=2, axis=axis),
        librosa.util.frame(x, frame_length=4, hop_length=2, axis=axis),
    )


def test_long_frames_of_short_hops():
    x = np.arange(300, dtype=np.float32)
    np.testing.assert_array_equal(
        frame(x, frame_length=130, hop_length=1),
        librosa.util.frame(x, frame_length=130, hop_length=1),
    )


def test_under_jit_and_vmap():
    x = np.arange(60.0, dtype=np.float32).reshape(3, 20)
    whole = frame(x, frame_length=6, hop_length=4)
    one_by_one = jax.jit(jax.vmap(lambda r: frame(r, frame_length=6, hop_length=4)))(x)
    np.testing.assert_array_equal(whole, one_by_one)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_length": 0, "hop_length": 1}, "frame_length is 0"),
        ({"frame_length": 4, "hop_length": 0}, "hop_length is 0"),
        ({"frame_length": 4, "hop_length": -3}, "hop_length is -3"),
        ({"frame_length": 11, "hop_length": 1}, "frame_length is 11; .* 10 samples"),
        ({"frame_length": 2, "hop_length": 1, "axis": 1}, "axis is 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        frame(np.zeros(10), **arguments)

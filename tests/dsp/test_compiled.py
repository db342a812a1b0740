from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit import dsp
from kit.dsp.jit import by_clip, padded_length
from kit.dsp.threads import on_threads

# As long as the buffer that it is computed in, so that arrays of constants fit it.
Y = np.random.default_rng(3).standard_normal(padded_length(4096)).astype(np.float32)


def counted() -> tuple[Callable[..., jax.Array], list[bool]]:
    """A compiled function, and a list that says of each run of its body if it was traced."""
    runs: list[bool] = []

    @by_clip(y="t")
    def scaled(n, *, y, gain=2.0, window=None, **more):
        runs.append(isinstance(y, jax.core.Tracer))
        out = y * gain if window is None else y * jnp.asarray(window, jnp.float32)
        return out + sum(more.values()), n

    return scaled, runs


def test_a_default_that_is_passed_shares_the_program():
    scaled, runs = counted()
    for arguments in ({}, {"gain": 2.0}, {"window": None}, {"window": None, "gain": 2.0}):
        np.testing.assert_array_equal(scaled(y=Y, **arguments), 2 * Y)
    assert runs == [True]


def test_the_order_of_arguments_is_not_another_program():
    scaled, runs = counted()
    first, second = scaled(a=1.0, y=Y, b=2.0), scaled(b=2.0, a=1.0, y=Y)
    np.testing.assert_array_equal(first, second)
    assert runs == [True]


def test_the_type_of_a_constant_is_another_program():
    scaled, runs = counted()
    for gain in (2.0, 2, np.float32(2)):
        np.testing.assert_array_equal(scaled(y=Y, gain=gain), 2 * Y)
    assert runs == [True] * 3


def test_a_mel_spectrogram_with_its_defaults_passed_is_traced_once():
    traces = []

    def window(length):
        traces.append(length)
        return np.hanning(length + 1)[:-1]

    once = dsp.melspectrogram(y=Y, window=window)
    first = len(traces)
    again = dsp.melspectrogram(y=Y, window=window, n_fft=2048, hop_length=512, sr=22050)
    assert first > 0
    assert len(traces) == first
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_an_array_as_a_constant_is_compiled_once_for_equal_values(kind):
    scaled, runs = counted()
    window = np.hanning(len(Y)).astype(np.float32)
    for _ in range(2):
        np.testing.assert_allclose(scaled(y=Y, window=kind(window.copy())), Y * window, rtol=1e-6)
    assert runs == [True]
    np.testing.assert_array_equal(scaled(y=Y, window=kind(window * 0)), Y * 0)
    assert runs == [True, True]


def test_an_array_that_changes_between_calls_is_read_anew():
    scaled, runs = counted()
    window = np.ones(len(Y), np.float32)
    np.testing.assert_array_equal(scaled(y=Y, window=window), Y)
    window[:] = 3
    np.testing.assert_array_equal(scaled(y=Y, window=window), 3 * Y)
    assert runs == [True, True]


def test_a_traced_array_and_a_list_still_work_as_constants():
    scaled, runs = counted()
    out = jax.jit(lambda w: scaled(y=Y, window=w))(jnp.ones(len(Y)))
    np.testing.assert_array_equal(out, Y)
    np.testing.assert_array_equal(scaled(y=Y, window=[1.0] * len(Y)), Y)
    assert runs == [True, True]


def test_a_window_given_as_its_values_gives_the_same():
    window = dsp.get_window("hann", 2048)
    np.testing.assert_array_equal(
        dsp.melspectrogram(y=Y, window=window), dsp.melspectrogram(y=Y, window="hann")
    )


def test_an_array_beside_a_constant_that_cannot_be_hashed():
    class Unhashable(float):
        __hash__ = None

    scaled, _ = counted()
    window = np.hanning(len(Y)).astype(np.float32)
    out = scaled(y=Y, window=window, more=Unhashable(1.0))
    # Sums near zero have the rounding of 1.
    np.testing.assert_allclose(out, Y * window + 1, atol=1e-6)


def test_a_clip_that_fails_stops_the_others():
    def worker(results):
        def run(i):
            if i == 0:
                raise ValueError("clip 0")
            place = results.empty(i, (3,), np.float32)
            place[:] = i
            return place, [place]

        return run

    # The caller takes the first clip, whose arrays the other threads wait for.
    with pytest.raises(ValueError, match="clip 0"):
        on_threads(worker, 8, jax.devices("cpu")[0])


def test_results_that_are_written_in_place_and_copied():
    def worker(results):
        def run(i):
            place = results.empty(i, (3,), np.float32)
            place[:] = i
            return (place, i), [place, np.full(2, i)]

        return run

    results = on_threads(worker, 8, jax.devices("cpu")[0])
    first, second = results.arrays
    np.testing.assert_array_equal(first, np.repeat(np.arange(8), 3).reshape(8, 3))
    np.testing.assert_array_equal(second, np.repeat(np.arange(8), 2).reshape(8, 2))

import warnings

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.dsp import ParameterError, magnitude, stft

TOLERANCE = 1e-6  # relative to the peak; measured: at most 2.1e-7 on signals and on music


def test_defaults_equal_librosa(signal, relative):
    ours = stft(signal)
    assert ours.dtype == jnp.complex64
    assert relative(ours, librosa.stft(signal)) < TOLERANCE


def test_music(music, relative):
    assert relative(stft(music), librosa.stft(music)) < TOLERANCE


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "linear_ramp"])
@pytest.mark.parametrize(("n_fft", "hop"), [(512, 128), (511, 100), (64, 64)])
def test_pad_modes(mode, n_fft, hop, relative):
    y = np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32)
    ours = stft(y, n_fft=n_fft, hop_length=hop, pad_mode=mode)
    theirs = librosa.stft(y, n_fft=n_fft, hop_length=hop, pad_mode=mode)
    assert relative(ours, theirs) < TOLERANCE


def test_pad_function(relative):
    y = np.random.default_rng(0).standard_normal(3000).astype(np.float32)

    def half(vector, widths, axis, options):
        return vector.at[: widths[0]].set(0.5).at[-widths[1] :].set(0.5)

    ours = stft(y, n_fft=256, pad_mode=half)
    theirs = librosa.stft(np.pad(y, 128, constant_values=0.5), n_fft=256, center=False)
    assert relative(ours, theirs) < TOLERANCE


@settings(max_examples=25, deadline=None)
@given(data=st.data(), n_fft=st.integers(2, 70), samples=st.integers(1, 200))
def test_any_sizes(data, n_fft, samples, relative):
    win_length = data.draw(st.integers(1, n_fft))
    hop_length = data.draw(st.integers(1, 90))
    center = data.draw(st.booleans()) or samples < n_fft
    window = data.draw(st.sampled_from(["hann", "hamming", "boxcar", ("kaiser", 5.0)]))
    y = np.random.default_rng(n_fft).standard_normal(samples).astype(np.float32)
    arguments = {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": hop_length,
        "center": center,
        "window": window,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=")
        ours, theirs = stft(y, **arguments), librosa.stft(y, **arguments)
    assert relative(ours, theirs) < TOLERANCE


def test_batch_equals_one_by_one():
    y = np.random.default_rng(1).standard_normal((2, 3, 2000)).astype(np.float32)
    whole = stft(y, n_fft=256)
    assert whole.shape == (2, 3, 129, 32)
    np.testing.assert_allclose(whole[1, 2], stft(y[1, 2], n_fft=256), atol=1e-5)
    np.testing.assert_allclose(jax.vmap(lambda x: stft(x, n_fft=256))(y[0]), whole[0], atol=1e-5)


def test_double_precision(relative):
    y = np.random.default_rng(1).standard_normal(4000)
    with jax.enable_x64(True):
        ours = stft(y)
        assert ours.dtype == jnp.complex128
        assert relative(ours, librosa.stft(y)) < 1e-14  # measured: 3e-16


def test_other_dtypes():
    y = (1000 * np.sin(np.arange(4000))).astype(np.int16)
    as_float = y.astype(np.float32) / 32768
    np.testing.assert_array_equal(stft(y), stft(as_float))
    half = jnp.asarray(as_float, jnp.bfloat16)
    np.testing.assert_array_equal(stft(half), stft(half.astype(jnp.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_frames(bad):
    y = np.random.default_rng(1).standard_normal((2, 4000)).astype(np.float32)
    spoiled = y.copy()
    spoiled[0, 2000] = bad
    clean, dirty = np.asarray(stft(y, n_fft=512)), np.asarray(stft(spoiled, n_fft=512))
    np.testing.assert_array_equal(clean[1], dirty[1])
    touched = np.abs(128 * np.arange(clean.shape[-1]) - 2000) <= 256
    np.testing.assert_array_equal(clean[0][:, ~touched], dirty[0][:, ~touched])
    assert not np.isfinite(dirty[0][:, touched][:, 1:-1]).any()


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_magnitude(power):
    D = np.array([3 + 4j, 0, -2j], np.complex64)
    np.testing.assert_allclose(magnitude(D, power), np.abs(D) ** power, rtol=1e-6)
    slope = jax.jit(jax.grad(lambda y: magnitude(stft(y, n_fft=64), power).sum()))(jnp.zeros(200))
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hop_length": 0}, "hop_length is 0"),
        ({"n_fft": 0}, "n_fft is 0"),
        ({"n_fft": -2}, "n_fft is -2"),
        ({"win_length": 2049}, "win_length is 2049"),
        ({"win_length": 0}, "win_length is 0"),
        ({"win_length": 3}, "hop_length is 0"),
        ({"window": "nothing"}, "window is 'nothing'"),
        ({"pad_mode": "wrap"}, "pad_mode is 'wrap'"),
        ({"pad_mode": "mean"}, "pad_mode is 'mean'"),
        ({"n_fft": 8192, "center": False}, "n_fft is 8192"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        stft(np.zeros(4000, np.float32), **arguments)


def test_bad_signals():
    with pytest.raises(ParameterError, match="dtype int32"):
        stft(np.zeros(4000, np.int32))
    with pytest.raises(ParameterError, match="dtype complex64"):
        stft(np.zeros(4000, np.complex64))
    with pytest.raises(ParameterError, match=r"y.shape is \(2, 0\)"):
        stft(np.zeros((2, 0), np.float32))


def test_short_signal_warns():
    with pytest.warns(UserWarning, match="n_fft=2048 is too large"):
        stft(np.zeros(100, np.float32))


def test_single_precision_is_rounded_once_where_there_is_double(relative):
    y = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    with jax.enable_x64(True):
        ours = stft(y)
        assert ours.dtype == jnp.complex64
        np.testing.assert_allclose(ours, librosa.stft(y), rtol=1e-6, atol=1e-9)

import warnings

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.dsp import ParameterError, hz_to_mel, mel, mel_frequencies, mel_to_hz, melspectrogram
from kit.dsp.mel import banded_product

# Relative to the peak; measured: at most 3.2e-7 on signals and music.
TOLERANCE = 2e-6


@pytest.mark.parametrize("htk", [False, True])
def test_scale(htk):
    hz = np.array([0.0, 60.0, 999.9, 1000.0, 1000.1, 4000.0, 22050.0])
    np.testing.assert_allclose(hz_to_mel(hz, htk=htk), librosa.hz_to_mel(hz, htk=htk), rtol=1e-14)
    mels = np.array([0.0, 3.0, 14.99, 15.0, 15.01, 40.0])
    np.testing.assert_allclose(
        mel_to_hz(mels, htk=htk), librosa.mel_to_hz(mels, htk=htk), rtol=1e-14
    )
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, htk=htk), htk=htk), hz, rtol=1e-12)
    in_jax = hz_to_mel(jnp.asarray(hz, jnp.float32), htk=htk)
    assert isinstance(in_jax, jnp.ndarray)
    np.testing.assert_allclose(in_jax, hz_to_mel(hz, htk=htk), rtol=2e-6)
    back = mel_to_hz(in_jax, htk=htk)
    np.testing.assert_allclose(back, hz, rtol=2e-5)


def test_published_values():
    assert hz_to_mel(60) == pytest.approx(0.9)
    assert hz_to_mel(6400.0) == pytest.approx(42.0)  # 15 + 27, by definition
    assert hz_to_mel(700.0, htk=True) == pytest.approx(2595 * np.log10(2))
    assert mel_to_hz(15) == pytest.approx(1000.0)


@settings(max_examples=40, deadline=None)
@given(
    sr=st.sampled_from([8000, 16000, 22050, 44100.0]),
    n_fft=st.integers(16, 2100),
    n_mels=st.integers(1, 140),
    low=st.floats(0, 0.4),
    high=st.floats(0.5, 1.0),
    htk=st.booleans(),
    norm=st.sampled_from(["slaney", None, 1, 2.0, np.inf]),
)
# The highest edge lies upon a bin.
@example(sr=22050, n_fft=60, n_mels=20, low=0.25, high=0.5, htk=False, norm=1)
def test_filters_equal_librosa(sr, n_fft, n_mels, low, high, htk, norm):
    arguments = {
        "sr": sr,
        "n_fft": n_fft,
        "n_mels": n_mels,
        "fmin": low * sr / 2,
        "fmax": high * sr / 2,
        "htk": htk,
        "norm": norm,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters")
        ours = mel(**arguments)
        theirs = librosa.filters.mel(**arguments, dtype=np.float64)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_frequencies():
    np.testing.assert_allclose(mel_frequencies(), librosa.mel_frequencies(), rtol=1e-13)


def test_slaney_filters_have_unit_area():
    weights = mel(sr=22050, n_fft=16384, n_mels=40, dtype=np.float64)
    np.testing.assert_allclose(weights.sum(axis=1) * 22050 / 16384, 1, rtol=2e-3)


@pytest.mark.parametrize("n_mels", [1, 15, 16, 17, 128])
def test_banded_product_is_the_dense_one(n_mels):
    basis = mel(sr=22050, n_fft=2048, n_mels=n_mels, dtype=np.float64)
    S = np.random.default_rng(0).random((2, 5, 1025)).astype(np.float32)
    np.testing.assert_allclose(banded_product(jnp.asarray(S), basis), S @ basis.T, rtol=1e-5)


def test_banded_product_with_empty_rows():
    basis = np.zeros((20, 9))
    basis[17, 3] = 2
    S = np.ones((4, 9), np.float32)
    np.testing.assert_array_equal(banded_product(jnp.asarray(S), basis), S @ basis.T)


def test_spectrogram_equals_librosa(signal, relative):
    assert relative(melspectrogram(y=signal), librosa.feature.melspectrogram(y=signal)) < TOLERANCE


def test_music(music, relative):
    assert relative(melspectrogram(y=music), librosa.feature.melspectrogram(y=music)) < TOLERANCE


@pytest.mark.parametrize(
    "arguments",
    [
        {"power": 1.0},
        {"power": 1.7, "n_mels": 40},
        {"htk": True, "norm": None, "fmin": 30, "fmax": 8000},
        {"n_fft": 1023, "hop_length": 300, "n_mels": 20, "pad_mode": "reflect"},
        {"win_length": 800, "window": "hamming", "center": False, "sr": 16000},
    ],
)
def test_spectrogram_arguments(arguments, relative):
    y = np.random.default_rng(3).standard_normal((2, 8000)).astype(np.float32)
    ours = melspectrogram(y=y, **arguments)
    assert relative(ours, librosa.feature.melspectrogram(y=y, **arguments)) < TOLERANCE


def test_spectrogram_of_a_spectrogram(relative):
    S = np.random.default_rng(3).random((2, 513, 9)).astype(np.float32)
    assert relative(melspectrogram(S=S), librosa.feature.melspectrogram(S=S)) < TOLERANCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fmax": 12000}, r"fmax is 12000; .* 11025 Hz; lower fmax or raise sr"),
        ({"fmax": 0}, "fmax is 0"),
        ({"fmin": -1}, "fmin is -1"),
        ({"fmin": 5000, "fmax": 5000}, "fmin is 5000"),
        ({"sr": 0}, "sr is 0"),
        ({"sr": float("inf")}, "sr is inf"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"norm": -1}, "norm is -1"),
    ],
)
def test_bad_filters(arguments, message):
    with pytest.raises(ParameterError, match=message):
        mel(**{"sr": 22050, "n_fft": 2048} | arguments)


def test_unknown_norm():
    with pytest.raises(ParameterError, match="norm is 'other'"):
        mel(sr=22050, n_fft=2048, norm="other")


def test_empty_filters_warn():
    with pytest.warns(UserWarning, match="Empty filters"):
        mel(sr=44100, n_fft=512, n_mels=128)


def test_bad_frequencies():
    with pytest.raises(ParameterError, match="fmin is 20"):
        mel_frequencies(10, fmin=20, fmax=10)


def test_one_input_exactly():
    with pytest.raises(ParameterError, match="exactly one"):
        melspectrogram()
    with pytest.raises(ParameterError, match="exactly one"):
        melspectrogram(y=np.zeros(9, np.float32), S=np.zeros((9, 1), np.float32))

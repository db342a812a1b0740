import warnings

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import dsp
from kit.dsp import ParameterError, istft, magphase, overlap_add, stft, window_sumsquare

TOLERANCE = 2e-6  # relative to the peak; measured: at most 2e-7
NOISE = np.random.default_rng(7).standard_normal((2, 3000)).astype(np.float32)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"length": 3000},
        {"length": 5000},
        {"length": 700},
        {"center": False},
        {"hop_length": 200, "win_length": 300},
        {"n_fft": 511, "hop_length": 100, "length": 2999},
    ],
)
def test_equals_librosa(arguments, relative):
    sizes = {k: v for k, v in arguments.items() if k != "length"}
    D = librosa.stft(NOISE, **({"n_fft": 512} | sizes))
    ours = istft(D, **arguments)
    # The ends are divided by small window sums, which enlarges the roundings of either FFT.
    n_fft, hop_length = arguments.get("n_fft", 512), arguments.get("hop_length", 128)
    sums = window_sumsquare(
        window="hann",
        n_frames=D.shape[-1],
        hop_length=hop_length,
        win_length=arguments.get("win_length", n_fft),
        n_fft=n_fft,
    )[n_fft // 2 if arguments.get("center", True) else 0 :]
    sums = librosa.util.fix_length(np.asarray(sums), size=ours.shape[-1])
    weight = np.where(sums > 0, np.minimum(sums, 1), 1)
    assert relative(ours * weight, librosa.istft(D, **arguments) * weight) < TOLERANCE


@settings(max_examples=8, deadline=None)
@given(
    n_fft=st.sampled_from([64, 65, 100]),
    divisor=st.sampled_from([2, 3, 4]),
    samples=st.sampled_from([200, 333]),
    window=st.sampled_from(["hann", "hamming", ("kaiser", 4.0)]),
)
def test_round_trip(n_fft, divisor, samples, window):
    y = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    sizes = {"n_fft": n_fft, "hop_length": n_fft // divisor, "window": window}
    back = istft(stft(y, **sizes), length=samples, **sizes)
    # Where hops leave the last samples to a window's edge, precision is that of the edge.
    np.testing.assert_allclose(back[: -n_fft // 2], y[: -n_fft // 2], atol=1e-4)


def test_equals_scipy():
    y = NOISE[0]
    _, _, Z = scipy.signal.stft(y, nperseg=256, noverlap=192, scaling="psd")
    _, expected = scipy.signal.istft(Z, nperseg=256, noverlap=192, scaling="psd")
    ours = istft(Z.astype(np.complex64), hop_length=64)
    scale = np.sqrt(np.sum(scipy.signal.get_window("hann", 256) ** 2))
    np.testing.assert_allclose(np.asarray(ours) * scale, expected[: len(ours)], atol=1e-5)


def test_gaps_warn():
    D = np.ones((33, 5), np.complex64)
    with pytest.warns(UserWarning, match="NOLA"):
        y = istft(D, hop_length=80, center=False)
    assert np.isfinite(y).all()


def test_overlap_add_is_the_transpose_of_framing():
    frames = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    out = overlap_add(frames, hop_length=2)
    expected = np.zeros(8)
    for t in range(3):
        expected[2 * t : 2 * t + 4] += frames[:, t]
    np.testing.assert_array_equal(out, expected)
    long = np.ones((130, 4), np.float32)
    total = np.asarray(overlap_add(long, hop_length=1))
    np.testing.assert_array_equal(total[[0, 3, 129, 132]], [1, 4, 4, 1])


@pytest.mark.parametrize("norm", [None, 2, np.inf])
def test_window_sumsquare(norm):
    arguments = {"window": "hann", "n_frames": 9, "hop_length": 50, "n_fft": 256, "norm": norm}
    for win_length in (None, 201):
        np.testing.assert_allclose(
            window_sumsquare(**arguments, win_length=win_length),
            librosa.filters.window_sumsquare(**arguments, win_length=win_length),
            rtol=1e-5,
            atol=1e-6,
        )


def test_magphase():
    D = librosa.stft(NOISE[0], n_fft=128)
    D[3] = 0
    for ours, theirs in zip(magphase(D, power=2), librosa.magphase(D, power=2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_fft": 100}, "n_fft is 100; it must fit the 33 bins"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"win_length": 65}, "win_length is 65"),
        ({"length": -1}, "length is -1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        istft(np.ones((33, 5), np.complex64), **arguments)


def test_a_length_of_nothing(untyped):
    """librosa takes 0 for None, and returns the whole sound."""
    X = stft(NOISE, n_fft=64)
    assert istft(X, length=0).shape == (*NOISE.shape[:-1], 0)
    assert dsp.griffinlim(np.abs(X), length=0, n_iter=1).shape == (*NOISE.shape[:-1], 0)
    C = dsp.cqt(NOISE[0], fmin=2000.0, n_bins=12, hop_length=64)
    assert dsp.icqt(C, fmin=2000.0, hop_length=64, length=0).shape == (0,)


def test_gradient_through_the_round_trip():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slope = jax.jit(jax.grad(lambda y: jnp.sum(istft(stft(y, n_fft=64), length=300) ** 2)))(
            jnp.asarray(NOISE[0, :300])
        )
    np.testing.assert_allclose(slope, 2 * NOISE[0, :300], atol=1e-3)

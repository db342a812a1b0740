import warnings

import jax
import librosa
import numpy as np
import pytest

from kit.dsp import ParameterError, griffinlim, phase_vocoder, pitch_shift, stft, time_stretch

NOISE = np.random.default_rng(5).standard_normal(6000).astype(np.float32)
TONE = np.sin(2 * np.pi * 440 * np.arange(11025) / 22050).astype(np.float32)


@pytest.mark.parametrize("rate", [0.7, 1.3])
def test_vocoder_equals_librosa_in_double_precision(rate, relative):
    D = np.asarray(stft(NOISE, n_fft=512))
    ours = np.asarray(phase_vocoder(D, rate=rate))
    theirs = librosa.phase_vocoder(np.asarray(D, np.complex128), rate=rate)
    times, last = np.arange(0, D.shape[-1], rate), D.shape[-1] - 1
    inside, past = times <= last, times > last
    assert relative(ours[:, inside], theirs[:, inside]) < 1e-5  # measured: 3.4e-6
    # Past the last frame librosa 0.11 and kit fade out, librosa 1.0 extrapolates.
    assert past.any()
    faded = np.abs(D[:, -1:]) * (1 - times[past] % 1)
    np.testing.assert_allclose(np.abs(ours[:, past]), faded, rtol=1e-5, atol=1e-5)


# librosa 1.0 passes its own vocoder an argument that is deprecated there.
@pytest.mark.filterwarnings("ignore:The `hop_length` parameter is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:The `n_fft` parameter is deprecated:FutureWarning")
def test_stretch_keeps_the_pitch(relative):
    theirs = librosa.effects.time_stretch(NOISE.astype(float), rate=0.8)
    # Without the end, which holds frames past the last one.
    inside = slice(-2048)
    ours = time_stretch(NOISE, rate=0.8)
    assert ours.shape == theirs.shape
    assert relative(ours[inside], theirs[inside]) < 2.5e-6  # measured: 7.7e-7
    ours = time_stretch(TONE, rate=0.8)
    assert ours.shape == (round(11025 / 0.8),)
    assert loudest_hz(np.asarray(ours)) == pytest.approx(440, abs=2)


def test_shift_keeps_the_length():
    ours = np.asarray(pitch_shift(TONE, sr=22050, n_steps=12))
    assert ours.shape == TONE.shape
    assert loudest_hz(ours) == pytest.approx(880, abs=2)


def loudest_hz(y: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y))))) * 22050 / len(y))


def test_griffinlim_equals_librosa_from_zero_phases(relative):
    S = np.abs(librosa.stft(NOISE, n_fft=512))
    ours = griffinlim(S, init=None, n_iter=4)
    assert relative(ours, librosa.griffinlim(S, init=None, n_iter=4)) < 3e-6  # measured: 1e-6


def test_griffinlim_finds_the_magnitude_again():
    S = np.abs(librosa.stft(TONE, n_fft=512))
    y = griffinlim(S, random_state=3, length=len(TONE))
    again = np.abs(librosa.stft(np.asarray(y), n_fft=512))
    assert np.linalg.norm(again - S) / np.linalg.norm(S) < 0.1
    np.testing.assert_array_equal(y, griffinlim(S, random_state=3, length=len(TONE)))
    key = jax.random.key(3)
    np.testing.assert_array_equal(y, griffinlim(S, random_state=key, length=len(TONE)))


@pytest.mark.parametrize(("S", "momentum"), [(0.0, 0.99), (1.0, 5.0), (-1.0, 0.99)])
def test_griffinlim_of_odd_magnitudes_is_finite(S, momentum):
    with warnings.catch_warnings(action="ignore"):
        y = griffinlim(np.full((33, 9), S, np.float32), n_iter=4, momentum=momentum)
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase_vocoder(np.ones((9, 5), np.complex64), rate=0), "rate is 0"),
        (lambda: time_stretch(TONE, rate=-1), "rate is -1"),
        (lambda: pitch_shift(TONE, sr=22050, n_steps=1, bins_per_octave=0), "bins_per_octave is 0"),
        (lambda: griffinlim(np.ones((9, 5), np.float32), momentum=-1), "momentum is -1"),
        (lambda: griffinlim(np.ones((9, 5), np.float32), init="zero"), "init is 'zero'"),
        (lambda: griffinlim(np.ones((9, 5), np.float32), random_state="a"), "random_state is 'a'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()

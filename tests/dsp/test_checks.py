# Bad arguments are the point.
# pyright: reportArgumentType=false
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError
from kit.dsp.checks import positive_int
from kit.errors import KitError, UsageError
from tests.dsp.calls import CALLS


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, True, "3", None])
def test_no_whole_number(value):
    with pytest.raises(ParameterError, match=f"hop_length is {value!r}; .* at least 1"):
        positive_int("hop_length", value)


def test_whole_numbers():
    assert positive_int("n", np.int64(3)) == 3
    assert type(positive_int("n", np.int64(3))) is int
    assert positive_int("n", 0, least=0) == 0


def test_is_an_error_of_usage():
    assert issubclass(ParameterError, UsageError)
    assert issubclass(ParameterError, KitError)


NOISE = np.random.default_rng(0).standard_normal(600).astype(np.float32)
POWER = np.abs(NOISE).reshape(20, 30)


@pytest.mark.parametrize(
    ("name", "of"),
    {
        "n_fft": lambda: dsp.stft(NOISE, n_fft=64.0),
        "hop_length": lambda: dsp.stft(NOISE, n_fft=64, hop_length="16"),
        "sr": lambda: dsp.mel(sr=None, n_fft=64),
        "fmin": lambda: dsp.mel(sr=8000, n_fft=64, fmin=np.nan),
        "win_length": lambda: dsp.spectral_centroid(y=NOISE, n_fft=64, win_length=64.5),
        "center": lambda: dsp.stft(NOISE, n_fft=64, center="no"),
        "dtype": lambda: dsp.mel(sr=8000, n_fft=64, dtype="no"),
        "ref": lambda: dsp.power_to_db(POWER, ref=None),
        "axes": lambda: dsp.power_to_db(POWER, axes=1.5),
        "kernel_size": lambda: dsp.hpss_spectrum(POWER, kernel_size=np.inf),
        "margin": lambda: dsp.hpss_spectrum(POWER, margin="no"),
        "feature": lambda: dsp.onset_strength(y=NOISE, feature=3),
        "prior": lambda: dsp.tempo(onset_envelope=NOISE, prior=1.5),
        "wait": lambda: dsp.peak_pick(
            NOISE, pre_max=1, post_max=1, pre_avg=1, post_avg=1, delta=0, wait=np.inf
        ),
        "factors": lambda: dsp.metrogram(tg=POWER, freqs=np.arange(1, 21), factors=2),
        "pad_mode": lambda: dsp.rms(y=NOISE, frame_length=64, pad_mode="no"),
        "mode": lambda: dsp.stack_memory(POWER, mode="no"),
        "window": lambda: dsp.get_window(np.inf, 64),
        "intervals": lambda: dsp.vqt(NOISE, intervals=None),
        "alpha": lambda: dsp.wavelet(freqs=[100.0], alpha=0),
        "filter_scale": lambda: dsp.wavelet(freqs=[1e-6, 1e3]),
        "tuning": lambda: dsp.hz_to_octs(440.0, tuning=1e9),
        "S.shape": lambda: dsp.spectral_rolloff(S=POWER[:0]),
        "events": lambda: dsp.onset_backtrack(np.array(["no"]), NOISE),
        "y": lambda: dsp.stft(1.0),
        "weights": lambda: dsp.loudness(np.ones((2, 8000)), sr=8000, weights=(1, "no")),
        "S.dtype": lambda: dsp.spec_augment(jax.random.key(0), np.ones((20, 30), np.int16)),
        "p is": lambda: dsp.spectral_bandwidth(S=POWER, p=np.inf),
        "frames": lambda: dsp.rfft(np.ones((2, 64), np.complex64)),
        "y.shape": lambda: dsp.split(np.ones((0, 4096), np.float32)),
        "aggregate": lambda: dsp.onset_strength(S=POWER, aggregate=True),
    }.items(),
)
def test_an_argument_of_another_kind_is_refused(untyped, name, of):
    with pytest.raises(ParameterError, match=name):
        of()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda **more: dsp.stft(NOISE, **more), "stft"),
        (lambda **more: dsp.melspectrogram(y=NOISE, **more), "melspectrogram"),
        (lambda **more: dsp.mfcc(y=NOISE, **more), "melspectrogram"),
        (lambda **more: dsp.onset_strength(y=NOISE, **more), "melspectrogram"),
        (lambda **more: dsp.estimate_tuning(y=NOISE, **more), "piptrack"),
        (lambda **more: dsp.mel_to_audio(POWER, **more), "mel"),
        (lambda **more: dsp.hpss(NOISE, **more), "stft"),
        (lambda **more: dsp.time_stretch(NOISE, rate=2, **more), "stft"),
        (lambda **more: dsp.zero_crossing_rate(NOISE, **more), "zero_crossings"),
        (lambda **more: dsp.delta(POWER, **more), "delta"),
        (lambda **more: dsp.chroma_stft(S=POWER, tuning=0.0, **more), "chroma_filters"),
    ],
)
def test_an_unknown_keyword_is_pythons_error(untyped, call, message):
    """It names the public function that has no such argument, as librosa's does."""
    with pytest.raises(TypeError, match=rf"^{message}\(\) got an unexpected .* 'bogus'"):
        call(bogus=1)


@pytest.mark.parametrize(
    ("name", "of"),
    {
        "n_fft": lambda: dsp.stft(NOISE, n_fft=2**30),
        "n_fft ": lambda: dsp.mfcc(y=NOISE, n_fft=2**25),
        "n_mels": lambda: dsp.mel(sr=8000, n_fft=2**20, n_mels=200),
        "n_mels ": lambda: dsp.mel_frequencies(10**9),
        "n_chroma": lambda: dsp.chroma_filters(sr=8000, n_fft=2**16, n_chroma=2**12),
        "n_input": lambda: dsp.cq_to_chroma(2**16, bins_per_octave=2**16, n_chroma=2**16),
        "n_bins": lambda: dsp.cqt(NOISE, n_bins=10**6),
        "Nx": lambda: dsp.get_window("hann", 2**30),
        "frame_length": lambda: dsp.rms(y=NOISE, frame_length=2**30),
        "hop_length": lambda: dsp.istft(np.ones((33, 9), np.complex64), hop_length=2**30),
        "hop_length ": lambda: dsp.hpss(np.ones(2**17, np.float32), n_fft=2**17, hop_length=64),
        "hop_length   ": lambda: dsp.stft(NOISE, n_fft=64, hop_length=2**30),
        "hop_length  ": lambda: dsp.overlap_add(POWER, hop_length=2**30),
        "kernel_size": lambda: dsp.hpss_spectrum(POWER, kernel_size=10**9),
        "ac_size": lambda: dsp.tempo(onset_envelope=NOISE, sr=1e9),
        "ac_size ": lambda: dsp.beat_track(onset_envelope=NOISE, sr=1e9),
        "win_length": lambda: dsp.tempogram(onset_envelope=NOISE, win_length=2**22),
        "win_length ": lambda: dsp.plp(onset_envelope=NOISE, win_length=2**22),
        "rate": lambda: dsp.time_stretch(NOISE, rate=1e-8),
        "target_sr": lambda: dsp.resample(NOISE, orig_sr=1, target_sr=1e7),
        "n_steps": lambda: dsp.stack_memory(POWER, n_steps=10**9),
    }.items(),
)
def test_a_size_that_would_take_all_memory_is_refused(name, of):
    with pytest.raises(ParameterError, match=name.strip()):
        of()


def test_a_missing_argument_names_the_function(untyped):
    with pytest.raises(TypeError, match=r"stft\(\) missing a required argument: 'y'"):
        dsp.stft()  # pyright: ignore[reportCallIssue]


def test_kinds_that_mean_the_same():
    expected = dsp.stft(NOISE, n_fft=64, center=False)
    same: dict[str, Any] = {"n_fft": np.int64(64), "center": 0}
    np.testing.assert_array_equal(dsp.stft(NOISE, **same), expected)
    np.testing.assert_array_equal(dsp.stft(NOISE.tolist(), n_fft=64, center=False), expected)
    # Too large for JAX's integers.
    louder = dsp.power_to_db(POWER, ref=2**40)
    np.testing.assert_array_equal(louder, dsp.power_to_db(POWER, ref=2.0**40))


def test_a_number_in_place_of_an_array(untyped):
    """Functions of numbers take one, as librosa's do, and the others refuse it."""
    for given in (2, 2.0, np.float32(2), np.array(2.0)):
        np.testing.assert_allclose(dsp.power_to_db(given), 10 * np.log10(2), rtol=1e-6)
        np.testing.assert_allclose(dsp.amplitude_to_db(given), 20 * np.log10(2), rtol=1e-6)
        np.testing.assert_allclose(dsp.db_to_power(given), 10**0.2, rtol=1e-6)
    odd = {}
    # Their calls here ask for the clip's length first.
    unable = {"mixup", "softmask", "rfft", "loudness_of_steps"}
    for call in (call for call in CALLS.values() if call.name not in unable):
        for value in map(np.asarray, (3, 3.0, 3j)):
            try:
                with warnings.catch_warnings(action="ignore"):
                    call.of(value)
            except ParameterError:
                continue
            except Exception as error:
                odd[call.id, value.dtype] = error
    assert not odd


def test_a_number_in_place_of_a_list_or_a_name(untyped):
    with pytest.raises(ParameterError, match="channels is 0"):
        dsp.onset_strength_multi(y=NOISE, sr=8000, channels=0)
    with pytest.raises(ParameterError, match=r"intervals is 0\.5"):
        dsp.vqt(NOISE, sr=8000, intervals=0.5)
    with pytest.raises(ParameterError, match="pad_mode is 0"):
        dsp.rms(y=NOISE, pad_mode=0)


def test_a_switch_may_be_a_number_or_an_array_of_one(untyped):
    """As in files of MATLAB, which librosa's own tests read."""
    for on in (True, 1, np.True_, np.array(1), np.array([[1]], np.uint8)):
        np.testing.assert_array_equal(dsp.hz_to_mel(60.0, htk=on), dsp.hz_to_mel(60.0, htk=True))
    for odd in (2, 0.5, np.array([0, 1]), np.array([2]), "yes", None):
        with pytest.raises(ParameterError, match="htk is"):
            dsp.hz_to_mel(60.0, htk=odd)


def test_nan_may_be_filled_in():
    tempi = np.arange(1, 21) * 10.0
    assert np.isnan(dsp.metrogram(tg=POWER, freqs=tempi, factors=[40], fill_value=np.nan)).any()


def test_arrays_of_no_frames_or_clips():
    key = jax.random.key(0)
    assert jax.jit(lambda S: dsp.spec_augment(key, S))(POWER[None, :, :0]).shape == (1, 20, 0)
    assert dsp.rfft(jnp.zeros((2, 0, 64))).shape == (2, 0, 33)
    assert dsp.spectral_contrast(S=np.ones((129, 0)), sr=8000, n_bands=3).shape == (4, 0)
    for ref in ("max", np.max, 1.0):
        empty = np.zeros((0, 20, 30), np.float32)
        assert dsp.power_to_db(empty, ref=ref, axes=0).shape == empty.shape


def test_half_precision_in_the_other_order_of_bytes():
    half = POWER.astype(ml_dtypes.bfloat16)
    turned = half.astype(half.dtype.newbyteorder(">"))
    np.testing.assert_array_equal(dsp.normalize(turned), dsp.normalize(half))


def test_64_bits_after_32():
    envelope = np.abs(NOISE)[:200]
    single = dsp.tempogram_ratio(onset_envelope=envelope, win_length=32)
    with jax.enable_x64(True):
        double = dsp.tempogram_ratio(onset_envelope=envelope, win_length=32)
    np.testing.assert_allclose(single, double, atol=1e-4)

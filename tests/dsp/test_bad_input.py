"""What a waveform may not be, for every function that takes one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from kit import dsp
from kit.config import FrontendConfig
from kit.dsp import ParameterError

SMALL = {"n_fft": 256, "hop_length": 64}
SR = 8000


def front_end(y):
    lengths = np.full(len(y), y.shape[1], np.int32)
    config = FrontendConfig(sample_rate=SR, n_fft=256, hop_length=64, n_mels=20)
    return dsp.log_mel(y, lengths, config)


def named(function, **options):
    return lambda y: function(y=y, **options)


# Every function of (batch, samples); log_mel alone takes nothing but that.
FUNCTIONS = {
    "log_mel": front_end,
    "stft": partial(dsp.stft, **SMALL),
    "melspectrogram": named(dsp.melspectrogram, sr=SR, n_mels=20, **SMALL),
    "mfcc": named(dsp.mfcc, sr=SR, n_mels=20, **SMALL),
    "spectral_centroid": named(dsp.spectral_centroid, sr=SR, **SMALL),
    "spectral_bandwidth": named(dsp.spectral_bandwidth, sr=SR, **SMALL),
    "spectral_contrast": named(dsp.spectral_contrast, sr=SR, n_bands=3, **SMALL),
    "spectral_flatness": named(dsp.spectral_flatness, **SMALL),
    "spectral_rolloff": named(dsp.spectral_rolloff, sr=SR, **SMALL),
    "rms": named(dsp.rms, frame_length=256, hop_length=64),
    "zero_crossing_rate": named(dsp.zero_crossing_rate, frame_length=256, hop_length=64),
    "preemphasis": dsp.preemphasis,
    "deemphasis": dsp.deemphasis,
    "hpss": partial(dsp.hpss, kernel_size=5, **SMALL),
    "onset_strength": named(dsp.onset_strength, sr=SR, n_mels=20, **SMALL),
    "chroma_stft": named(dsp.chroma_stft, sr=SR, tuning=0.0, **SMALL),
    "resample": partial(dsp.resample, orig_sr=8000, target_sr=5000),
    "time_stretch": partial(dsp.time_stretch, rate=1.2, **SMALL),
    "pitch_shift": partial(dsp.pitch_shift, sr=SR, n_steps=1, **SMALL),
    "true_peak": partial(dsp.true_peak, sr=SR),
    "loudness": lambda y: dsp.loudness(y[..., None, :], sr=SR),
}


def noise() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((3, 6000))).astype(np.float32)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_samples(name):
    empty = np.zeros((2, 0), np.float32)
    if name == "log_mel":
        assert front_end(empty).shape == (2, 0, 20)
        return
    with pytest.raises(ParameterError, match="shape"):
        FUNCTIONS[name](empty)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"log_mel"}))
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, np.complex64])
def test_no_waveform(name, dtype):
    with pytest.raises(ParameterError, match="dtype"):
        FUNCTIONS[name](noise().astype(dtype))


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"log_mel", "loudness"}))
def test_no_axis(name):
    # Where types are checked, as in these tests, they refuse it first.
    with pytest.raises((ParameterError, TypeCheckError)):
        FUNCTIONS[name](np.float32(0.5) * np.ones(()))


@pytest.mark.parametrize("size", [0, -1, 2**31, 2**40, 2**70])
@pytest.mark.parametrize("argument", ["n_fft", "hop_length"])
def test_sizes_that_are_none(argument, size):
    with pytest.raises(ParameterError, match=argument):
        dsp.stft(noise(), **{argument: size})


def test_bad_arguments_are_found_while_tracing():
    y = jax.ShapeDtypeStruct((2, 4000), jnp.float32)
    for name, options in {"hop_length": {"hop_length": 0}, "fmax": {"fmax": 9000.0}}.items():
        with pytest.raises(ParameterError, match=name):
            jax.eval_shape(lambda y, o=options: dsp.melspectrogram(y=y, sr=16000, **o), y)

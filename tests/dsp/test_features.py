"""Each feature against librosa, on a batch of noise with a chirp in it."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

SR = 22050
_T = np.arange(SR) / SR
_RNG = np.random.default_rng(11)
Y = np.stack(
    [
        0.3 * np.sin(2 * np.pi * (100 + 900 * _T) * _T) + 0.1 * _RNG.standard_normal(SR),
        0.5 * _RNG.standard_normal(SR),
    ]
).astype(np.float32)
S = np.abs(librosa.stft(Y))
M = librosa.feature.melspectrogram(y=Y)
TOLERANCE = 5e-5  # relative to the peak; measured: 2.2e-5 (contrast), 3e-6 elsewhere

CASES = [
    ("mfcc", librosa.feature.mfcc, {"S": librosa.power_to_db(M, top_db=None)}),
    *(
        ("mfcc", librosa.feature.mfcc, {"S": M, "dct_type": d, "norm": n, "lifter": 22})
        for d, n in [(1, None), (2, "ortho"), (2, None), (3, "ortho")]
    ),
    *(
        ("delta", librosa.feature.delta, {"data": M, "mode": m, "order": o})
        for m, o in [("interp", 1), ("interp", 2), ("nearest", 1), ("mirror", 1), ("constant", 2)]
    ),
    ("delta", librosa.feature.delta, {"data": M, "axis": -2, "width": 5, "mode": "wrap"}),
    *(
        ("stack_memory", librosa.feature.stack_memory, {"data": M, "n_steps": 3, "delay": d})
        for d in (1, 2, -2)
    ),
    ("stack_memory", librosa.feature.stack_memory, {"data": M, "mode": "edge"}),
    ("pcen", librosa.pcen, {"S": M * 2**31}),
    ("pcen", librosa.pcen, {"S": M[0], "max_size": 3, "time_constant": 0.1}),
    ("pcen", librosa.pcen, {"S": M, "bias": 0}),
    ("pcen", librosa.pcen, {"S": M, "power": 0, "b": 0.3}),
    *(
        (f"spectral_{n}", getattr(librosa.feature, f"spectral_{n}"), {"y": Y})
        for n in ("centroid", "bandwidth", "rolloff", "flatness", "contrast")
    ),
    ("spectral_bandwidth", librosa.feature.spectral_bandwidth, {"S": S, "p": 3, "norm": False}),
    ("spectral_rolloff", librosa.feature.spectral_rolloff, {"S": S, "roll_percent": 0.1}),
    ("spectral_contrast", librosa.feature.spectral_contrast, {"S": S, "linear": True}),
    ("poly_features", librosa.feature.poly_features, {"S": S, "order": 2}),
    ("rms", librosa.feature.rms, {"y": Y, "pad_mode": "reflect"}),
    ("rms", librosa.feature.rms, {"S": S}),
    ("zero_crossing_rate", librosa.feature.zero_crossing_rate, {"y": Y}),
    ("zero_crossings", librosa.zero_crossings, {"y": Y, "pad": False, "threshold": 0.1}),
    ("zero_crossings", librosa.zero_crossings, {"y": Y, "zero_pos": False, "ref_magnitude": 2}),
    ("preemphasis", librosa.effects.preemphasis, {"y": Y, "coef": 0.9}),
    ("deemphasis", librosa.effects.deemphasis, {"y": Y, "coef": 0.9}),
    ("deemphasis", librosa.effects.deemphasis, {"y": Y, "zi": np.ones((2, 1), np.float32)}),
    ("autocorrelate", librosa.autocorrelate, {"y": Y[:, :999], "max_size": 50}),
    ("softmask", librosa.util.softmask, {"X": M, "X_ref": M[::-1], "power": 2}),
    ("softmask", librosa.util.softmask, {"X": M, "X_ref": M[::-1], "power": np.inf}),
    *(
        ("normalize", librosa.util.normalize, {"S": M, "norm": n, "axis": -1, "fill": f})
        for n, f in [
            (np.inf, None),
            (1, True),
            (2, False),
            (0, None),
            (-np.inf, None),
            (None, None),
        ]
    ),
]


@pytest.mark.parametrize(("name", "reference", "arguments"), CASES, ids=[case[0] for case in CASES])
def test_equals_librosa(name, reference, arguments, relative):
    kwargs = dict(arguments)
    first = [kwargs.pop(k) for k in ("data", "X", "X_ref") if k in kwargs]
    if name in ("pcen", "zero_crossings", "zero_crossing_rate", "autocorrelate", "normalize"):
        first.append(kwargs.pop("S" if "S" in kwargs else "y"))
    if name in ("preemphasis", "deemphasis"):
        first.append(kwargs.pop("y"))
    ours = getattr(dsp, name)(*first, **kwargs)
    theirs = np.asarray(reference(*first, **kwargs))
    assert relative(np.asarray(ours).astype(float), theirs.astype(float)) < TOLERANCE


def test_states_continue_a_signal():
    whole = dsp.pcen(M)
    left, state = dsp.pcen(M[..., :20], return_zf=True)
    right = dsp.pcen(M[..., 20:], zi=state)
    np.testing.assert_allclose(jnp.concatenate([left, right], axis=-1), whole, rtol=1e-5)
    emphasised, state = dsp.preemphasis(Y[:, :500], return_zf=True)
    rest = dsp.preemphasis(Y[:, 500:900], zi=state)
    np.testing.assert_allclose(
        jnp.concatenate([emphasised, rest], axis=-1), dsp.preemphasis(Y[:, :900]), atol=1e-6
    )
    np.testing.assert_allclose(dsp.deemphasis(dsp.preemphasis(Y)), Y, atol=1e-4)


def test_silence_at_the_ends():
    y = np.pad(Y[0], 9000)
    np.testing.assert_array_equal(dsp.trim(y)[1], librosa.effects.trim(y)[1])
    both = np.concatenate([y, y])
    np.testing.assert_array_equal(dsp.split(both), librosa.effects.split(both))
    mask = np.asarray(dsp.loud_frames(np.stack([y, 0.5 * y])))
    np.testing.assert_array_equal(mask[0], mask[1])
    assert not mask[0, 0]
    assert mask[0, len(mask[0]) // 2]


@pytest.mark.parametrize(
    "arguments", [{}, {"kernel_size": (7, 12), "margin": (1, 3), "mask": True}]
)
def test_harmonic_and_percussive(arguments, relative):
    small = S[:, :200, :30]
    theirs = librosa.decompose.hpss(small, **arguments)
    for ours, reference in zip(dsp.hpss_spectrum(small, **arguments), theirs, strict=True):
        assert relative(ours, reference) < 1e-6  # measured: 1.3e-7


def test_parts_sum_to_the_sound():
    harmonic, percussive = dsp.hpss(Y[0], n_fft=512)
    np.testing.assert_allclose(harmonic + percussive, Y[0], atol=1e-5)
    np.testing.assert_array_equal(dsp.harmonic(Y[0], n_fft=512), harmonic)
    np.testing.assert_array_equal(dsp.percussive(Y[0], n_fft=512), percussive)


def test_mel_inversion():
    magnitudes = np.asarray(dsp.mel_to_stft(M[:, :, :5]))
    assert (magnitudes >= 0).all()
    again = librosa.feature.melspectrogram(S=magnitudes**2)
    assert np.linalg.norm(again - M[:, :, :5]) < 1e-2 * np.linalg.norm(M[:, :, :5])
    sound = dsp.mel_to_audio(M[0, :, :20], length=10000, n_iter=4)
    assert sound.shape == (10000,)
    assert np.isfinite(sound).all()
    # The phases at the start: librosa 1.0's name, 0.11's name, and seed 0 without one.
    again, older, other = (
        dsp.mel_to_audio(M[0, :, :20], length=10000, n_iter=4, **seed)
        for seed in ({"rng": 0}, {"random_state": 0}, {"rng": 1})
    )
    np.testing.assert_array_equal(again, sound)
    np.testing.assert_array_equal(older, sound)
    assert np.abs(other - sound).max() > 1e-3


def test_mfcc_inversion(relative):
    C = librosa.feature.mfcc(y=Y)
    theirs = librosa.feature.inverse.mfcc_to_mel(C, lifter=5)
    assert relative(dsp.mfcc_to_mel(C, lifter=5), theirs) < 1e-5


def test_gradients():
    def features(y):
        mel = dsp.melspectrogram(y=y, n_fft=64, hop_length=16, n_mels=8, sr=8000)
        cepstra = dsp.mfcc(S=dsp.power_to_db(mel, top_db=None), n_mfcc=5)
        return jnp.mean(dsp.pcen(mel)) + jnp.mean(cepstra**2)

    slope_of = jax.jit(jax.grad(features))
    assert np.isfinite(slope_of(jnp.zeros(200))).all()
    with jax.enable_x64(True):
        y = jnp.asarray(Y[1, :200], jnp.float64)
        slope = slope_of(y)
        step = jnp.zeros_like(y).at[77].set(1e-6)
        numeric = (features(y + step) - features(y - step)) / 2e-6
        assert slope[77] == pytest.approx(float(numeric), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.mfcc(S=M, lifter=-1), "lifter is -1"),
        (lambda: dsp.mfcc(S=M, dct_type=9), "dct_type is 9"),
        (lambda: dsp.delta(M, width=4), "width is 4; it must be odd"),
        (lambda: dsp.delta(M, width=99), "width is 99"),
        (lambda: dsp.delta(M, order=0), "order is 0"),
        (lambda: dsp.stack_memory(M, delay=0), "delay is 0"),
        (lambda: dsp.pcen(M, gain=-1), "gain is -1"),
        (lambda: dsp.pcen(M, b=2), "b is 2"),
        (lambda: dsp.pcen(M, max_size=3), "max_axis is None"),
        (lambda: dsp.spectral_centroid(S=-S), "at least 0"),
        (lambda: dsp.spectral_flatness(S=S, amin=0), "amin is 0"),
        (lambda: dsp.spectral_rolloff(S=S, roll_percent=1), "roll_percent is 1"),
        (lambda: dsp.spectral_contrast(S=S, n_bands=9), "n_bands is 9"),
        (lambda: dsp.spectral_contrast(S=S, quantile=0), "quantile is 0"),
        (lambda: dsp.rms(), "give one of them"),
        (lambda: dsp.rms(S=S, frame_length=100), "frame_length is 100"),
        (lambda: dsp.hpss_spectrum(S, margin=0.5), "margin is 0.5"),
        (lambda: dsp.softmask(-M, M), "at least 0"),
        (lambda: dsp.normalize(M, norm=-3), "norm is -3"),
        (lambda: dsp.normalize(M, threshold=0), "threshold is 0"),
        (lambda: dsp.mel_to_stft(M, power=0), "power is 0"),
        (lambda: dsp.mfcc_to_mel(M, lifter=-2), "lifter is -2"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_delta_takes_an_array_of_one_number_as_its_step():
    for step in (np.array(2.0), jnp.float32(2)):
        np.testing.assert_array_equal(dsp.delta(M, delta=step), dsp.delta(M, delta=2.0))

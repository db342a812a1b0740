"""Features of spectra at the edges: lengths, half precision, range, silence, what is not finite."""

from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal

from kit import dsp
from kit.dsp import ParameterError

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

SMALL = {"n_fft": 256, "hop_length": 64}
SHAPES = ["centroid", "bandwidth", "rolloff", "flatness", "contrast"]
RNG = np.random.default_rng(5)
NOISE = (0.1 * RNG.standard_normal(7001)).astype(np.float32)
S = (np.abs(RNG.standard_normal((129, 97))) * 9).astype(np.float32)

OF_SIGNALS = {
    **{
        f"spectral_{name}": (
            partial(getattr(dsp, f"spectral_{name}"), **SMALL),
            partial(getattr(librosa.feature, f"spectral_{name}"), **SMALL),
        )
        for name in SHAPES
    },
    "poly_features": (
        partial(dsp.poly_features, order=2, **SMALL),
        partial(librosa.feature.poly_features, order=2, **SMALL),
    ),
    "rms": (
        partial(dsp.rms, frame_length=256, hop_length=96, pad_mode="reflect"),
        partial(librosa.feature.rms, frame_length=256, hop_length=96, pad_mode="reflect"),
    ),
    "zero_crossing_rate": (
        partial(dsp.zero_crossing_rate, frame_length=250, hop_length=64),
        partial(librosa.feature.zero_crossing_rate, frame_length=250, hop_length=64),
    ),
}
OF_SPECTRA = {
    **{
        f"spectral_{name}": (
            lambda S, f=getattr(dsp, f"spectral_{name}"): f(S=S),
            lambda S, f=getattr(librosa.feature, f"spectral_{name}"): f(S=S),
        )
        for name in SHAPES
    },
    **{
        f"delta {mode}": (
            partial(dsp.delta, mode=mode, width=5),
            partial(librosa.feature.delta, mode=mode, width=5),
        )
        for mode in ("interp", "nearest", "mirror", "constant", "wrap")
    },
    "delta of bands": (partial(dsp.delta, axis=0), partial(librosa.feature.delta, axis=0)),
    **{
        f"stack_memory {delay} {mode}": (
            partial(dsp.stack_memory, n_steps=3, delay=delay, mode=mode),
            partial(librosa.feature.stack_memory, n_steps=3, delay=delay, mode=mode),
        )
        for delay, mode in [(2, "constant"), (-2, "edge"), (-1, "constant"), (1, "reflect")]
    },
    "pcen": (dsp.pcen, librosa.pcen),
    "pcen of the greatest": (partial(dsp.pcen, max_size=3), partial(librosa.pcen, max_size=3)),
    "normalize": (dsp.normalize, librosa.util.normalize),
    **{
        f"normalize {norm} in time": (
            partial(dsp.normalize, axis=1, norm=norm, fill=True),
            partial(librosa.util.normalize, axis=1, norm=norm, fill=True),
        )
        for norm in (np.inf, -np.inf, 1, 0.5, 3)
    },
    "normalize all": (
        partial(dsp.normalize, axis=None, norm=2),
        partial(librosa.util.normalize, axis=None, norm=2),
    ),
    "mfcc_to_mel": (dsp.mfcc_to_mel, librosa.feature.inverse.mfcc_to_mel),
    "rms": (
        lambda S: dsp.rms(S=S, frame_length=256),
        lambda S: librosa.feature.rms(S=S, frame_length=256),
    ),
}


@pytest.mark.parametrize("name", OF_SIGNALS)
def test_signals_of_any_length(name, relative):
    ours, theirs = OF_SIGNALS[name]
    for samples in (300, 7001):
        y = NOISE[:samples]
        made = np.asarray(ours(y=y))
        assert relative(made, theirs(y=y)) < 5e-5
        # Of the other functions, `test_public` compares them.
        if samples == 7001 and name in ("poly_features", "rms", "zero_crossing_rate"):
            assert relative(made, np.asarray(jax.jit(lambda y: ours(y=y))(y))) < 1e-6


@pytest.mark.parametrize("name", OF_SPECTRA)
def test_spectra_of_any_length(name, relative):
    ours, theirs = OF_SPECTRA[name]
    values = S[:13] / 9 if name == "mfcc_to_mel" else S
    for frames in (5, 65):
        part = values[:, :frames]
        made = np.asarray(ours(part))
        assert relative(made, theirs(part)) < 5e-5
        if frames == 65:
            assert relative(made, np.asarray(jax.jit(ours)(part))) < 1e-6


def test_mel_inversion_of_any_length():
    # Many spectra have these bands: rounding chooses among them.
    basis = dsp.mel(sr=22050, n_fft=512, n_mels=40)

    def melted(power):
        return basis @ np.square(power)

    made = np.asarray(dsp.mel_to_stft(S[:40], n_fft=512))
    rounding = {"rtol": 0, "atol": 1e-4 * melted(made).max()}
    for frames in (1, 63, 65):
        part = dsp.mel_to_stft(S[:40, :frames], n_fft=512)
        np.testing.assert_allclose(melted(part), melted(made[:, :frames]), **rounding)
    traced = jax.jit(partial(dsp.mel_to_stft, n_fft=512))(S[:40, :65])
    np.testing.assert_allclose(melted(traced), melted(made[:, :65]), **rounding)
    assert dsp.mel_to_stft(S[:40, :0], n_fft=512).shape == (257, 0)


@pytest.mark.parametrize("name", SHAPES)
def test_half_precision_and_range(name, relative):
    ours = getattr(dsp, f"spectral_{name}")
    theirs = getattr(librosa.feature, f"spectral_{name}")
    half = S.astype(np.float16)
    for given in (half, jnp.asarray(half, jnp.bfloat16), S * np.float32(1e29)):
        expected = theirs(S=np.asarray(given).astype(np.float64))
        assert relative(ours(S=given), expected) < 5e-6
    tiny = S * np.float32(1e-31)
    assert relative(ours(S=tiny), theirs(S=tiny.astype(np.float64))) < 5e-6
    if name in ("centroid", "bandwidth"):
        assert np.isfinite(ours(S=half[:, :9], sr=192000)).all()


def test_energy_of_half_precision_and_range(relative):
    for scale in (1e-30, 1.0, 1e30):
        scaled = S * np.float32(scale)
        expected = librosa.feature.rms(S=scaled.astype(np.float64), frame_length=256, dtype=float)
        assert relative(dsp.rms(S=scaled, frame_length=256), expected) < 1e-6
        y = NOISE * np.float32(scale)
        expected = librosa.feature.rms(y=y.astype(np.float64), dtype=float)
        assert relative(dsp.rms(y=y), expected) < 1e-6
    half = S.astype(np.float16) * 1000
    expected = librosa.feature.rms(S=half.astype(float), frame_length=256)
    assert relative(dsp.rms(S=half, frame_length=256), expected) < 1e-6
    with_bfloat = jnp.asarray(S, jnp.bfloat16)
    for function in (dsp.pcen, dsp.delta, lambda S: dsp.poly_features(S=S)):
        assert np.isfinite(function(with_bfloat)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("scale", [100, 1e30, 1e-30])
def test_norms_of_half_precision_and_range(dtype, scale):
    if dtype == np.float16 and scale != 100:
        pytest.skip("out of the range of the dtype")
    x = (np.array([3, 4]) * scale).astype(dtype)
    out = dsp.normalize(x, norm=2)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, [0.6, 0.8], rtol=1e-3 if dtype == np.float16 else 1e-6)
    np.testing.assert_allclose(
        dsp.normalize(x * (1 + 1j), norm=2), np.array([3, 4]) / 5 * (1 + 1j) / np.sqrt(2), rtol=1e-3
    )


def slope_nans(function, x) -> int:
    slope = jax.jit(jax.grad(lambda v: jnp.sum(function(v))))(x)
    return int(np.isnan(slope).sum())


@pytest.mark.parametrize(
    "function",
    [
        partial(dsp.spectral_bandwidth, n_fft=512, p=0.5),
        partial(dsp.spectral_flatness, n_fft=512, power=0.1),
    ],
)
def test_gradients_of_a_clip_half_silent(function):
    """Of powers below 1; of defaults, see `test_public`."""
    y = jnp.asarray(np.concatenate([np.zeros(2048, np.float32), NOISE[:2048]]))
    assert slope_nans(lambda v: function(y=v), y) == 0


@pytest.mark.parametrize(
    "function",
    [
        partial(dsp.mel_to_stft, n_fft=512),
        *(partial(dsp.normalize, norm=p, axis=0) for p in (0.5, 1, 2, np.inf, -np.inf)),
        partial(dsp.pcen, bias=0),
        lambda v: jnp.abs(dsp.normalize(v * (1 + 1j), norm=2)) ** 2,
    ],
)
def test_gradients_of_spectra_half_silent(function):
    assert slope_nans(function, jnp.zeros((20, 3)).at[4, 0].set(1.0)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_silence(bad):
    y = np.tile(NOISE, 2)
    y[9000] = bad
    for function in (dsp.trim, dsp.split, dsp.loud_frames, dsp.zero_crossings):
        with pytest.raises(ParameterError, match="finite"):
            function(y)
    rate = np.asarray(dsp.zero_crossing_rate(y))[0]
    reached = np.abs(np.arange(len(rate)) * 512 - 9000 - 0.5) < 1024
    np.testing.assert_array_equal(np.isnan(rate), reached)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_spoils_its_frame(bad):
    spoilt = S.copy()
    spoilt[3, 4] = bad
    both = np.stack([spoilt, S])
    for name in SHAPES:
        out = np.asarray(jax.jit(lambda x, name=name: getattr(dsp, f"spectral_{name}")(S=x))(both))
        assert np.isnan(out[0, ..., 4]).any()
        assert np.isfinite(out[1]).all()
    for out in (dsp.normalize(spoilt), dsp.mel_to_stft(spoilt[:20], n_fft=256)):
        np.testing.assert_array_equal(np.isnan(out).all(axis=0), np.arange(97) == 4)


def test_silence_is_as_loud_as_itself():
    y = np.zeros(9000, np.float32)
    np.testing.assert_array_equal(dsp.trim(y)[1], librosa.effects.trim(y)[1])
    np.testing.assert_array_equal(dsp.split(y), librosa.effects.split(y))
    np.testing.assert_array_equal(dsp.trim(y, ref=1.0)[1], [0, 0])
    assert dsp.loud_frames(y).all()


def test_equal_peaks_count_each():
    flat = np.ones((1025, 4), np.float32)
    flat[::2, 1] = 3
    np.testing.assert_allclose(
        dsp.spectral_contrast(S=flat), librosa.feature.spectral_contrast(S=flat), atol=1e-4
    )


@pytest.mark.parametrize("linear", [False, True])
def test_contrast_of_known_and_of_traced_spectra(linear):
    S = np.random.default_rng(0).random((3, 1025, 9)).astype(np.float32)
    S[1, 500, 3], S[1, 7, 4] = np.nan, np.inf
    known, traced = (
        np.asarray(of(S))
        for of in (
            lambda s: dsp.spectral_contrast(S=s, linear=linear),
            jax.jit(lambda s: dsp.spectral_contrast(S=s, linear=linear)),
        )
    )
    np.testing.assert_allclose(known, traced, atol=5e-5)
    assert np.isnan(known[1]).any()
    assert np.isfinite(known[[0, 2]]).all()


LAYOUTS = {
    "big-endian": lambda y: y.astype(">f4"),
    "strided": lambda y: np.repeat(y, 2)[::2],
    "read-only": lambda y: np.broadcast_to(y, (1, *y.shape))[0],
    "longdouble": lambda y: y.astype(np.longdouble),
    "list": lambda y: y.tolist(),
}
TAKE_WAVEFORMS = [lambda y: dsp.trim(y)[0], dsp.split, dsp.loud_frames]
TAKE_NUMBERS = [
    dsp.normalize,
    dsp.delta,
    dsp.zero_crossings,
    dsp.stack_memory,
    lambda x: dsp.pcen(np.abs(x)),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    y = NOISE[:3000]
    # Annotations, checked here alone, do not know the last two.
    functions = {
        "list": [lambda y: dsp.rms(y=y), dsp.zero_crossing_rate],
        "longdouble": TAKE_WAVEFORMS,
    }.get(layout, TAKE_WAVEFORMS + TAKE_NUMBERS)
    for function in functions:
        np.testing.assert_allclose(function(LAYOUTS[layout](y)), function(y), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis(axis, relative):
    x = RNG.random((12, 13, 14)).astype(np.float32)
    moved = np.moveaxis(x, axis, -1)
    state = np.moveaxis(np.full((*moved.shape[:-1], 1), 0.3, np.float32), -1, axis)
    for function in (
        partial(dsp.delta, axis=axis),
        partial(dsp.normalize, norm=3, axis=axis),
        partial(dsp.zero_crossings, axis=axis, threshold=0.5, ref_magnitude=np.max),
        partial(dsp.pcen, axis=axis, zi=state),
        partial(dsp.pcen, axis=axis, max_axis=(axis + 1) % 3, max_size=3),
    ):
        arguments = dict(function.keywords) | {"axis": -1}
        if "zi" in arguments:
            arguments["zi"] = np.float32(0.3)
        if "max_axis" in arguments:
            order = [*(a for a in range(3) if a != axis), axis]
            arguments["max_axis"] = order.index((axis + 1) % 3)
        expected = np.moveaxis(np.asarray(function.func(moved, **arguments)), -1, axis)
        np.testing.assert_allclose(function(x), expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(jax.jit(function)(x), expected, rtol=1e-5, atol=1e-7)
    expected = scipy.signal.savgol_filter(x, 9, 1, deriv=1, axis=axis, mode="interp")
    assert relative(dsp.delta(x, axis=axis), expected) < 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.spectral_contrast(y=np.ones(4096, np.float32), n_fft=32), "raise n_fft"),
        (lambda: dsp.spectral_contrast(y=NOISE, fmin=0.5, n_bands=4), "raise n_fft or fmin"),
        (lambda: dsp.delta(np.zeros((3, 0))), "at least one frame"),
        (lambda: dsp.stack_memory(np.zeros((3, 0))), "at least one frame"),
        (lambda: dsp.spectral_centroid(S=S, sr=0), "sr is 0"),
        (lambda: dsp.spectral_centroid(S=S, sr=np.inf), "sr is inf"),
        (lambda: dsp.spectral_centroid(S=S, freq=np.ones(3)), "freq.shape"),
        (lambda: dsp.rms(y=NOISE[:99], center=False), "y has 99 samples"),
        (lambda: dsp.stack_memory(S, foo=1), "foo"),
        (lambda: dsp.stack_memory(S, constant_values="no"), "mode is 'constant', kwargs is"),
        (lambda: dsp.stack_memory(S, mode="mean", stat_length=-1), "mode is 'mean', kwargs is"),
        (lambda: dsp.pcen(S, ref=S[:3]), "ref.shape"),
        (lambda: dsp.pcen(S, zi=np.ones((7, 1))), "zi.shape"),
        (lambda: dsp.normalize(S, axis=2), "axis is 2"),
        (lambda: jax.jit(lambda y: dsp.trim(y)[0])(NOISE), "use loud_frames"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_norm_of_nothing():
    for axis in (None, 0, 1):
        assert dsp.normalize(np.zeros((0, 3)), axis=axis, norm=2).shape == (0, 3)

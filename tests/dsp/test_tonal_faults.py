"""What is not finite, silent, in half precision or at an octave's edge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError

SR = 22050
C1 = 440 * 2 ** (-45 / 12)
# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large"),
    pytest.mark.no_cover,
]
RNG = np.random.default_rng(0)
NOISE = (0.05 * RNG.standard_normal(8192)).astype(np.float32)


CHROMA = np.abs(RNG.standard_normal((12, 60))).astype(np.float32)
POWER = (np.abs(RNG.standard_normal((1025, 9))) * 9).astype(np.float32)


def tones(bins: list[int], bins_per_octave: int, sr: float, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * sr)) / sr
    freqs = C1 * 2.0 ** (np.asarray(bins)[:, None] / bins_per_octave)
    return np.sin(2 * np.pi * freqs * t).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "bins_per_octave", "sr"),
    [
        ("cqt", 12, 22050),
        ("cqt", 36, 22050),
        ("cqt", 12, 8000),
        ("vqt", 12, 22050),
        ("vqt", 36, 8000),
        ("hybrid_cqt", 12, 22050),
    ],
)
def test_level_at_octave_edges(name, bins_per_octave, sr):
    """With the most bins below Nyquist, each bin is as loud as in a transform that never halves."""
    shared = {"sr": sr, "bins_per_octave": bins_per_octave, "n_bins": None}
    transform = getattr(dsp, name)
    silence = np.zeros(4096, np.float32)
    most = jax.eval_shape(lambda y: transform(y, **shared), silence).shape[0]
    # Of the second to the fourth octave from above: the two highest bins.
    looked = [most - k * bins_per_octave - away for k in (1, 2, 3) for away in (1, 2)]
    y = tones(looked, bins_per_octave, sr, 24576 / sr)
    own = np.arange(len(looked)), looked

    def level(hop):
        C = np.abs(np.asarray(transform(y, hop_length=hop, **shared)))
        return np.median(C[own][:, 8:-8], axis=-1)

    assert np.abs(20 * np.log10(level(512) / level(511))).max() < 0.1


def test_inverse_at_octave_edges():
    """A tone at an octave's edge comes back at its level; measured: within 0.03 dB."""
    y = tones([101 - 13, 101 - 25, 101 - 37], 12, SR, 0.5)
    options = {"fmin": C1 * 2**5, "hop_length": 16}
    back = np.asarray(dsp.icqt(dsp.cqt(y, n_bins=41, **options), **options))
    before, after = (np.linalg.norm(v[:, SR // 8 : 3 * SR // 8], axis=1) for v in (y, back))
    assert np.abs(20 * np.log10(after / before)).max() < 0.1


@pytest.mark.parametrize("sr", [4000, 8000, 11025])
def test_key_at_low_rates(sr):
    """A chord of G major high in the octaves that fit."""
    top = int(np.log2(sr / 2 / C1))
    steps = [7, 11, 14, 19]
    chord = [12 * (top - 2) + s for s in steps] + [12 * (top - 3) + s for s in steps]
    y = np.sum(tones(chord, 12, sr, 3.0), axis=0)
    found = dsp.key(y=y, sr=sr)
    assert (int(found.tonic), int(found.mode)) == (7, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad):
    y = NOISE.copy()
    y[5000] = bad
    found = dsp.key(y=np.stack([y, NOISE]))
    assert found.tonic[0] == found.mode[0] == -1
    assert np.all(np.isnan(found.correlation[0]))
    alone = dsp.key(y=NOISE)
    np.testing.assert_array_equal(found.correlation[1], alone.correlation)
    assert found.tonic[1] == alone.tonic
    chroma = CHROMA.copy()
    chroma[3, 7] = bad
    assert np.all(np.isnan(dsp.key(chroma=chroma).correlation))
    spoilt = np.isnan(np.asarray(dsp.chroma_cens(C=chroma, bins_per_octave=12, win_len_smooth=3)))
    assert spoilt[:, 5:10].all()
    assert not spoilt[:, 12:].any()
    for function in (dsp.estimate_tuning, dsp.chroma_stft, dsp.chroma_cqt, dsp.chroma_cens):
        if function is dsp.estimate_tuning:
            with pytest.raises(ParameterError, match="y is 'not finite'"):
                function(y=y)
        else:
            values = np.asarray(function(y=y))
            assert np.isnan(values).any(axis=0)[values.shape[1] // 2]
    with pytest.raises(ParameterError, match="frequencies is 'not finite'"):
        dsp.pitch_tuning([440.0, bad])
    pitches, magnitudes = (np.asarray(v) for v in dsp.piptrack(y=y))
    assert np.isnan(pitches[20:300, 10]).all()
    assert np.isnan(magnitudes[20:300, 10]).all()
    assert np.isfinite(pitches[:, :6]).all()
    for transform in (dsp.cqt, dsp.vqt, dsp.hybrid_cqt, dsp.pseudo_cqt):
        assert np.isnan(np.abs(np.asarray(transform(y, fmin=220.0, n_bins=24)))[:, 10]).all()


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_half_precision(dtype, relative):
    C = CHROMA[:, :9].astype(dtype)
    wide = C.astype(np.float32)
    same = {"tuning": 0.0}
    S = POWER.astype(dtype)
    pairs = [
        (dsp.chroma_stft(S=S, **same), dsp.chroma_stft(S=S.astype(np.float32), **same)),
        (
            dsp.chroma_cqt(C=C, n_chroma=12, bins_per_octave=12),
            dsp.chroma_cqt(C=wide, n_chroma=12, bins_per_octave=12),
        ),
        (dsp.tonnetz(chroma=C), dsp.tonnetz(chroma=wide)),
        (dsp.key(chroma=C).correlation, dsp.key(chroma=wide).correlation),
        (dsp.piptrack(S=S)[0], dsp.piptrack(S=S.astype(np.float32))[0]),
        (dsp.icqt(C, fmin=220.0), dsp.icqt(wide, fmin=220.0)),
    ]
    for ours, theirs in pairs:
        assert ours.dtype == np.float32
        assert relative(ours, np.asarray(theirs)) < 1e-6


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_range(size):
    scale = np.float32(size)
    found, wanted = dsp.key(chroma=CHROMA * scale), dsp.key(chroma=CHROMA)
    np.testing.assert_allclose(found.correlation, wanted.correlation, atol=1e-5)
    for function in (
        lambda x: dsp.tonnetz(chroma=x),
        lambda x: dsp.chroma_cqt(C=x, bins_per_octave=12),
        lambda x: dsp.chroma_cens(C=x, bins_per_octave=12),
    ):
        np.testing.assert_allclose(function(CHROMA * scale), function(CHROMA), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.chroma_filters(sr=SR, n_fft=1), "n_fft is 1"),
        (lambda: dsp.chroma_filters(sr=np.inf, n_fft=512), "sr is inf"),
        (lambda: dsp.chroma_filters(sr=SR, n_fft=512, octwidth=0), "octwidth is 0"),
        (lambda: dsp.chroma_filters(sr=SR, n_fft=512, tuning=np.nan), "tuning is nan"),
        (lambda: dsp.chroma_filters(sr=SR, n_fft=512, norm=-2), "norm is -2"),
        (lambda: dsp.cqt(NOISE, fmin=0), "fmin is 0; the lowest bin must lie above 0 Hz"),
        (lambda: dsp.cqt(NOISE, fmin=np.nan), "fmin is nan"),
        (lambda: dsp.cqt(NOISE, fmin=12000.0), "fmin is 12000.0"),
        (lambda: dsp.cqt(NOISE, sr=0), "sr is 0"),
        (lambda: dsp.cqt(NOISE, bins_per_octave=0), "bins_per_octave is 0"),
        (lambda: dsp.cqt(NOISE, tuning=np.inf), "tuning is inf"),
        (lambda: dsp.cqt(NOISE, hop_length=0), "hop_length is 0"),
        (lambda: dsp.cqt(NOISE, filter_scale=np.nan), "filter_scale is nan"),
        (lambda: dsp.cqt(NOISE, sparsity=1), "sparsity is 1"),
        (lambda: dsp.cqt(NOISE, norm=np.nan), "norm is nan"),
        (lambda: dsp.cqt(NOISE, res_type="best"), "res_type is 'best'"),
        (lambda: dsp.cqt(NOISE, pad_mode="wrap"), "pad_mode is 'wrap'"),
        (lambda: dsp.cqt(np.zeros(0, np.float32)), "y.shape is"),
        (lambda: dsp.vqt(NOISE, intervals=[]), r"len\(intervals\) is 0"),
        (lambda: dsp.vqt(NOISE, intervals=[1.0, 2.5]), "intervals is"),
        (lambda: dsp.pseudo_cqt(NOISE, n_bins=120), "n_bins is 120"),
        (lambda: dsp.chroma_cqt(y=NOISE, sr=8000, tuning=0.0), "n_octaves is 7"),
        (lambda: dsp.chroma_cqt(y=NOISE, n_octaves=0), "n_octaves is 0"),
        (lambda: dsp.key(y=NOISE, sr=50), "sr is 50; no octave"),
        (lambda: dsp.key(chroma=np.ones((12, 0), np.float32)), "chroma.shape"),
        (lambda: dsp.cq_to_chroma(0), "n_input is 0"),
        (lambda: dsp.cq_to_chroma(84, fmin=-1), "fmin is -1"),
        (lambda: dsp.cq_to_chroma(84, window=[]), "window is"),
        (lambda: dsp.pitch_tuning([440.0], bins_per_octave=0), "bins_per_octave is 0"),
        (lambda: dsp.pitch_tuning([440.0], resolution=np.nan), "resolution is nan"),
        (lambda: dsp.piptrack(y=NOISE, sr=0), "sr is 0"),
        (lambda: dsp.icqt(np.ones((84, 1), np.complex64)), "a single frame needs length"),
        (lambda: dsp.icqt(np.ones((84, 3)), fmin=0.0), "fmin is 0"),
        (lambda: dsp.griffinlim_cqt(np.ones((24, 3)), rng=1, random_state=1), "rng"),
        (lambda: dsp.griffinlim_cqt(np.ones((24, 3)) + 0j), "C.dtype"),
        (lambda: jax.jit(lambda y: dsp.chroma_stft(y=y))(NOISE), "tuning is None"),
        (lambda: jax.jit(lambda y: dsp.cqt(y, tuning=None))(NOISE), "tuning is None"),
        (lambda: jax.jit(lambda y: dsp.estimate_tuning(y=y))(NOISE), "y is 'traced'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.mark.parametrize("call", [dsp.vqt, dsp.chroma_vqt])
def test_a_number_is_no_intervals(untyped, call):
    with pytest.raises(ParameterError, match=r"intervals is 1\.5"):
        call(y=NOISE, intervals=1.5)

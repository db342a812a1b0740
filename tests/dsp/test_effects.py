"""Effects at the ends of clips, at silence, in half precision and of values that are not finite."""

from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

RNG = np.random.default_rng(11)
NOISE = RNG.standard_normal(9000).astype(np.float32)
ZI = np.array([0.3], np.float32)
S = np.abs(RNG.standard_normal((33, 130))).astype(np.float32)
D = (S * np.exp(2j * np.pi * RNG.random(S.shape))).astype(np.complex64)
SMALL = {"n_fft": 64, "hop_length": 16}
TINY = {"n_fft": 2, "hop_length": 1}

OF_FRAMES = {
    "istft, not centred": partial(dsp.istft, center=False, hop_length=10),
    "istft of a length": partial(dsp.istft, length=1000),
    "overlap_add by one": partial(dsp.overlap_add, hop_length=1),
    "griffinlim, reflected": lambda D: dsp.griffinlim(
        jnp.abs(D), n_iter=2, pad_mode="reflect", length=900
    ),
}


def same(ours, exact, tolerance):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = np.abs(other).max(initial=0)
        assert np.abs(one - other).max(initial=0) <= tolerance * scale


@pytest.mark.parametrize("name", OF_FRAMES)
@pytest.mark.parametrize("frames", [65])
def test_of_frames_equals_the_exact_program(name, frames):
    part = D[:, :frames]
    same(OF_FRAMES[name](part), jax.jit(OF_FRAMES[name])(part), 2e-6)


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda: dsp.istft(D[None], length=0), (1, 0)),
        (lambda: dsp.istft(D[:, :1]), (0,)),
        (lambda: dsp.griffinlim(S, n_iter=1, length=0), (0,)),
        (lambda: dsp.griffinlim(S[:, :1], n_iter=1), (0,)),
        (lambda: dsp.time_stretch(NOISE[:2], rate=10, **TINY), (0,)),
        (lambda: dsp.time_stretch(np.stack([NOISE[:3]] * 2), rate=10, **TINY), (2, 0)),
        (lambda: dsp.overlap_add(D[:, :0], hop_length=2), (0,)),
    ],
)
def test_results_without_samples(call, shape):
    assert call().shape == shape


def test_a_stretch_by_one_is_the_signal():
    np.testing.assert_allclose(dsp.time_stretch(NOISE, rate=1, **SMALL), NOISE, atol=2e-5)


@pytest.mark.parametrize("samples", [2, 3, 40, 999])
@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_stretched_lengths(samples, rate):
    out = dsp.time_stretch(NOISE[:samples], rate=rate, **TINY)
    assert out.shape == (round(samples / rate),)


def test_slopes_at_silence_are_finite():
    def slopes(function, at):
        def total(x):
            return sum(jnp.sum(jnp.abs(v)) for v in jax.tree.leaves(function(x)))

        return jax.jit(jax.grad(total))(at)

    zeros = jnp.zeros((5, 4))
    assert np.isfinite(slopes(lambda v: dsp.softmask(v, v + 1, power=0.5), zeros)).all()
    for power in (0.5, 1, 2):
        complex_of = partial(dsp.magphase, power=power)
        assert np.isfinite(slopes(lambda v, f=complex_of: f(v + 0j), zeros)).all()
    silent = jnp.asarray(D).at[:, 20:].set(0)
    turned = jax.jit(jax.grad(lambda v: jnp.sum(jnp.real(dsp.phase_vocoder(v * silent, rate=0.8)))))
    assert np.isfinite(turned(1.0))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_widened(dtype):
    half = jnp.asarray(100 * S, dtype)
    wide = np.asarray(half, np.float32)
    for function in (
        partial(dsp.griffinlim, n_iter=2),
        partial(dsp.hpss_spectrum, kernel_size=5),
        partial(dsp.magphase),
        lambda S: dsp.softmask(S, S[::-1], power=2),
        partial(dsp.istft),
        partial(dsp.phase_vocoder, rate=1.5),
    ):
        same(function(half), function(wide), 1e-6)
        assert {v.dtype.name for v in jax.tree.leaves(function(half))} <= {"float32", "complex64"}


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_range(scale):
    scale = np.float32(scale)
    for function in (
        partial(dsp.phase_vocoder, rate=0.7),
        partial(dsp.istft),
        lambda D: dsp.magphase(D)[0],
        partial(dsp.hpss_spectrum, kernel_size=5),
        lambda D: dsp.griffinlim(np.abs(D), n_iter=2),
    ):
        scaled = [np.asarray(v) / scale for v in jax.tree.leaves(function(D * scale))]
        same(scaled, jax.tree.map(np.asarray, jax.tree.leaves(function(D))), 1e-5)
    mask = dsp.softmask(S * scale, S[::-1] * scale, power=2)
    np.testing.assert_allclose(mask, dsp.softmask(S, S[::-1], power=2), rtol=1e-5)


def test_nan_is_shown_and_stays_in_its_clip():
    spoilt = np.stack([S, S])
    spoilt[1, 4, 50] = np.nan
    for function in (
        lambda S: dsp.softmask(S, S[..., ::-1], power=np.inf),
        lambda S: dsp.softmask(S, S[..., ::-1], power=2),
        lambda S: dsp.magphase(S)[1],
        partial(dsp.hpss_spectrum, kernel_size=5, mask=True),
        partial(dsp.griffinlim, n_iter=2),
        partial(dsp.phase_vocoder, rate=1),
    ):
        for leaf in jax.tree.leaves(function(spoilt)):
            assert np.isfinite(leaf[0]).all()
            assert not np.isfinite(leaf[1]).all()


def test_a_clip_sounds_the_same_alone_and_with_keys_of_its_own():
    both = np.stack([S, S[::-1]])
    y = dsp.griffinlim(both, n_iter=2, rng=5)
    np.testing.assert_array_equal(y[1], dsp.griffinlim(S[::-1], n_iter=2, rng=5))
    np.testing.assert_array_equal(y[1], dsp.griffinlim(S[::-1], n_iter=2, random_state=5))
    keys = jnp.stack([jax.random.key(5), jax.random.key(6)])
    own = dsp.griffinlim(both, n_iter=2, rng=keys)
    np.testing.assert_array_equal(own[0], y[0])
    assert np.abs(own[1] - y[1]).max() > 0.1
    for rng in (np.random.default_rng(3), [1, 2], np.random.RandomState(3), jax.random.PRNGKey(5)):
        assert dsp.griffinlim(S, n_iter=0, rng=rng).shape == y[0].shape
    raw = dsp.griffinlim(both, n_iter=2, rng=jax.random.PRNGKey(5))
    np.testing.assert_array_equal(raw, y)


@pytest.mark.parametrize(
    "kind", ["nearest", "nearest-up", "previous", "next", "quadratic", "cubic"]
)
def test_vocoder_interpolates_as_scipy(kind, relative):
    import scipy.interpolate

    times = np.sort(RNG.random(40) * 128)
    expected = scipy.interpolate.interp1d(np.arange(130), np.abs(D).astype(float), kind=kind)(times)
    ours = np.abs(dsp.phase_vocoder(D, t_out=times, kind=kind))
    assert relative(ours, np.abs(expected)) < 1e-6


def test_vocoder_at_times_is_the_one_at_a_rate(relative):
    rate = dsp.phase_vocoder(D, rate=0.75)
    times = np.arange(0, 130, 0.75)
    np.testing.assert_array_equal(dsp.phase_vocoder(D, t_out=times), rate)
    whole = dsp.phase_vocoder(D, rate=2, kind="nearest")
    assert relative(np.abs(whole), np.abs(D[:, ::2])) < 1e-6
    with pytest.warns(UserWarning, match="not monotonic"):
        dsp.phase_vocoder(D, t_out=np.array([1.0, 0.0, 2.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.phase_vocoder(D, rate=1.0, t_out=np.arange(6)), "exactly one"),
        (lambda: dsp.phase_vocoder(D), "exactly one"),
        (lambda: dsp.phase_vocoder(D, t_out=np.array([130.0])), "t_out"),
        (lambda: dsp.phase_vocoder(D, rate=1.0, kind="cubical"), "kind is 'cubical'"),
        (lambda: dsp.phase_vocoder(D[:, :2], rate=1.0, kind="cubic"), "takes 4 frames"),
        (lambda: dsp.phase_vocoder(D, rate=np.inf), "rate is inf"),
        (lambda: dsp.griffinlim(S, rng=1, random_state=2), "give one of them"),
        (lambda: dsp.griffinlim(S, rng=1.5), "rng is 1.5"),
        (lambda: dsp.griffinlim(S, center=False, length=10), "length is 10"),
        (lambda: dsp.preemphasis(NOISE[:1]), "two samples"),
        (lambda: dsp.preemphasis(NOISE, zi=np.ones(2, np.float32)), "zi.shape"),
        (lambda: dsp.hpss_spectrum(-S), "at least 0"),
        (lambda: dsp.softmask(D, D), "must be real"),
        (lambda: dsp.istft(D[:, :0]), "at least one frame"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.mark.parametrize("name", ["preemphasis", "deemphasis"])
def test_states_are_librosas(name, relative):
    for arguments in ({}, {"zi": ZI}):
        options = {"coef": 0.8, "return_zf": True, **arguments}
        ours = getattr(dsp, name)(NOISE[:200], **options)
        theirs = getattr(librosa.effects, name)(NOISE[:200], **options)
        assert relative(ours[0], theirs[0]) < 1e-6
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from kit.config import FrontendConfig, frames_of
from kit.dsp import ParameterError, log_mel
from kit.dsp.framing import frame_count, frames_first, map_frames
from kit.dsp.frontend import block_levels, valid_frames
from kit.dsp.streaming import begin

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

# Measured by method "double": 2e-5 dB, the last two bits of a level near -80.
DOUBLE_DB = 1e-4
# Measured: 6.7e-4 dB on chirps and tones near 80 dB below the peak, 3e-5 dB on noise and music.
TOLERANCE_DB = 1e-3
SMALL = FrontendConfig(n_fft=512, hop_length=128, n_mels=40)


def reference(y: np.ndarray, config: FrontendConfig) -> np.ndarray:
    S = librosa.feature.melspectrogram(
        y=y,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.win_length,
        window=config.window,
        center=config.center,
        pad_mode=config.pad_mode,
        power=config.power,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.htk,
        norm=config.norm,
    )
    ref = np.max if config.ref == "max" else config.ref
    return librosa.power_to_db(S, ref=ref, amin=config.amin, top_db=config.top_db).T


def batch_of(clips: list[np.ndarray], samples: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.zeros((len(clips), samples), np.float32)
    for row, clip in zip(y, clips, strict=True):
        row[: len(clip)] = clip
    return y, np.array([len(c) for c in clips], np.int32)


def noise(samples: int, seed: int = 0, gain: float = 0.2) -> np.ndarray:
    return (gain * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_defaults_equal_librosa(signal):
    config = FrontendConfig()
    ours = log_mel(signal[None], np.array([len(signal)]), config)
    assert ours.dtype == jnp.float32
    assert ours.shape == (1, frames_of(len(signal), config), 128)
    np.testing.assert_allclose(ours[0], reference(signal, config), atol=TOLERANCE_DB)


def test_one_clip_and_a_batch_with_nothing_but_samples():
    y = np.stack([noise(20000, seed) for seed in range(3)])
    expected = np.asarray(log_mel(y, np.full(3, 20000), FrontendConfig(), method="double"))
    np.testing.assert_array_equal(log_mel(y, method="double"), expected)
    for kind in (np.asarray, jnp.asarray):
        one = log_mel(kind(y[1]), method="double")
        assert one.shape == (frames_of(20000, FrontendConfig()), 128)
        np.testing.assert_array_equal(one, expected[1])
    nested = log_mel(np.stack([y, y[::-1]]), config=SMALL)
    np.testing.assert_array_equal(nested[1], log_mel(y, config=SMALL)[::-1])


@pytest.mark.parametrize("length", [9000, np.array(9000)])
def test_one_clip_of_a_length(length):
    y = noise(20000)
    expected = log_mel(y[None], np.array([9000]), SMALL)[0]
    np.testing.assert_array_equal(log_mel(y, length, SMALL), expected)


def test_one_clip_in_the_callers_own_program():
    y = noise(20000)
    traced = jax.jit(log_mel)(y)
    np.testing.assert_allclose(traced, log_mel(y), atol=TOLERANCE_DB)
    many = jax.vmap(log_mel)(jnp.stack([y, 2 * y]))
    np.testing.assert_allclose(many[0], many[1], atol=TOLERANCE_DB)


def test_known_clips_inside_another_program():
    y = np.stack([noise(9000, seed) for seed in range(2)])
    for known in (y, y[:1]):
        out = jax.jit(lambda gain, known=known: gain * log_mel(known, config=SMALL))(1.0)
        np.testing.assert_array_equal(out, log_mel(known, config=SMALL))


def test_int16_is_full_scale_32768():
    y = (20000 * noise(9000)).astype(np.int16)
    np.testing.assert_array_equal(
        log_mel(y, config=SMALL), log_mel(y.astype(np.float32) / 32768, config=SMALL)
    )
    with pytest.raises(ParameterError, match="y has dtype int32; it must be floating point"):
        log_mel(y.astype(np.int64))


def test_a_batch_of_doubles_is_as_precise_as_each_clip():
    with jax.enable_x64(True):
        y = np.random.default_rng(4).standard_normal((2, 9000))
        together = log_mel(y, config=SMALL)
        assert together.dtype == jnp.float64
        np.testing.assert_array_equal(together[0], log_mel(y[0], config=SMALL))


def test_music(music):
    config = FrontendConfig()
    ours = log_mel(music, np.full(len(music), music.shape[1]), config)
    for clip, y in zip(ours, music, strict=True):
        np.testing.assert_allclose(clip, reference(y, config), atol=TOLERANCE_DB)


def tones() -> dict[str, np.ndarray]:
    """Where all levels but a few lie near the floor, and single precision is at its worst."""
    t = np.arange(60000) / 22050
    pair = np.sin(2 * np.pi * 10000 * t) + 1e-3 * np.sin(2 * np.pi * 100 * t)
    chirp = librosa.chirp(fmin=20, fmax=11000, sr=22050, length=60000)
    return {"pair": pair.astype(np.float32), "chirp": chirp.astype(np.float32)}


@pytest.mark.parametrize("name", ["music", *tones()])
def test_double_precision_is_librosa_to_the_last_bits(name, request):
    made = tones()
    y = np.atleast_2d(made[name] if name in made else request.getfixturevalue(name))[0]
    ours = log_mel(y[None], np.array([len(y)]), FrontendConfig(), method="double")
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours[0], reference(y, FrontendConfig()), atol=DOUBLE_DB)


@pytest.mark.filterwarnings("error:Explicitly requested dtype")
def test_double_precision_under_every_transformation():
    y, lengths = batch_of([noise(9000, k, 10.0 ** -(2 * k)) for k in range(3)], 9000)

    def levels(y, method="double"):
        return log_mel(y, lengths[:1], SMALL, method=method)

    expected = np.stack([levels(clip[None]) for clip in y])
    np.testing.assert_array_equal(log_mel(y, lengths, SMALL, method="double"), expected[:, 0])
    # Measured: 4e-6 between programs that are not the same.
    mapped = jax.jit(jax.vmap(lambda clip: levels(clip[None])))(y)
    np.testing.assert_allclose(mapped, expected, atol=DOUBLE_DB)
    twice = jax.jit(jax.vmap(jax.vmap(lambda clip: levels(clip[None]))))(y[None])
    np.testing.assert_allclose(twice[0], expected, atol=DOUBLE_DB)
    np.testing.assert_allclose(jax.jit(levels)(y[:1]), expected[0], atol=DOUBLE_DB)
    slopes = [
        jax.jit(jax.grad(lambda y, m=m: levels(y, m).sum()))(y[:1]) for m in ("double", "fft")
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-2, atol=1e-4 * np.abs(slopes[0]).max())
    with jax.enable_x64(True):
        wide = log_mel(y.astype(np.float64), lengths, SMALL, method="double")
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, expected[:, 0], atol=DOUBLE_DB)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, pad_mode="reflect"),
        replace(SMALL, pad_mode="edge"),
        replace(SMALL, center=False),
        replace(SMALL, win_length=300, window="hamming"),
        replace(SMALL, hop_length=700),
        replace(SMALL, n_fft=511, hop_length=120, pad_mode="reflect"),
        replace(SMALL, power=1.0, ref=0.5, amin=1e-5),
        replace(SMALL, top_db=None, ref=1.0),
        replace(SMALL, top_db=None),
        replace(SMALL, htk=True, norm=None, fmin=50.0, fmax=9000.0),
        replace(SMALL, n_fft=400, hop_length=5),
    ],
    ids=repr,
)
def test_clips_of_several_lengths_equal_librosa(config):
    clips = [noise(n, seed=n, gain=g) for n, g in [(6001, 0.2), (2500, 0.01), (4444, 1.0)]]
    y, lengths = batch_of(clips, 7000)
    ours = np.asarray(log_mel(y, lengths, config))
    assert ours.shape == (3, frames_of(7000, config), config.n_mels)
    for clip, row in zip(clips, ours, strict=True):
        theirs = reference(clip, config)
        frames = frames_of(len(clip), config)
        np.testing.assert_allclose(row[:frames][: len(theirs)], theirs, atol=TOLERANCE_DB)
        assert frames - len(theirs) in (0, config.n_fft % 2)
        assert len(np.unique(row[frames:])) == 1
        assert row[frames:].max() <= row[:frames].min()


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("length", [1, 2, 100, 255, 256, 257])
def test_shorter_than_a_window(mode, length):
    config = replace(SMALL, pad_mode=mode)
    clip = noise(length, seed=length)
    y, lengths = batch_of([clip], 1000)
    frames = frames_of(length, config)
    padded = np.pad(clip, 256, mode=mode)
    theirs = reference(padded, replace(config, center=False))
    np.testing.assert_allclose(log_mel(y, lengths, config)[0, :frames], theirs, atol=TOLERANCE_DB)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_a_batch_never_changes_a_bit(mode):
    config = replace(SMALL, pad_mode=mode)
    clip = noise(9000)
    frames = frames_of(len(clip), config)
    alone = np.asarray(log_mel(*batch_of([clip], 20000), config))[0, :frames]
    spoiled = np.full(12345, np.nan, np.float32)
    for others in ([noise(20000, 5, 3.0)], [spoiled, noise(3, 1), np.zeros(0), noise(9000, 6)]):
        y, lengths = batch_of([*others, clip], 20000)
        together = np.asarray(log_mel(y, lengths, config))[-1, :frames]
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("samples", [9000, 9001, 30000, 100000])
def test_the_buffer_never_changes_a_clip(samples):
    clip = noise(9000)
    frames = frames_of(len(clip), SMALL)
    short, long = (
        np.asarray(log_mel(*batch_of([clip], size), SMALL))[0, :frames] for size in (9000, samples)
    )
    np.testing.assert_allclose(short, long, atol=1e-4)


@pytest.mark.parametrize("method", ["fft", "double"])
@pytest.mark.parametrize("hop_length", [128, 100, 512, 700])
def test_devices_that_make_all_frames_at_once_agree(hop_length, method):
    config = replace(SMALL, hop_length=hop_length)
    y = jnp.asarray(noise(50000))
    levels = partial(block_levels, config=config, method=method)
    hop = config.hop_length
    count = frame_count(50000, 512, hop)
    blocks = jax.jit(lambda y: map_frames(levels, y, 50000, frame_length=512, hop_length=hop)[0])(y)
    once = jax.jit(lambda y: levels(frames_first(y, 512, hop, count)))(y)
    np.testing.assert_allclose(blocks, once, atol=1e-4)


@pytest.mark.parametrize("batch", [2, 5])
def test_under_jit_and_outside_agree(batch):
    y, lengths = batch_of([noise(9000 - 500 * k, k) for k in range(batch)], 9000)
    traced = jax.jit(lambda y, n: log_mel(y, n, SMALL))(y, lengths)
    # Two programs: JAX 0.10 gives the same bits, 0.12 a last bit of another value.
    np.testing.assert_allclose(traced, log_mel(y, lengths, SMALL), atol=1e-5, rtol=0)


def test_not_a_number_stays_in_its_clip():
    y = np.stack([noise(5000, s) for s in range(3)])
    lengths = np.full(3, 5000)
    spoiled = y.copy()
    spoiled[1, 2000] = np.nan
    clean, dirty = (
        np.asarray(log_mel(y, lengths, SMALL)),
        np.asarray(log_mel(spoiled, lengths, SMALL)),
    )
    np.testing.assert_array_equal(clean[[0, 2]], dirty[[0, 2]])
    assert np.isnan(dirty[1]).all()
    fixed = np.asarray(log_mel(spoiled, lengths, replace(SMALL, ref=1.0, top_db=None)))[1]
    assert np.isnan(fixed).any(axis=1).sum() == 4
    assert np.isfinite(fixed[:10]).all()


def test_what_lies_past_the_length_is_ignored():
    y = np.stack([noise(5000), noise(5000)])
    y[1, 3000:] = np.nan
    lengths = np.array([3000, 3000])
    first, second = log_mel(y, lengths, replace(SMALL, pad_mode="reflect"))
    np.testing.assert_array_equal(first, second)


def test_silence_and_nothing():
    y, lengths = batch_of([np.zeros(4000), np.zeros(0)], 4000)
    np.testing.assert_array_equal(log_mel(y, lengths, SMALL), 0)
    fixed = log_mel(y, lengths, replace(SMALL, ref=1.0, top_db=None))
    np.testing.assert_allclose(fixed, -100, atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 4000), (2, 0), (0, 0)])
def test_empty_batches(shape):
    out = log_mel(np.zeros(shape, np.float32), np.zeros(shape[0], np.int32), SMALL)
    assert out.shape == (shape[0], frames_of(shape[1], SMALL), 40)


@pytest.mark.parametrize("center", [True, False])
def test_traced_frame_counts(center):
    config = replace(SMALL, center=center)
    lengths = np.arange(1500)
    np.testing.assert_array_equal(
        valid_frames(jnp.asarray(lengths), config), [frames_of(int(n), config) for n in lengths]
    )


def test_gradients_are_finite_and_right():
    with jax.enable_x64(True):
        config = FrontendConfig(n_fft=64, hop_length=16, n_mels=8, sample_rate=8000, top_db=None)
        config = replace(config, ref=1.0)
        y = jnp.asarray(np.random.default_rng(2).standard_normal((1, 200)))
        lengths = jnp.array([200])

        def loss(x):
            return (log_mel(x, lengths, config) ** 2).mean()

        slope = jax.jit(jax.grad(loss))(y)
        step = jnp.zeros_like(y).at[0, 77].set(1e-6)
        numeric = (loss(y + step) - loss(y - step)) / 2e-6
        assert slope[0, 77] == pytest.approx(float(numeric), rel=1e-5)
    silent = jax.jit(jax.grad(lambda x: log_mel(x, jnp.array([2000]), SMALL).sum()))(
        jnp.zeros((1, 2000))
    )
    assert np.isfinite(silent).all()


def test_compiles_once_for_a_shape():
    traces = []

    @jax.jit
    def features(y, lengths):
        traces.append(1)
        return log_mel(y, lengths, SMALL)

    for seed in range(3):
        features(noise(4000, seed)[None], np.array([4000 - seed]))
    assert len(traces) == 1


def test_lengths_for_each_clip():
    with pytest.raises(ParameterError, match="y has 2 clips"):
        log_mel(np.zeros((2, 100), np.float32), np.array([100]), SMALL)


def test_pcen_equals_librosa_of_a_mean_that_begins_at_the_first_frame():
    config = replace(SMALL, compression="pcen")
    clips = [noise(9000), 0.01 * noise(4000, 1), np.zeros(3000, np.float32)]
    ours = np.asarray(log_mel(*batch_of(clips, 9000), config))
    hops = 0.4 * config.sample_rate / config.hop_length
    b = (np.sqrt(1 + 4 * hops**2) - 1) / (2 * hops**2)
    power = replace(config, ref=1.0, amin=1e-30, top_db=None)
    for found, clip in zip(ours, clips, strict=True):
        S = librosa.db_to_power(reference(clip.astype(np.float64), power).T) * 2.0**31
        expected = librosa.pcen(S, b=b, zi=(1 - b) * S[:, :1]).T
        valid = frames_of(len(clip), config)
        # Measured: 3e-6, at values up to 3.
        np.testing.assert_allclose(found[:valid], expected, atol=2e-5)
        np.testing.assert_array_equal(found[valid:], 0)
    assert not ours[2].any()  # silence


def test_pcen_hardly_depends_on_the_level():
    config = replace(SMALL, compression="pcen")
    loud, quiet = (np.asarray(log_mel(gain * noise(9000), None, config)) for gain in (1.0, 0.1))
    np.testing.assert_allclose(quiet, loud, rtol=0.12)  # 20 dB of power to 1 - gain: 0.1 ** 0.04
    with pytest.raises(ParameterError, match=r'compression is .*take "db" or "log1p"'):
        begin(config)

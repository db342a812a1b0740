import jax
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError
from kit.dsp.augment.time import read_around

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

KEY = jax.random.key(5)
SR = 22050
Y = np.random.default_rng(0).standard_normal((3, 4096)).astype(np.float32)
S = np.random.default_rng(1).random((3, 40, 60)).astype(np.float32)
TONE = np.sin(2 * np.pi * 440 * np.arange(SR) / SR).astype(np.float32)

PER_EXAMPLE = [
    (lambda x: dsp.spec_augment(KEY, x, freq_width=9, time_width=20), S),
    (lambda x: dsp.random_gain(KEY, x), Y),
    (lambda x: dsp.eq_tilt(KEY, x, sr=SR), Y),
    (lambda x: dsp.time_shift(KEY, x, max_shift=500), Y),
    (lambda x: dsp.add_noise(KEY, x, snr_db=5, high_snr_db=20), Y),
    (lambda x: dsp.random_stretch(KEY, x, n_fft=512), Y),
]


@pytest.mark.parametrize(("change", "x"), PER_EXAMPLE)
def test_each_example_has_its_own_draw_and_no_other(change, x):
    whole = np.asarray(change(x))
    assert whole.shape == x.shape
    assert not np.array_equal(whole, x)
    np.testing.assert_array_equal(whole, change(x))
    others = x.copy()
    others[1:] = 0.5
    # Bit for bit but for the order of sums in larger programs.
    np.testing.assert_allclose(change(others)[0], whole[0], atol=1e-5)
    same = change(np.stack([x[0]] * 3))
    assert not np.array_equal(same[0], same[1])


def test_masks():
    out = np.asarray(dsp.spec_augment(KEY, S, freq_masks=1, time_masks=1, fill=-1.0))
    blank = out == -1
    assert blank.any()
    np.testing.assert_array_equal(out[~blank], S[~blank])
    untouched = dsp.spec_augment(KEY, S, freq_masks=0, time_masks=0)
    np.testing.assert_array_equal(untouched, S)


def test_mixup():
    targets = np.eye(3, dtype=np.float32)
    x, mixed = dsp.mixup(KEY, Y, targets, alpha=1.0)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(x, np.asarray(mixed) @ Y, atol=1e-5)
    assert (np.diag(mixed) >= 0.5).all()


def test_gain_and_tilt():
    gain = np.asarray(dsp.random_gain(KEY, Y, low_db=-3, high_db=3)) / Y
    assert np.ptp(gain, axis=1).max() < 1e-5
    assert (np.abs(20 * np.log10(gain[:, 0])) <= 3.001).all()
    # With silence around, so that no end is cut off.
    y = np.where(np.abs(np.arange(4096) - 2048) < 512, Y, 0).astype(np.float32)
    tilted = np.asarray(dsp.eq_tilt(KEY, y, sr=SR, db_per_octave=3))
    ratio = 20 * np.log10(np.abs(np.fft.rfft(tilted)) / np.abs(np.fft.rfft(y)))
    hz = np.fft.rfftfreq(4096, 1 / SR)
    pivot = np.argmin(np.abs(hz - 1000))
    assert np.abs(ratio[:, pivot]).max() < 0.05
    slope = ratio[:, 4 * pivot] - ratio[:, 2 * pivot]
    assert (np.abs(slope) <= 3.01).all()
    np.testing.assert_allclose(ratio[:, 2 * pivot] - ratio[:, pivot], slope, atol=0.05)


def test_shift():
    ramp = np.arange(1, 101, dtype=np.float32)[None]
    out = np.asarray(dsp.time_shift(KEY, ramp, max_shift=30))[0]
    kept = out[out > 0]
    assert len(kept) >= 70
    assert (np.diff(kept) == 1).all()
    around = np.asarray(dsp.time_shift(KEY, ramp, max_shift=30, wrap=True))[0]
    np.testing.assert_array_equal(np.sort(around), ramp[0])


@pytest.mark.parametrize("noise", [None, np.ones(4096, np.float32)])
def test_noise_has_its_level(noise):
    out = np.asarray(dsp.add_noise(KEY, Y, snr_db=10.0, noise=noise))
    ratio = 10 * np.log10((Y**2).mean(axis=1) / ((out - Y) ** 2).mean(axis=1))
    np.testing.assert_allclose(ratio, 10, atol=1e-3)
    np.testing.assert_array_equal(dsp.add_noise(KEY, 0 * Y), 0)
    np.testing.assert_array_equal(dsp.add_noise(KEY, Y, noise=np.zeros(4096, np.float32)), Y)


def loudest_hz(y: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y))))) * SR / len(y))


def test_pitch_and_tempo():
    up = np.asarray(dsp.random_pitch(KEY, TONE, low_steps=7, high_steps=7))
    assert up.shape == TONE.shape
    assert loudest_hz(up) == pytest.approx(440 * 2 ** (7 / 12), abs=2)
    fast = np.asarray(dsp.random_stretch(KEY, TONE, low=1.5, high=1.5))
    assert loudest_hz(fast[: SR // 2]) == pytest.approx(440, abs=3)
    assert np.abs(fast[-SR // 4 :]).max() < 1e-3


@pytest.mark.parametrize("speed", [0.83, 1.0, 1.07])
@pytest.mark.parametrize(("cycles", "loss_db"), [(1000, 0.01), (8192, 0.3), (13107, 2.7)])
def test_a_tone_is_read_around_at_another_speed(speed, cycles, loss_db):
    """The tone fits its buffer, so that it goes on where it begins again; 1.0 leaves it alone."""
    n, speed = 32768, np.float32(round(speed * 2**15) / 2**15)
    at = 2 * np.pi * cycles / n * np.arange(n)
    out = np.asarray(jax.jit(read_around)(np.sin(at).astype(np.float32), speed), np.float64)
    if speed == 1:
        np.testing.assert_allclose(out, np.sin(at), atol=1e-6)
    wave = np.stack([np.sin(at * float(speed)), np.cos(at * float(speed))])
    level_db = 20 * np.log10(np.hypot(*(2 * wave @ out / n)))
    assert -loss_db <= level_db <= 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.spec_augment(KEY, S, time_share=2), "time_share is 2"),
        (lambda: dsp.spec_augment(KEY, S, freq_width=-1), "freq_width is -1"),
        (lambda: dsp.mixup(KEY, Y, np.eye(3, dtype=np.float32), alpha=0), "alpha is 0"),
        (lambda: dsp.random_gain(KEY, Y, low_db=7), "low_db is 7"),
        (lambda: dsp.eq_tilt(KEY, Y, sr=SR, pivot_hz=0), "pivot_hz is 0"),
        (lambda: dsp.time_shift(KEY, Y, max_shift=-1), "max_shift is -1"),
        (lambda: dsp.add_noise(KEY, Y, snr_db=9, high_snr_db=3), "snr_db is 9"),
        (lambda: dsp.random_stretch(KEY, Y, low=0), "low is 0"),
        (lambda: dsp.random_pitch(KEY, Y, high_steps=13), "both within 12"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()

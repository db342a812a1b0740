"""The cases of EBU Tech 3341 and 3342 that are defined by formula, and BS.1770's own numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import dsp
from kit.dsp import ParameterError

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

SR = 48000


def tone(parts: list[tuple[float, float]], hz: float = 1000.0) -> np.ndarray:
    """Stereo sine: (level in dBFS, seconds), one after the other without a break."""
    gain = np.concatenate([np.full(int(s * SR), 10 ** (db / 20)) for db, s in parts])
    y = gain * np.sin(2 * np.pi * hz * np.arange(len(gain)) / SR)
    return np.stack([y, y]).astype(np.float32)


def test_filters_are_those_of_the_standard():
    shelf, high_pass = dsp.k_weighting(SR)
    np.testing.assert_allclose(
        shelf,
        [1.53512485958697, -2.69169618940638, 1.19839281085285]
        + [1.0, -1.69065929318241, 0.73248077421585],
        atol=1e-7,
    )
    np.testing.assert_allclose(
        high_pass, [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], atol=1e-7
    )


def test_full_scale_at_997_hz():
    y = tone([(0, 5)], hz=997.0)[:1]
    assert float(dsp.loudness(y, sr=SR)) == pytest.approx(-3.01, abs=0.01)


# Tech 3341, table 1, cases 1 to 5.
INTEGRATED = [
    ([(-23, 20)], -23),
    ([(-33, 20)], -33),
    ([(-36, 10), (-23, 60), (-36, 10)], -23),
    ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
    ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
]


@pytest.mark.parametrize(("parts", "expected"), INTEGRATED)
def test_integrated(parts, expected):
    # Tolerance of the recommendation; measured: 0.022 at most.
    assert float(dsp.loudness(tone(parts), sr=SR)) == pytest.approx(expected, abs=0.1)


def test_five_channels():
    # Tech 3341, case 6: L, R, C, Ls, Rs.
    t = np.sin(2 * np.pi * 1000 * np.arange(20 * SR) / SR)
    y = np.stack([10 ** (db / 20) * t for db in (-28, -28, -24, -30, -30)]).astype(np.float32)
    assert float(dsp.loudness(y, sr=SR)) == pytest.approx(-23, abs=0.1)


def test_momentary_and_short_term():
    y = tone([(-23, 5)])
    for function in (dsp.momentary_loudness, dsp.short_term_loudness):
        levels = np.asarray(function(y, sr=SR))
        np.testing.assert_allclose(levels[4:], -23, atol=0.1)


# Tech 3342, cases 1 to 4.
RANGES = [
    ([(-20, 20), (-30, 20)], 10),
    ([(-20, 20), (-15, 20)], 5),
    ([(-40, 20), (-20, 20)], 20),
    ([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15),
]


@pytest.mark.parametrize(("parts", "expected"), RANGES)
def test_range(parts, expected):
    # The recommendation allows 1 LU; measured: 4e-6, the last bit of -50 in single precision.
    assert float(dsp.loudness_range(tone(parts), sr=SR)) == pytest.approx(expected, abs=1.2e-5)


# Tech 3341, cases 15 to 19: divisor of the rate, phase in degrees, amplitude, dBTP.
PEAKS = [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)]


@pytest.mark.parametrize(("divisor", "phase", "amplitude", "expected"), PEAKS)
def test_true_peak(divisor, phase, amplitude, expected):
    n = np.arange(SR // 4)
    y = amplitude * np.sin(2 * np.pi * n / divisor + np.deg2rad(phase))
    y = (y * scipy.signal.windows.tukey(len(n), 0.2)).astype(np.float32)
    assert expected - 0.4 <= float(dsp.true_peak(y, sr=SR)) <= expected + 0.2


def test_other_rates_and_batches():
    t = np.arange(5 * 22050) / 22050
    y = (0.1 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    both = np.stack([y, 0.1 * y])[:, None]
    np.testing.assert_allclose(dsp.loudness(both, sr=22050), [-23.01, -43.01], atol=0.05)


def test_silence():
    y = np.zeros((2, 4 * SR), np.float32)
    assert float(dsp.loudness(y, sr=SR)) == -np.inf
    assert float(dsp.loudness_range(y, sr=SR)) == 0
    assert np.all(np.asarray(dsp.true_peak(y, sr=SR)) == -np.inf)


def test_momentary_loudness_is_causal():
    y = tone([(-1, 3)], hz=997.0)
    silence = np.zeros((2, 3 * SR), np.float32)
    levels = np.asarray(dsp.momentary_loudness(np.concatenate([silence, y, silence], 1), sr=SR))
    assert np.all(np.isneginf(levels[:27]))  # windows that end before the tone
    np.testing.assert_allclose(levels[30:57], -1 - 0.01, atol=0.02)
    # Behind it the filter decays by more than 100 dB in each tenth of a second, down to nothing.
    after = levels[60:]
    assert np.all(after[1:4] < after[:3] - 100)
    assert np.all(np.isneginf(after[10:]))


@pytest.mark.parametrize("sr", [8000, 11025, 22050, 44100, 44101, 96000])
def test_blocks_equal_the_recursion(sr):
    rng = np.random.default_rng(0)
    y = (0.1 * rng.standard_normal((2, 7 * sr + 123))).astype(np.float32)
    y[:, 2 * sr : 4 * sr] *= 0.01
    weighted = scipy.signal.sosfilt(dsp.k_weighting(sr), y.astype(np.float64))
    step = round(0.1 * sr)
    steps = weighted.shape[1] // step
    power = np.square(weighted[:, : steps * step]).reshape(2, steps, step).mean(-1).sum(0)
    for function, hops in ((dsp.momentary_loudness, 4), (dsp.short_term_loudness, 30)):
        mean = np.convolve(power, np.full(hops, 1 / hops), "valid")
        # Measured: 6e-6.
        np.testing.assert_allclose(function(y, sr=sr), -0.691 + 10 * np.log10(mean), atol=3e-5)


@pytest.mark.parametrize("sr", [22050, 48000])
def test_equals_pyloudnorm(sr):
    rng = np.random.default_rng(1)
    y = rng.standard_normal((2, 9 * sr)) * np.repeat(rng.uniform(0, 0.2, 9), sr)
    expected = pyloudnorm.Meter(sr).integrated_loudness(y.T)
    # Its high-pass is another below 48 kHz, and its shelf a little everywhere.
    assert float(dsp.loudness(y, sr=sr)) == pytest.approx(expected, abs=0.1)


LAYOUTS = [
    [1, 1, 1, 1.41],
    [1, 1, 1, 0, 1.41, 1.41],
    [1, 1, 1, 0, 1, 1, 1.41, 1.41],
]


@pytest.mark.parametrize("weights", LAYOUTS)
def test_layouts(weights):
    t = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    y = t * np.sqrt(10.0) ** np.arange(len(weights))[:, None]
    y[0] = 10 * y[-1]  # the order counts
    level = float(dsp.loudness(y, sr=8000))
    given_too = float(dsp.loudness(y, sr=8000, weights=tuple(map(float, weights))))
    one = float(dsp.loudness(t, sr=8000))
    power = sum(w * np.mean(c**2) for w, c in zip(weights, y, strict=True)) / np.mean(t**2)
    assert level == given_too == pytest.approx(one + 10 * np.log10(power), abs=1e-4)
    assert float(dsp.loudness(y, sr=8000, weights=(0.0,) * len(weights))) == -np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_a_number(bad):
    sound = (0.1 * np.random.default_rng(2).standard_normal((2, 5 * 8000))).astype(np.float32)
    y = np.stack([sound, sound])
    y[0, 1, 2 * 8000] = bad
    for function in (dsp.loudness, dsp.loudness_range):
        levels = np.asarray(function(y, sr=8000))
        assert np.isnan(levels[0])
        assert float(levels[1]) == float(function(sound, sr=8000))
    peaks = np.asarray(dsp.true_peak(y, sr=8000))
    assert np.isnan(peaks).tolist() == [[False, True], [False, False]]
    # The windows of 0.4 s that hold the sample, and one more: the filter remembers it for 0.1 s.
    levels = np.asarray(dsp.momentary_loudness(y, sr=8000))
    assert np.flatnonzero(np.isnan(levels[0])).tolist() == [17, 18, 19, 20, 21]
    assert np.all(np.isfinite(levels[1]))
    power = np.ones((2, 10), np.float32)
    power[:, 7] = bad
    found = dsp.loudness_of_steps(power, np.array([7, 8], np.int32))
    assert np.isnan(np.asarray(found)).tolist() == [False, True]


def test_half_precision_and_extreme_levels():
    y = np.random.default_rng(3).uniform(-0.5, 0.5, (2, 4 * SR)).astype(np.float32)
    level = float(dsp.loudness(y, sr=SR))
    half = float(dsp.loudness(y.astype(np.float16), sr=SR))
    assert half == pytest.approx(level, abs=1e-3)
    loud = float(dsp.loudness(y * np.float32(2.0**127), sr=SR))
    assert loud == pytest.approx(level + 20 * np.log10(2.0) * 127, abs=1e-3)
    before, after = dsp.momentary_loudness(y, sr=SR), dsp.momentary_loudness(y * 2.0**-90, sr=SR)
    np.testing.assert_allclose(after, before - 20 * np.log10(2.0) * 90, atol=1e-3)


@pytest.mark.parametrize("function", [dsp.loudness, dsp.loudness_range, dsp.momentary_loudness])
def test_gradients_at_silence_are_finite(function):
    noise = 0.1 * np.random.default_rng(4).standard_normal((2, 4 * 8000))
    half = np.where(np.arange(4 * 8000) < 2 * 8000, 0, noise).astype(np.float32)

    @jax.jit
    @jax.grad
    def slope(y):
        levels = function(y, sr=8000)
        return jnp.sum(jnp.where(jnp.isfinite(levels), levels, 0))

    assert np.all(np.isfinite(slope(half)))
    assert np.any(slope(half) != 0)
    assert np.all(np.asarray(slope(np.zeros_like(half))) == 0)


@settings(deadline=None, max_examples=10)
@given(st.integers(25_000, 32_000), st.integers(0, 2**32 - 1))
def test_what_comes_later_does_not_reach_back(samples, seed):
    y = np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)
    whole = np.asarray(dsp.momentary_loudness(y, sr=8000))
    begin = np.asarray(dsp.momentary_loudness(y[:, :25_000], sr=8000))
    assert len(whole) == samples // 800 - 3
    np.testing.assert_allclose(whole[: len(begin)], begin, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.loudness(np.zeros(1000, np.float32), sr=SR), "y.shape is"),
        (lambda: dsp.loudness(np.zeros((3, SR)), sr=SR, weights=(1.0,)), "3 channels; give one"),
        (lambda: dsp.loudness(np.zeros((1, SR)), sr=SR, weights=(-1.0,)), "not negative"),
        (lambda: dsp.loudness(np.zeros((9, SR)), sr=SR), "^y has 9 channels.*one weight.*LFE"),
        (lambda: dsp.loudness(np.zeros(SR), sr=100), "sr is 100"),
        (lambda: dsp.loudness(np.zeros(SR), sr=float("inf")), "sr is inf"),
        (lambda: dsp.loudness_range(np.zeros(SR), sr=SR), r"3\.0 s at sr=48000"),
        (lambda: dsp.true_peak(np.zeros(9), sr=0), "sr is 0"),
        (lambda: dsp.true_peak(np.zeros(9), sr=float("nan")), "sr is nan"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_loudness_of_steps_is_loudness():
    y = np.stack([tone([(-20, 3), (-50, 2), (-26, 3.3)]), 0.3 * tone([(-30, 8.3)])])
    weighted = scipy.signal.sosfilt(dsp.k_weighting(SR), y.astype(np.float64))
    step = SR // 10
    steps = np.square(weighted[..., : 83 * step]).reshape(2, 2, 83, step).mean(-1).sum(1)
    # Steps behind those that count are ignored.
    power = np.full((2, 100), 9.0, np.float32)
    power[:, :83] = steps
    found = dsp.loudness_of_steps(power, np.array([83, 83], np.int32))
    np.testing.assert_allclose(found, dsp.loudness(y, sr=SR), atol=1e-3)
    assert np.isneginf(dsp.loudness_of_steps(power[0], np.array(3, np.int32)))
    with pytest.raises(ParameterError, match=r"power\.shape"):
        dsp.loudness_of_steps(power[0, :3], np.array(3, np.int32))

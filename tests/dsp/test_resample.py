import numpy as np
import pytest
import soxr

from kit.dsp import ParameterError, resample

RATIOS = [(44100, 22050), (22050, 44100), (48000, 44100), (44100, 16000), (22050, 22051)]


def response_db(orig: float, target: float, hz: float) -> float:
    """Gain of a tone, dB, from the mean square of the middle, weighted lest its ends matter."""
    n = int(orig * 0.3)
    tone = np.sin(2 * np.pi * hz * np.arange(n) / orig).astype(np.float32)
    out = np.asarray(resample(tone, orig_sr=orig, target_sr=target))
    middle = out[len(out) // 4 : -len(out) // 4]
    power = np.average(middle.astype(float) ** 2, weights=np.hanning(len(middle)))
    return float(20 * np.log10(np.sqrt(2 * power) + 1e-12))


@pytest.mark.parametrize(("orig", "target"), RATIOS)
def test_pass_band_is_flat(orig, target):
    nyquist = min(orig, target) / 2
    worst = max(
        abs(response_db(orig, target, share * nyquist))
        for share in (0.02, 0.3, 0.6, 0.8, 0.88, 0.9)
    )
    assert worst < 4e-4  # measured: 1.2e-4 dB; 0.01 dB is what is promised


@pytest.mark.parametrize(("orig", "target"), [(44100, 22050), (44100, 16000), (48000, 44100)])
def test_nothing_aliases(orig, target):
    for share in (1.001, 1.05, 1.08):
        hz = share * target / 2
        if hz < orig / 2:
            assert response_db(orig, target, hz) < -90  # measured: below -97


@pytest.mark.parametrize(("orig", "target"), RATIOS)
def test_equals_soxr_within_the_pass_band(orig, target):
    rng = np.random.default_rng(1)
    t = np.arange(8000) / orig
    tones = rng.uniform(20, 0.42 * min(orig, target), 12)
    fade = np.hanning(8000)
    y = (fade * sum(np.sin(2 * np.pi * (f * t + rng.random())) for f in tones)).astype(np.float32)
    ours = np.asarray(resample(y, orig_sr=orig, target_sr=target))
    theirs = soxr.resample(y, orig, target, "HQ")
    assert abs(len(ours) - len(theirs)) <= 1
    n = min(len(ours), len(theirs))
    # Measured: 8.4e-5 of the peak; soxr is as far from the tones themselves, kit far nearer.
    assert np.abs(ours[:n] - theirs[:n]).max() < 2e-4 * np.abs(theirs).max()


def test_shapes_and_scale():
    y = np.random.default_rng(0).standard_normal((2, 3, 1000)).astype(np.float32)
    out = resample(y, orig_sr=3, target_sr=2)
    assert out.shape == (2, 3, 667)
    np.testing.assert_allclose(out[1, 2], resample(y[1, 2], orig_sr=3, target_sr=2), atol=1e-6)
    first = resample(np.moveaxis(y, -1, 0), orig_sr=3, target_sr=2, axis=0)
    np.testing.assert_allclose(first, np.moveaxis(np.asarray(out), -1, 0), atol=1e-6)
    scaled = resample(y, orig_sr=3, target_sr=2, scale=True)
    np.testing.assert_allclose(scaled, out / np.sqrt(2 / 3), rtol=1e-5)
    np.testing.assert_array_equal(resample(y, orig_sr=5, target_sr=5), y)


@pytest.mark.parametrize(("orig", "target"), [(3, 2), (1000, 1001)])
def test_a_constant_stays(orig, target):
    out = np.asarray(resample(np.ones(3000, np.float32), orig_sr=orig, target_sr=target))
    np.testing.assert_allclose(out[300:-300], 1, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"orig_sr": 0, "target_sr": 1}, "orig_sr is 0"),
        ({"orig_sr": 1, "target_sr": -1}, "target_sr is -1"),
        ({"orig_sr": 1, "target_sr": 2, "res_type": "best"}, "res_type is 'best'"),
        ({"orig_sr": 1, "target_sr": 2.5, "res_type": "polyphase"}, "whole rates"),
        ({"orig_sr": 1, "target_sr": 2, "axis": 1}, "axis is 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        resample(np.zeros(10, np.float32), **arguments)

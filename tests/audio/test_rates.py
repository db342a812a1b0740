"""Rates of 8 to 192 kHz and one to eight channels, against the mean and soxr's own resampling."""

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from kit.audio import decode
from kit.audio.mono import mixed

RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]


# The channels are mixed before anything is resampled: each rate with two channels and each number
# of channels at one rate are enough.
CASES = [(rate, 2) for rate in RATES] + [(44100, channels) for channels in (1, *range(3, 9))]


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize(("rate", "channels"), CASES)
def test_equals_soxr(make, extension, rate, channels):
    path = make(f"a.{extension}", rate, channels, 0.7, subtype="PCM_24")
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
    got, got_rate = decode(path)
    assert got_rate == rate
    np.testing.assert_array_equal(got, whole)
    for target in (22050, 48000):
        want = soxr.resample(whole, rate, target, quality="HQ") if rate != target else whole
        got, got_rate = decode(path, sample_rate=target)
        assert got_rate == target
        assert len(got) == int(np.ceil(len(whole) * (target / rate)))
        # soxr rounds the length, we take the ceiling of it.
        common = min(len(got), len(want))
        assert abs(len(got) - len(want)) <= 1
        np.testing.assert_array_equal(got[:common], want[:common])


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000, 192000])
def test_agrees_with_scipy(tmp_path, rate):
    """Another resampler altogether: tones below both of the half rates stay what they are."""
    t = np.arange(rate) / rate
    x = sum(0.2 * np.sin(2 * np.pi * f * t) for f in (300.0, 1100.0, 2500.0))
    soundfile.write(tmp_path / "a.wav", np.asarray(x), rate, subtype="FLOAT")
    got, _ = decode(tmp_path / "a.wav", sample_rate=22050)
    divisor = np.gcd(rate, 22050)
    window = ("kaiser", 14.0)
    want = scipy.signal.resample_poly(x, 22050 // divisor, rate // divisor, window=window)
    # Away from the ends, where the two continue the signal differently; measured 4e-4.
    np.testing.assert_allclose(got[2000:-2000], want[2000 : len(got) - 2000], atol=1e-3)


@pytest.mark.parametrize("channels", range(2, 19))
def test_the_mix_has_the_bits_of_the_mean(channels):
    rng = np.random.default_rng(channels)
    x = (rng.standard_normal((5000, channels)) * 10.0 ** rng.integers(-40, 38, (5000, 1))).astype(
        np.float32
    )
    x[:9] = [[v] * channels for v in (0.0, -0.0, 1e-45, 3e-45, 3e38, -3e38, np.inf, np.nan, 1.0)]
    with np.errstate(over="ignore", invalid="ignore"):
        want = x.mean(axis=1)
    got = mixed(x, np.empty(len(x), np.float32))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[:4]), np.signbit(want[:4]))

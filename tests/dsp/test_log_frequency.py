"""The spectrum on a logarithmic axis: places, levels, speed, batches, and what is refused."""

import numpy as np
import pytest
import soxr

from kit.dsp import ParameterError
from kit.dsp.spectral.log_frequency import log_frequencies, log_frequency_levels

AXIS = {"sr": 8000, "fmin": 300.0, "n_bins": 128}


def tone(hz, samples=8000):
    return np.sin(2 * np.pi * hz * np.arange(samples) / 8000).astype(np.float32)


@pytest.mark.parametrize("band", [0, 17, 60, 127])
def test_a_tone_is_loudest_in_its_own_band(band):
    hz = log_frequencies(fmin=300, n_bins=128, bins_per_octave=36)[band]
    levels = np.asarray(log_frequency_levels(tone(hz), **AXIS))
    assert levels.shape == (41, 128)
    assert (levels[5:-5].argmax(axis=1) == band).all()


def test_levels_are_those_of_the_weighted_spectrum():
    y = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    levels = np.asarray(log_frequency_levels(y, **AXIS))
    frame = y[200 * 20 - 512 : 200 * 20 + 512] * np.hanning(1025)[:-1]
    power = np.abs(np.fft.rfft(frame.astype(float))) ** 2
    bins = np.arange(513) * 8000 / 1024
    for band in (0, 50, 120):
        low, centre, high = 300 * 2 ** ((band + np.array([-1, 0, 1])) / 36)
        low, high = min(low, centre - 7.8125), max(high, centre + 7.8125)
        weights = np.interp(bins, [low, centre, high], [0, 1, 0])
        wanted = 10 * np.log10((weights * power).sum() / weights.sum())
        assert levels[20, band] == pytest.approx(wanted, abs=2e-3)


def test_a_faster_recording_moves_by_the_same_number_of_bands():
    y = sum(tone(hz, 16000) for hz in (500, 900, 1700))
    fast = soxr.resample(y, 8000 * 2 ** (3 / 36), 8000)
    slow, moved = (np.asarray(log_frequency_levels(x, **AXIS))[20] for x in (y, fast))
    for hz in (500, 900, 1700):
        band = round(36 * np.log2(hz / 300))
        near = slice(band - 3, band + 4)
        assert moved[band : band + 7].argmax() == slow[near].argmax()


def test_a_clip_is_the_same_in_a_batch_and_silence_is_the_least():
    y = np.stack([tone(440), np.zeros(8000, np.float32)])
    both = np.asarray(log_frequency_levels(y, **AXIS))
    np.testing.assert_array_equal(both[0], np.asarray(log_frequency_levels(y[0], **AXIS)))
    assert (both[1] == -100).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fmin": 0}, "fmin is 0; it must be above 0 Hz"),
        ({"n_bins": 300}, "the highest band, at .* must lie below sr / 2 = 4000 Hz"),
        ({"n_bins": 0}, "n_bins"),
        ({"bins_per_octave": 0}, "bins_per_octave"),
    ],
)
def test_bands_outside_the_spectrum_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        log_frequency_levels(tone(440), **AXIS | change)

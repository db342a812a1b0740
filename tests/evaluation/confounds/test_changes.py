"""Changes of a sound against SciPy, and against what a tone must become."""

import io

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from kit.config import FeatureConfig, FrontendConfig
from kit.evaluation.confounds import changes
from kit.evaluation.confounds.probes import FAMILIES, PROBES, UNCHANGED, probes_of, unheard

RATE = 22_050


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Two seconds of pink noise."""
    white = np.random.default_rng(0).standard_normal(2 * RATE)
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    y = np.fft.irfft(spectrum)
    return (0.3 * y / np.abs(y).max()).astype(np.float32)


def sine(hz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def gain_db(after: np.ndarray, before: np.ndarray) -> float:
    middle = slice(len(before) // 4, -len(before) // 4)
    return 10 * np.log10(np.mean(after[middle] ** 2.0) / np.mean(before[middle] ** 2.0))


def peak_hz(y: np.ndarray) -> float:
    window = np.hanning(len(y))
    size = 8 * len(y)
    return float(np.abs(np.fft.rfft(y * window, size)).argmax() * RATE / size)


@pytest.mark.parametrize(
    ("change", "edge", "octave"),
    [
        (changes.low_passed, 4000.0, 8000.0),
        (changes.low_passed, 2000.0, 4000.0),
        (changes.high_passed, 200.0, 100.0),
    ],
)
def test_filters_have_the_gain_of_a_butterworth_run_both_ways(noise, change, edge, octave):
    for hz in (edge, octave, edge * edge / octave):
        # The bilinear transform bends the axis of frequencies.
        ratio = np.tan(np.pi * hz / RATE) / np.tan(np.pi * edge / RATE)
        ratio = ratio if change is changes.low_passed else 1 / ratio
        expected = -20 * np.log10(1 + ratio ** (2 * 4))
        y = sine(hz, 2.0)
        assert gain_db(change(y, RATE, edge), y) == pytest.approx(expected, abs=0.02)
    found = change(noise, RATE, edge)
    # With zero phase no sample moves.
    lags = scipy.signal.correlation_lags(len(noise), len(found))
    assert lags[np.argmax(scipy.signal.correlate(noise, found))] == 0
    assert len(found) == len(noise)
    assert found.dtype == np.float32


@pytest.mark.parametrize("length", [1, 2, 15, 300])
def test_filters_take_a_sound_of_a_few_samples(length):
    y = np.full(length, 0.5, np.float32)
    for change in (changes.low_passed, changes.high_passed):
        assert np.isfinite(change(y, RATE, 1000.0)).all()


@pytest.mark.parametrize(
    ("hz", "expected"), [(1000, 0.0), (2000, 3.0), (500, -3.0), (8000, 9.0), (20, -12.0)]
)
def test_a_tilt_raises_each_octave_by_as_much_and_no_frequency_by_more_than_its_limit(hz, expected):
    y = sine(hz)
    assert gain_db(changes.tilted(y, RATE, 3.0), y) == pytest.approx(expected, abs=0.05)
    assert gain_db(changes.tilted(y, RATE, -3.0), y) == pytest.approx(-expected, abs=0.05)


@given(st.floats(-20, 20))
def test_a_level_is_a_factor_and_nothing_is_clipped(db):
    y = np.array([-1.0, 0.25, 0.0, 1.0], np.float32)
    np.testing.assert_allclose(changes.louder(y, RATE, db), y * 10 ** (db / 20), rtol=1e-6)


@pytest.mark.parametrize("kbps", [64, 128, 320])
def test_mp3_has_the_rate_that_it_is_named_after_and_moves_no_sample(noise, kbps, monkeypatch):
    sizes = []
    read = soundfile.read

    def seen(stream, **kwargs):
        sizes.append(len(stream.getvalue()))
        return read(io.BytesIO(stream.getvalue()), **kwargs)

    monkeypatch.setattr(soundfile, "read", seen)
    found = changes.through_mp3(noise, RATE, float(kbps))
    # A frame of tags, and the encoder's delay of two frames.
    assert sizes[0] * 8 / 2 / 1000 == pytest.approx(kbps, rel=0.08)
    assert len(found) == len(noise)
    lags = scipy.signal.correlation_lags(len(noise), len(found))
    assert lags[np.argmax(scipy.signal.correlate(noise, found))] == 0
    assert np.corrcoef(noise, found)[0, 1] > 0.98


def test_tempo_leaves_the_pitch_speed_moves_both_and_a_semitone_is_a_twelfth_of_an_octave():
    y = sine(440.0, 2.0)
    for speed in (1.06, 0.94):
        faster, played = changes.stretched(y, RATE, speed), changes.played(y, RATE, speed)
        assert len(faster) == pytest.approx(len(y) / speed, abs=1)
        assert len(played) == pytest.approx(len(y) / speed, abs=1)
        assert peak_hz(faster) == pytest.approx(440, abs=1)
        assert peak_hz(played) == pytest.approx(440 * speed, abs=1)
    np.testing.assert_allclose(changes.played(y, RATE, 1.06), soxr.resample(y, RATE * 1.06, RATE))
    back = changes.blurred(y, RATE, 1.06)
    assert len(back) == pytest.approx(len(y), abs=1)
    assert peak_hz(back) == pytest.approx(440, abs=1)
    for semitones in (1.0, -1.0):
        found = changes.transposed(y, RATE, semitones)
        assert len(found) == len(y)
        assert peak_hz(found) == pytest.approx(440 * 2 ** (semitones / 12), abs=1)


def test_a_later_start_leaves_out_the_beginning():
    y = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(changes.later(y, 2, 1.5), y[3:])
    assert len(changes.later(y, 2, 9.0)) == 0


@pytest.mark.parametrize("probe", [UNCHANGED, *PROBES], ids=lambda probe: probe.name)
def test_every_probe_takes_a_sound_that_has_ended(probe):
    assert len(probe.change(np.zeros(0, np.float32), 8000)) == 0


def test_probes_are_found_by_their_family_and_left_out_where_no_front_end_hears_them():
    assert {probe.family for probe in PROBES} == set(FAMILIES)
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    assert probes_of(()) == PROBES
    assert [probe.amount for probe in probes_of(("level",))] == [6.0, -6.0]
    named = ["tempo there and back", "pitch +1 semitone", "pitch −1 semitone"]
    assert [probe.name for probe in probes_of(("pitch",))] == named
    low = FeatureConfig(frontend=FrontendConfig(sample_rate=8000), clip_s=90.0)
    missed = {probe.name: unheard(probe, low) for probe in PROBES if unheard(probe, low)}
    assert list(missed) == ["low-pass 4 kHz", "low-pass 10 kHz"]
    assert "4000 Hz" in missed["low-pass 10 kHz"]
    assert not any(unheard(probe, FeatureConfig()) for probe in PROBES)

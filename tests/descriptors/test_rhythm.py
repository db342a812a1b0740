"""Tempo, onset rate and scaling exponent of sounds with known values."""

import pytest


@pytest.mark.parametrize("bpm", [96.0, 124.0, 133.3, 174.0])
def test_tempo_and_onsets_of_a_beat(sounds, measurements, bpm):
    found = measurements(sounds.beat(bpm))
    assert float(found["tempo"]) == pytest.approx(bpm, rel=5e-3)
    assert float(found["onsets"]) == pytest.approx(bpm / 60, rel=0.05)


def test_steady_sounds_have_no_onsets(sounds, measurements):
    for y in (sounds.noise(), sounds.tones([57, 64], harmonics=8)):
        assert float(measurements(y)["onsets"]) < 0.3


def test_noise_scales_as_a_random_walk(sounds, measurements):
    # Streich and Herrera: what does not remember has an exponent of one half.
    assert float(measurements(sounds.noise())["exponent"]) == pytest.approx(0.5, abs=0.1)

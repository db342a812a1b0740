"""Each proxy follows its definition, and stays between 0 and 1."""

from itertools import pairwise

import numpy as np
import pytest

from kit.descriptors.proxies import energy, unit, valence


def test_unit():
    x = np.linspace(-100, 100, 201, dtype=np.float32)
    up, down = np.asarray(unit(x, -20, 40)), np.asarray(unit(x, 40, -20))
    np.testing.assert_allclose(unit(np.array([-20.0, 10.0, 40.0]), -20, 40), [0.1, 0.5, 0.9], 1e-5)
    assert (np.diff(up) > 0).all()
    np.testing.assert_allclose(up + down, 1, atol=1e-6)
    assert (up >= 0).all()
    assert (up <= 1).all()


def test_danceability_falls_as_a_beat_gets_unsteady(sounds, measurements):
    rng = np.random.default_rng(3)
    beats = np.arange(0.2, 29.5, 60 / 125)
    at_random = rng.uniform(0, 29.5, len(beats))
    in_bursts = np.concatenate([s + rng.uniform(0, 2.0, 15) for s in (1.0, 8.0, 14.0, 25.0)])
    hits = (beats, at_random, in_bursts)
    found = [float(measurements(sounds.hits(times))["danceability"]) for times in hits]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < 0.5
    assert float(measurements(sounds.noise())["danceability"]) < 0.2


def test_danceability_does_not_hear_the_level(sounds, measurements):
    y = sounds.beat(128) + sounds.noise(0.01)
    loud, quiet = (measurements(gain * y) for gain in (1.0, 0.05))
    for name in ("exponent", "onsets", "depth", "spread"):
        assert float(loud[name]) == pytest.approx(float(quiet[name]), abs=0.02), name


def test_energy_rises_with_level_and_onsets():
    levels = np.linspace(-60, 0, 13, dtype=np.float32)
    rates = np.linspace(0, 16, 13, dtype=np.float32)
    assert (np.diff(energy(levels, np.full(13, 4, np.float32))) > 0).all()
    assert (np.diff(energy(np.full(13, -12, np.float32), rates)) > 0).all()
    both = np.asarray(energy(levels, rates))
    assert both[0] < 0.1
    assert both[-1] > 0.95


def test_speechiness_wants_syllables_without_a_beat(sounds, measurements):
    carrier = sounds.noise() + sounds.tones([45], harmonics=30)
    steady = measurements(carrier)
    shallow, deep = (measurements(carrier * sounds.wavering(4, d, seed=2)) for d in (0.4, 0.95))
    beat = measurements(carrier * sounds.wavering(4, 0.95))
    slow = measurements(carrier * sounds.wavering(0.7, 0.95, seed=2))
    assert steady["speechiness"] < shallow["speechiness"] < deep["speechiness"]
    assert deep["depth"] > 2 * slow["depth"]
    assert beat["spread"] < 0.3 * deep["spread"]
    assert max(beat["speechiness"], slow["speechiness"]) < 0.5 * deep["speechiness"]


def test_instrumentalness_falls_where_tones_come_and_go_like_syllables(sounds, measurements):
    tones = sounds.tones([52, 55.3], harmonics=20)
    steady = measurements(tones)["instrumentalness"]
    sung = measurements(tones * sounds.wavering(4, 0.95, seed=2))["instrumentalness"]
    noisy = measurements(sounds.noise() * sounds.wavering(4, 0.95, seed=2))["instrumentalness"]
    assert sung < noisy < 1
    assert sung < steady - 0.1


def test_acousticness_falls_with_brightness_and_noise(sounds, measurements):
    dark = sounds.tones([48, 52, 55], harmonics=4)
    bright = sounds.tones([48, 52, 55], harmonics=60) + sounds.tones([96, 100], harmonics=3)
    found = [
        float(measurements(y)["acousticness"])
        for y in (dark, bright, dark + sounds.noise(0.05), dark + sounds.noise(0.5))
    ]
    assert found[0] > max(found[1:])
    assert found[2] > found[3]


def test_liveness_rises_with_noise_between_the_sounds(sounds, measurements):
    y = sounds.beat(120)
    found = [measurements(y + sounds.noise(level)) for level in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert all(a["liveness"] < b["liveness"] for a, b in pairwise(found))
    assert found[-1]["liveness"] > 0.5


def test_liveness_rises_with_reverberation(sounds, measurements):
    rng = np.random.default_rng(4)
    y = sounds.beat(120)
    found = []
    for tail_s in (0.0, 0.3, 1.0):
        n = round(3 * max(tail_s, 0.001) * sounds.rate)
        reverb = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / (tail_s * sounds.rate + 1))
        wet = np.fft.irfft(np.fft.rfft(y, 2**21) * np.fft.rfft(reverb, 2**21))[: len(y)]
        found.append(measurements((y + 0.3 * wet).astype(np.float32)))
    assert found[0]["floor"] < found[1]["floor"] < found[2]["floor"]
    assert found[0]["liveness"] < found[1]["liveness"] < found[2]["liveness"]


def test_valence_rises_with_mode_brightness_and_tempo():
    margin = np.linspace(-1, 1, 9, dtype=np.float32)
    bright = np.linspace(200, 9000, 9, dtype=np.float32)
    tempo = np.linspace(90, 180, 9, dtype=np.float32)
    middle = (np.zeros(9, np.float32), np.full(9, 2000, np.float32), np.full(9, 130, np.float32))
    for i, values in enumerate((margin, bright, tempo)):
        arguments = [values if i == j else middle[j] for j in range(3)]
        assert (np.diff(valence(*arguments)) > 0).all()


def test_silence_is_not_divided_by(sounds, measurements):
    found = measurements(np.zeros(sounds.samples, np.float32))
    assert all(np.isfinite(v) for v in found.values())

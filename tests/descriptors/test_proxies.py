"""Each proxy goes the way that its definition says, and stays between 0 and 1."""

from itertools import pairwise

import jax
import numpy as np
import pytest

from kit.descriptors import rhythm, room, timbre, tonal, voice
from kit.descriptors.energy import energy
from kit.descriptors.scale import unit
from kit.descriptors.spectra import spectra
from kit.descriptors.valence import valence


@jax.jit
def everything(y):
    frames, mel, onsets = spectra(y[None])
    found = voice.modulation(mel)
    exponent, onset_rate = rhythm.scaling_exponent(y[None]), rhythm.onset_rate(onsets)
    return {
        "exponent": exponent[0],
        "danceability": rhythm.danceability(exponent, onset_rate)[0],
        "onsets": onset_rate[0],
        "tempo": rhythm.tempo(onsets)[0],
        "depth": found.depth[0],
        "spread": found.spread[0],
        "speechiness": voice.speechiness(found)[0],
        "instrumentalness": voice.instrumentalness(voice.modulation(mel, 200, 3400), frames)[0],
        "acousticness": timbre.acousticness(frames)[0],
        "brightness": timbre.brightness(frames)[0],
        "flatness": frames.gap_flatness.mean(),
        "liveness": room.liveness(mel, frames)[0],
        "floor": room.floor_db(mel)[0],
    }


def test_unit():
    x = np.linspace(-100, 100, 201, dtype=np.float32)
    up, down = np.asarray(unit(x, -20, 40)), np.asarray(unit(x, 40, -20))
    np.testing.assert_allclose(unit(np.array([-20.0, 10.0, 40.0]), -20, 40), [0.1, 0.5, 0.9], 1e-5)
    assert (np.diff(up) > 0).all()
    np.testing.assert_allclose(up + down, 1, atol=1e-6)
    assert (up >= 0).all()
    assert (up <= 1).all()


@pytest.mark.parametrize("bpm", [96.0, 124.0, 133.3, 174.0])
def test_tempo_and_onsets_of_a_beat(sounds, bpm):
    found = everything(sounds.beat(bpm))
    assert float(found["tempo"]) == pytest.approx(bpm, rel=5e-3)
    assert float(found["onsets"]) == pytest.approx(bpm / 60, rel=0.05)


def test_steady_sounds_have_no_onsets(sounds):
    for y in (sounds.noise(), sounds.tones([57, 64], harmonics=8)):
        assert float(everything(y)["onsets"]) < 0.3


def test_noise_scales_as_a_random_walk(sounds):
    # Streich and Herrera: what does not remember has an exponent of one half.
    assert float(everything(sounds.noise())["exponent"]) == pytest.approx(0.5, abs=0.1)


def test_danceability_falls_as_a_beat_gets_unsteady(sounds):
    rng = np.random.default_rng(3)
    beats = np.arange(0.2, 29.5, 60 / 125)
    at_random = rng.uniform(0, 29.5, len(beats))
    in_bursts = np.concatenate([s + rng.uniform(0, 2.0, 15) for s in (1.0, 8.0, 14.0, 25.0)])
    hits = (beats, at_random, in_bursts)
    found = [float(everything(sounds.hits(times))["danceability"]) for times in hits]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < 0.5
    assert float(everything(sounds.noise())["danceability"]) < 0.2


def test_danceability_does_not_hear_the_level(sounds):
    y = sounds.beat(128) + sounds.noise(0.01)
    loud, quiet = (everything(gain * y) for gain in (1.0, 0.05))
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


def test_speechiness_wants_syllables_without_a_beat(sounds):
    carrier = sounds.noise() + sounds.tones([45], harmonics=30)
    steady = everything(carrier)
    shallow, deep = (everything(carrier * sounds.wavering(4, d, seed=2)) for d in (0.4, 0.95))
    beat = everything(carrier * sounds.wavering(4, 0.95))
    slow = everything(carrier * sounds.wavering(0.7, 0.95, seed=2))
    assert steady["speechiness"] < shallow["speechiness"] < deep["speechiness"]
    assert deep["depth"] > 2 * slow["depth"]
    assert beat["spread"] < 0.3 * deep["spread"]
    assert max(beat["speechiness"], slow["speechiness"]) < 0.5 * deep["speechiness"]


def test_instrumentalness_falls_where_tones_come_and_go_like_syllables(sounds):
    tones = sounds.tones([52, 55.3], harmonics=20)
    steady = everything(tones)["instrumentalness"]
    sung = everything(tones * sounds.wavering(4, 0.95, seed=2))["instrumentalness"]
    noisy = everything(sounds.noise() * sounds.wavering(4, 0.95, seed=2))["instrumentalness"]
    assert sung < noisy < 1
    assert sung < steady - 0.1


def test_acousticness_falls_with_brightness_and_noise(sounds):
    dark = sounds.tones([48, 52, 55], harmonics=4)
    bright = sounds.tones([48, 52, 55], harmonics=60) + sounds.tones([96, 100], harmonics=3)
    found = [
        float(everything(y)["acousticness"])
        for y in (dark, bright, dark + sounds.noise(0.05), dark + sounds.noise(0.5))
    ]
    assert found[0] > max(found[1:])
    assert found[2] > found[3]


def test_liveness_rises_with_noise_between_the_sounds(sounds):
    y = sounds.beat(120)
    found = [everything(y + sounds.noise(level)) for level in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert all(a["liveness"] < b["liveness"] for a, b in pairwise(found))
    assert found[-1]["liveness"] > 0.5


def test_liveness_rises_with_reverberation(sounds):
    rng = np.random.default_rng(4)
    y = sounds.beat(120)
    found = []
    for tail_s in (0.0, 0.3, 1.0):
        n = round(3 * max(tail_s, 0.001) * sounds.rate)
        room_ = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / (tail_s * sounds.rate + 1))
        wet = np.fft.irfft(np.fft.rfft(y, 2**21) * np.fft.rfft(room_, 2**21))[: len(y)]
        found.append(everything((y + 0.3 * wet).astype(np.float32)))
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


key_of = jax.jit(tonal.key_of)
CHORDS = {"minor": (0, 3, 7), "major": (0, 4, 7)}


@pytest.mark.parametrize("mode", ["minor", "major"])
@pytest.mark.parametrize("off", [0.0, 0.3])
def test_key_of_chords_of_saws_in_any_tuning(sounds, mode, off):
    # The fifth partial of a saw is a major third: it must not make a minor chord major.
    for tonic in (0, 5, 10):
        root = 48 + tonic + off
        y = sounds.tones([root - 12] + [root + d for d in CHORDS[mode]], harmonics=20)
        found = key_of(y[None])
        assert (int(found.tonic[0]), int(found.mode[0])) == (tonic, int(mode == "major"))
        margin = float(tonal.mode_margin(found.correlation)[0])
        assert (margin > 0) == (mode == "major")


def test_silence_is_not_divided_by(sounds):
    found = everything(np.zeros(sounds.samples, np.float32))
    assert all(np.isfinite(v) for v in found.values())

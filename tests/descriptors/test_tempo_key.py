"""Tempo and key of excerpts, whose true values are known."""

import numpy as np
import pytest

from kit.descriptors.tempo_key import tempo_and_key


def music(seconds, bpm, hz, rate, seed=0):
    """A click a beat over a chord of these frequencies."""
    t = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * t) for f in hz)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * chord + 0.5 * noise * np.exp(-40 * (t % (60 / bpm)))).astype(np.float32)


A_MINOR = (220.0, 261.63, 329.63, 440.0)
C_MAJOR = (261.63, 329.63, 392.0, 523.25)


@pytest.mark.parametrize(
    ("seconds", "bpm", "hz", "rate", "key"),
    [
        (12, 128.0, A_MINOR, 22050, "A minor"),
        (30, 140.0, C_MAJOR, 44100, "C major"),
        (70, 100.0, A_MINOR, 22050, "A minor"),
    ],
)
def test_a_chord_over_clicks(seconds, bpm, hz, rate, key):
    tempo, found = tempo_and_key([music(seconds, bpm, hz, rate)], rate)
    assert tempo == pytest.approx(bpm, rel=0.01)
    assert found == key


def test_several_excerpts_have_the_median_tempo():
    parts = [music(8, bpm, A_MINOR, 22050, seed=at) for at, bpm in enumerate((120, 126, 140))]
    assert tempo_and_key(parts, 22050) == (pytest.approx(126, rel=0.02), "A minor")


def test_short_audio_has_neither():
    assert tempo_and_key([music(4.9, 128, A_MINOR, 22050)], 22050) == (None, None)

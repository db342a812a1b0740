"""The tempo along a file of clicks."""

import numpy as np
import pytest

from kit.timeline.tempo import HOP_S, WINDOW_S, Onsets, tempi

RATE = 22050 / 512


def clicks(bpm, seconds, seed=0):
    """Onset strength of beats, softer eighths, and noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    out = np.random.default_rng(seed).uniform(0, 0.2, len(t))
    for strength, per_beat in ((6.0, 1), (3.0, 2)):
        times = np.arange(0, seconds, 60 / bpm / per_beat)
        at = np.round(times * RATE).astype(int)
        out[at[at < len(t)]] += strength
    return out.astype(np.float32)


@pytest.mark.parametrize("bpm", [95.0, 118.3, 127.5, 140.2, 174.0])
def test_a_steady_tempo(bpm):
    found = tempi(clicks(bpm, 60), RATE)
    assert len(found) == 1 + int((60 - WINDOW_S) // HOP_S)
    assert np.allclose([one.bpm for one in found], bpm, rtol=0.01)
    assert [one.second_bpm for one in found] == [None] * len(found)
    assert found[0].time_s == pytest.approx(WINDOW_S / 2, abs=0.05)
    assert found[1].time_s - found[0].time_s == pytest.approx(HOP_S, abs=0.05)


def test_two_decks_at_once_are_two_tempi():
    first, second = clicks(122, 90), clicks(131, 90, 1)
    t = np.arange(len(first)) / RATE
    both = first * (t < 60) + second * (t >= 30)
    found = tempi(both.astype(np.float32), RATE)
    inside = [one for one in found if 38 < one.time_s < 52]
    outside = [one for one in found if not 22 < one.time_s < 68]
    assert inside
    assert outside
    for one in inside:
        pair = sorted([one.bpm, one.second_bpm or 0])
        assert np.allclose(pair, [122, 131], rtol=0.015)
    assert all(one.second_bpm is None for one in outside)


def test_less_than_a_window_has_no_tempo():
    assert tempi(np.ones(100, np.float32), RATE) == ()


def test_onsets_do_not_depend_on_how_the_frames_come():
    levels = np.random.default_rng(0).uniform(-60, 0, (500, 16)).astype(np.float32)
    whole, parts = Onsets(), Onsets()
    whole.add(levels)
    for part in np.array_split(levels, [0, 1, 50, 51, 300]):
        parts.add(part)
    np.testing.assert_allclose(parts.strength(), whole.strength(), atol=1e-6)
    want = np.maximum(np.diff(levels, axis=0), 0).mean(axis=1)
    np.testing.assert_allclose(whole.strength(), [0, *want], rtol=1e-5)

"""Joins of rows whose cross-fades are known."""

import numpy as np
import pytest

from kit.timeline.joins import Levels, joins, novelty


def track(rng, seconds):
    """Levels of one track: its own in each band, noise, and a break of some seconds."""
    rows = rng.uniform(-45, -10, 64) + rng.normal(0, 1.5, (seconds, 64))
    at = int(rng.integers(20, max(21, seconds - 40)))
    rows[at : at + 12] -= 15
    return rows


def mixed(rng, lengths, fades):
    """Tracks one after another, cross-faded with equal power."""
    out = track(rng, lengths[0])
    middles = []
    for seconds, fade in zip(lengths[1:], fades, strict=True):
        new = track(rng, seconds)
        angle = (np.arange(fade) + 0.5) / fade * np.pi / 2
        old_power, new_power = 10 ** (out[-fade:] / 10), 10 ** (new[:fade] / 10)
        both = np.cos(angle)[:, None] ** 2 * old_power + np.sin(angle)[:, None] ** 2 * new_power
        middles.append(len(out) - fade / 2)
        out = np.concatenate([out[:-fade], 10 * np.log10(both), new[fade:]])
    return out.astype(np.float32), middles


@pytest.mark.parametrize("seed", range(3))
def test_cross_fades_are_found_with_their_lengths(seed):
    fades = [8, 20, 44, 56]
    rows, middles = mixed(np.random.default_rng(seed), [200, 180, 240, 200, 220], fades)
    found = joins(rows)
    assert [one.middle for one in found] == pytest.approx(middles, abs=3)
    assert [one.length for one in found] == pytest.approx(fades, abs=9)


def test_a_break_is_no_join():
    rows, _ = mixed(np.random.default_rng(5), [600], [])
    assert joins(rows.astype(np.float32)) == []


@pytest.mark.parametrize("seconds", [0, 1, 50, 91])
def test_a_short_file_has_no_join(seconds):
    rows = np.random.default_rng(0).normal(-30, 5, (seconds, 64)).astype(np.float32)
    assert joins(rows) == []
    assert novelty(rows).shape == (seconds,)


def test_levels_do_not_depend_on_how_the_frames_come():
    frames = np.random.default_rng(0).uniform(-60, 0, (430, 128)).astype(np.float32)
    whole, parts = Levels(43.07), Levels(43.07)
    whole.add(frames)
    for part in np.array_split(frames, [0, 1, 50, 51, 300]):
        parts.add(part)
    assert whole.row_s == pytest.approx(43 / 43.07)
    np.testing.assert_allclose(parts.rows(), whole.rows(), atol=1e-5)
    bands = frames[:43].reshape(43, 32, 4).mean(axis=2)
    want = np.sort(bands, axis=0)[[38, 8]].reshape(-1)
    np.testing.assert_allclose(whole.rows()[0], want, rtol=1e-5)

"""The picture of a file of any length, and its axis."""

import numpy as np
import pytest

from kit.timeline.picture import Strip
from kit.timeline.ticks import label_colours, ticks


@pytest.mark.parametrize("frames", [0, 5, 100, 1000, 5003])
@pytest.mark.parametrize("size", [7, 640])
def test_its_size_is_bounded_and_its_columns_are_means(frames, size):
    levels = np.random.default_rng(0).uniform(-60, 0, (frames, 4)).astype(np.float32)
    levels[frames // 2 :] -= 5
    strip = Strip(most_columns=64)
    for start in range(0, frames, size):
        strip.add(levels[start : start + size])
    picture = strip.picture()
    per = 8
    while frames // per > 64:
        per *= 2
    assert abs(len(picture) - frames // per) <= 1
    assert len(picture) <= 64
    if len(picture):
        whole = levels[: frames // per * per].reshape(-1, per, 4).mean(axis=1)
        want = np.clip((whole - whole.max()) / 70 + 1, 0, 1) * 255
        near = min(len(want), len(picture))
        assert np.abs(picture[:near].astype(float) - want[:near]).max() < 12


@pytest.mark.parametrize("duration_s", [0.5, 9.0, 61.0, 240.0, 3600.0, 5400.0, 18000.0])
def test_ticks_are_round_and_few(duration_s):
    found = ticks(duration_s)
    assert found[0] == 0
    assert len(found) <= 11
    assert found[-1] <= 0.97 * duration_s or found == [0.0]
    if len(found) > 2:
        steps = np.diff(found)
        assert set(steps) == {steps[0]}
        assert steps[0] in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def test_each_label_has_a_colour_of_its_own():
    assert label_colours(6) == [None] * 6
    found = label_colours(40)
    assert len(set(found)) == 40
    assert all(len(str(colour)) == 7 for colour in found)

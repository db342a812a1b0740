"""The wall by value: every panel shows its track, on one scale."""

import numpy as np
import pytest

from kit.config import FrontendConfig
from kit.errors import UsageError
from kit.explore.wall import wall
from kit.plots.style import png


def features(n, frames=40, bands=8):
    return np.random.default_rng(0).uniform(-80, 0, (n, frames, bands)).astype(np.float32)


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


def test_every_panel_shows_its_track_with_time_downwards():
    x = features(5)
    shown = panels(wall(x, [f"track {i}" for i in range(5)], "techno"))
    assert [a.get_title("left") for a in shown] == [f"track {i}" for i in range(5)]
    for axes, track in zip(shown, x, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), track)
        assert axes.get_ylim() == (40, 0)
        assert axes.get_xlim() == (-0.5, 7.5)


def test_all_panels_have_one_scale():
    x = features(3)
    norms = {(n.vmin, n.vmax) for n in (a.images[0].norm for a in panels(wall(x, "abc", "a")))}
    assert norms == {(float(x.min()), float(x.max()))}


def test_thirty_are_shown_in_three_rows_of_ten():
    figure = wall(features(40), ["t"] * 40, "edm")
    shown = panels(figure)
    assert len(shown) == 30
    boxes = [a.get_position() for a in shown]
    assert len({round(b.y0, 6) for b in boxes}) == 3
    assert len({round(b.x0, 6) for b in boxes}) == 10
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])
    assert "the first 30 tracks" in figure.texts[0].get_text()


def test_axes_are_in_seconds_and_hz_with_a_front_end():
    config = FrontendConfig(sample_rate=8000, n_fft=512, hop_length=100, n_mels=8)
    axes = panels(wall(features(2), ["a", "b"], "x", config=config))[0]
    assert axes.get_ylim() == (0.5, 0)
    assert axes.get_ylabel() == "Time (s)"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["500", "2k"]


@pytest.mark.parametrize("n", [1, 11])
def test_any_number_and_any_text_can_be_drawn(n):
    titles = (["$x^$", "電子音楽" * 9, "", "a\nb" * 40] * 3)[:n]
    assert png(wall(np.full((n, 5, 3), -80, np.float32), titles, "x" * 99)).startswith(b"\x89PNG")


def test_nothing_to_draw_is_refused():
    with pytest.raises(UsageError, match="no track of 'techno'"):
        wall(features(0), [], "techno")
    with pytest.raises(UsageError, match="1 titles for 2 tracks"):
        wall(features(2), ["a"], "techno")

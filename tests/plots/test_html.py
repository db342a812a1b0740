"""Figures inside a page: SVG, or PNG where a figure has too many marks."""

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from kit.plots.html import embedded, picture
from kit.plots.style import DARK, LIGHT, in_dark, new_figure, svg


def marks(count, theme=LIGHT):
    figure = new_figure(3, 2, theme, fitted=False)
    x = np.random.default_rng(0).uniform(size=(2, count))
    figure.add_subplot().plot(*x, "o", ms=2, color=theme.first)
    return figure


def test_a_figure_is_svg_and_one_of_many_marks_is_png():
    few, many = embedded(marks(3)), embedded(marks(12_000))
    assert few["src"].startswith("data:image/svg+xml;base64,")
    root = ElementTree.fromstring(base64.b64decode(few["src"].partition(",")[2]))
    # 3 by 2 inches of 96 CSS pixels, or 72 points.
    assert (few["width"], few["height"]) == (288, 192)
    assert [float(root.attrib[key][:-2]) for key in ("width", "height")] == [216, 144]
    assert many["src"].startswith("data:image/png;base64,")
    assert (many["width"], many["height"]) == (288, 192)
    image = Image.open(io.BytesIO(base64.b64decode(many["src"].partition(",")[2])))
    assert image.size == pytest.approx((480, 320), abs=1)
    assert len(many["src"]) < 600_000


def test_each_screen_has_a_figure_of_its_own():
    shown = picture(lambda theme: marks(3, theme), "three dots")
    (dark,) = shown["sources"]
    assert dark["media"] == "(prefers-color-scheme: dark)"
    assert shown["alt"] == "three dots"
    for uri, theme in ((shown["src"], LIGHT), (dark["src"], DARK)):
        assert theme.first.encode() in base64.b64decode(uri.partition(",")[2])


def test_recolouring_changes_the_colours_of_the_theme_alone():
    light = svg(marks(3))
    assert LIGHT.paper.encode() in light
    dark = in_dark(light)
    assert len(dark) == len(light)
    assert LIGHT.first.encode() not in dark
    assert in_dark(b'"fill: #123456" "#ffffff" href="#mffffff0" #dcdce0') == (
        b'"fill: #123456" "#17181c" href="#mffffff0" #3a3b42'
    )

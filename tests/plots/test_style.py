"""Text that is safe to draw, and figures as bytes."""

import io
import unicodedata
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kit.errors import KitError
from kit.plots.style import DARK, LIGHT, drawable, new_figure, png, save, text_style, wrapped


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_drawable():
    assert drawable("  a\tb\n c\x07d ") == "a b c d"
    assert drawable("abcdef", 5) == "abcd…"
    assert drawable("abcde", 5) == "abcde"
    assert drawable("電子音楽", 8) == "電子音楽"
    assert drawable("電子音楽", 7) == "電子音…"
    assert drawable("5$ for 2$") == r"5\$ for 2\$"
    assert drawable("") == ""


def test_wrapped():
    assert wrapped("Sturmflut (Extended Mix)", 22) == "Sturmflut (Extended\nMix)"
    assert wrapped("short", 22) == "short"
    assert wrapped("a" * 50, 20) == "a" * 20 + "\n" + "a" * 19 + "…"
    assert wrapped("a bcdefghijkl", 6) == "a bcde\nfghij…"
    assert wrapped("one two three", 5, rows=3) == "one\ntwo\nthree"


@settings(max_examples=50, deadline=None)
@given(st.text(), st.integers(2, 30), st.integers(1, 3))
def test_text_fits_and_is_never_a_formula(text, columns, rows):
    drawn = wrapped(text, columns, rows).split("\n")
    assert len(drawn) <= rows
    for line in [*drawn, drawable(text, columns)]:
        assert width(line.replace(r"\$", "$")) <= columns
        assert line.replace(r"\$", "").count("$") == 0
        assert all(c.isprintable() for c in line)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_figure_has_the_paper_of_its_theme(theme):
    figure = new_figure(1, 1, theme)
    figure.text(0.5, 0.5, "x", **text_style(theme))
    picture = Image.open(io.BytesIO(png(figure))).convert("RGB")
    assert "#{:02x}{:02x}{:02x}".format(*picture.getpixel((0, 0))) == theme.paper


def test_the_same_figure_gives_the_same_bytes_and_says_nothing_of_matplotlib():
    def draw():
        figure = new_figure(2, 1)
        figure.text(0.1, 0.5, drawable("電子 $x^$ مقطوعة"), **text_style())
        return png(figure)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw() == draw()
    assert b"atplotlib" not in draw()


def test_save_makes_the_folder_and_leaves_one_file(tmp_path):
    path = save(new_figure(1, 1), tmp_path / "new" / "figure.png")
    assert Image.open(io.BytesIO(path.read_bytes())).format == "PNG"
    assert [p.name for p in path.parent.iterdir()] == ["figure.png"]


def test_save_where_no_file_can_be_is_a_kit_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot write"):
        save(new_figure(1, 1), tmp_path / "file" / "figure.png")

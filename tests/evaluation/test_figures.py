"""The figures are looked at by people; here: what they say, and that they are made twice alike."""

import io
import re
import warnings
from functools import partial

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from kit.evaluation import roc
from kit.evaluation.figures import best_epoch, calibration, confusion, curves
from kit.plots.style import DARK, LIGHT, in_dark, png, svg

from .conftest import evaluation


def rows(epochs, losses=None):
    return [
        {
            "step": e,
            "epoch": e,
            "train_loss": 1 / e,
            "train_accuracy": 0.5,
            "validation_loss": None if losses is None else losses[e - 1],
            "validation_accuracy": None if losses is None else 0.5,
        }
        for e in range(1, epochs + 1)
    ]


def texts(axes):
    return [t.get_text() for t in axes.texts]


def test_confusion_says_counts_and_shares_of_the_row():
    axes = confusion(np.array([[46, 2], [10, 30]]), ("techno", "edm")).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "True")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["techno", "edm"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["techno", "edm"]
    assert texts(axes) == ["46", "96%", "2", "4%", "10", "25%", "30", "75%"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[46 / 48, 2 / 48], [0.25, 0.75]])


def test_a_label_absent_from_the_test_has_no_share():
    axes = confusion(np.array([[3, 1], [0, 0]]), ("a", "b")).axes[0]
    assert texts(axes)[4:] == ["0", "–", "0", "–"]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_ink_is_readable_on_every_cell(theme):
    """WCAG AA asks for a contrast of 4.5."""

    def luminance(rgb):
        c = np.asarray(rgb)
        c = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return c @ [0.2126, 0.7152, 0.0722]

    matrix = np.array([[100 - i, i] for i in range(0, 101, 5)][:20])
    square = np.pad(matrix, ((0, 0), (0, 18)))[:12, :12]
    axes = confusion(square, tuple("abcdefghijkl"), theme=theme).axes[0]
    image = axes.images[0]
    for text in axes.texts:
        column, row = (round(x) for x in text.get_position())
        share = image.get_array()[row, column]
        paper = luminance(image.cmap(image.norm(share))[:3])
        ink = luminance({"white": (1, 1, 1), "black": (0, 0, 0)}[text.get_color()])
        high, low = max(ink, paper), min(ink, paper)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_many_labels_keep_the_counts_and_drop_the_shares():
    axes = confusion(np.eye(20, dtype=int) * 3, [f"label {i}" for i in range(20)]).axes[0]
    assert texts(axes) == ["3"] * 20


def test_curves_show_both_parts_and_mark_the_best_epoch():
    figure = curves(rows(4, [0.5, 0.2, 0.2, 0.9]))
    loss, accuracy = figure.axes
    by_name = {line.get_label(): line for line in loss.lines}
    np.testing.assert_array_equal(by_name["training"].get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_array_equal(by_name["validation"].get_ydata(), [0.5, 0.2, 0.2, 0.9])
    for axes in (loss, accuracy):
        assert axes.get_title("right") == "best epoch: 2"
        assert list(axes.lines[-1].get_xdata()) == [2, 2]
    assert [t.get_text() for t in accuracy.get_legend().get_texts()] == ["training", "validation"]


def test_curves_without_validation_mark_nothing():
    loss, _ = curves(rows(3)).axes
    assert loss.get_title("right") == ""
    assert len(loss.lines) == 1


@pytest.mark.parametrize("n", [0, 1, 300])
@pytest.mark.parametrize("stacked", [False, True])
def test_curves_of_any_length_can_be_drawn(n, stacked):
    assert Image.open(io.BytesIO(png(curves(rows(n), stacked=stacked)))).format == "PNG"


def test_best_epoch_has_the_highest_validation_accuracy_and_at_a_tie_the_lowest_loss():
    accurate = [
        row | {"validation_accuracy": a}
        for row, a in zip(rows(3, [0.1, 0.4, 0.3]), [0.8, 0.9, 0.9], strict=True)
    ]
    assert best_epoch(accurate) == 3
    assert best_epoch(rows(3, [0.3, 0.1, 0.1])) == 2
    assert best_epoch(rows(3)) is None
    assert best_epoch([]) is None


def test_the_same_figure_gives_the_same_bytes():
    one, other = (png(curves(rows(5, [0.5, 0.4, 0.3, 0.35, 0.4]))) for _ in range(2))
    assert one == other
    assert b"Matplotlib" not in one


@pytest.mark.parametrize("stacked", [False, True])
def test_the_dark_figures_of_the_page_are_those_that_are_drawn_dark(stacked):
    """The page recolours the light ones, which is quicker than a second drawing."""
    points = [{"probability": p, "right": p / 2} for p in (0.5, 0.7, 0.9)]
    part = {"bins": points, "ece": 0.1, "log_loss": 0.7}
    shares = [{"share": p, "right": p} for p in (1.0, 0.5)]
    result = evaluation(tuple("abcdefgh"), 60)
    curves_of = roc.curves(result["tracks"], result["track"]["per_class"])

    def without_names(data):
        return re.sub(rb"\b[mp][0-9a-f]{10}\b", b"name", data)

    for draw in (
        partial(curves, rows(5, [0.5, 0.4, 0.3, 0.35, 0.4])),
        partial(calibration, {"before": part, "after": part, "surest": shares}),
        partial(roc.draw, curves_of),
    ):
        light, dark = (svg(draw(theme=theme, stacked=stacked)) for theme in (LIGHT, DARK))
        assert without_names(in_dark(light)) == without_names(dark) != without_names(light)


def test_figures_stay_out_of_pyplot():
    confusion(np.eye(2, dtype=int), ("a", "b"))
    assert pyplot.get_fignums() == []


def test_odd_names_are_drawn_without_a_warning():
    names = ("$x^$", "電子音楽", "a\nb\x00c", "مقطوعة", "x" * 300, r"\alpha$")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(confusion(np.eye(6, dtype=int), names))

"""ROC and precision-recall curves against scikit-learn, and what the figure shows of them."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from kit.evaluation import roc
from kit.plots.style import DARK, LIGHT, MOST_SERIES, svg

from .conftest import evaluation


def found(labels, n=60, **options):
    result = evaluation(labels, n, **options)
    return result, roc.curves(result["tracks"], result["track"]["per_class"])


def truth_and_scores(result, label):
    truth = np.array([track["label"] == label for track in result["tracks"]])
    return truth, np.array([track["probabilities"][label] for track in result["tracks"]])


@pytest.mark.parametrize("labels", [("edm", "techno"), tuple("abcde")])
def test_the_points_are_those_of_scikit_learn(labels):
    result, curves = found(labels)
    assert [curve.label for curve in curves] == list(labels)
    for curve in curves:
        truth, scores = truth_and_scores(result, curve.label)
        false, true, _ = roc_curve(truth, scores)
        np.testing.assert_allclose(curve.false_positive_rate, false)
        np.testing.assert_allclose(curve.true_positive_rate, true)
        precision, recall, _ = precision_recall_curve(truth, scores)
        for at, best in zip(curve.recall[1:], curve.precision[1:], strict=True):
            assert best == pytest.approx(precision[recall == at].max())
        assert curve.share == pytest.approx(truth.mean())
        assert curve.roc_auc == pytest.approx(roc_auc_score(truth, scores))


def test_the_areas_below_the_drawn_lines_are_those_beside_the_labels():
    result, curves = found(tuple("abc"), sharpness=1.5)
    left, right = roc.draw(curves).axes
    for curve in curves:
        truth, scores = truth_and_scores(result, curve.label)
        # The legend has the area with three decimals.
        named = {line.get_label(): line for line in (*left.lines, *right.lines)}
        line = named[f"{curve.label}  {roc_auc_score(truth, scores):.3f}"]
        assert auc(*line.get_data()) == pytest.approx(curve.roc_auc)
        line = named[f"{curve.label}  {average_precision_score(truth, scores):.3f}"]
        x, y = line.get_data()
        assert np.sum(np.diff(x) * y[1:]) == pytest.approx(curve.average_precision)
        assert line.get_drawstyle() == "steps-pre"


def test_equal_probabilities_are_one_threshold():
    tracks = [{"label": name, "probabilities": {"a": 0.5, "b": 0.5}} for name in "aabb"]
    areas = {name: {"roc_auc": 0.5, "average_precision": 0.5} for name in "ab"}
    for curve in roc.curves(tracks, areas):
        assert curve.false_positive_rate.tolist() == curve.true_positive_rate.tolist() == [0, 1]
        assert curve.precision.tolist() == [0.5, 0.5]


def test_a_label_of_all_or_no_tracks_has_no_curve():
    tracks = [{"label": "a", "probabilities": {"a": 0.9, "b": 0.1}} for _ in range(3)]
    nothing = {name: {"roc_auc": None, "average_precision": None} for name in "ab"}
    assert roc.curves(tracks, nothing) == []


def test_several_labels_are_divided():
    tracks = [
        {"label": "house; vocal", "probabilities": {"house": 0.9, "vocal": 0.2}},
        {"label": "house", "probabilities": {"house": 0.8, "vocal": 0.6}},
        {"label": "vocal", "probabilities": {"house": 0.1, "vocal": 0.7}},
    ]
    areas = {"house": {"roc_auc": 1.0, "average_precision": 1.0}}
    areas["vocal"] = {"roc_auc": 0.5, "average_precision": 5 / 6}
    house, vocal = roc.curves(tracks, areas, several=True)
    assert house.true_positive_rate.tolist() == [0, 0.5, 1, 1]
    assert vocal.precision.tolist() == pytest.approx([1, 1, 2 / 3])
    assert "vocal: ROC AUC 0.500, average precision 0.833" in roc.in_words([house, vocal])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("stacked", [False, True])
def test_many_labels_leave_grey_lines_to_the_easiest(theme, stacked):
    _, curves = found(tuple("abcdefghij"), n=80)
    figure = roc.draw(curves, theme=theme, stacked=stacked)
    hardest = [curve.label for curve in sorted(curves, key=lambda curve: curve.roc_auc)]
    for axes in figure.axes:
        shown = {text.get_text().split()[0] for text in axes.get_legend().get_texts()}
        assert shown == set(hardest[:MOST_SERIES])
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        assert sum(line.get_color() == theme.quiet for line in lines) == 10 - MOST_SERIES


def test_the_same_curves_give_the_same_bytes_and_xml():
    _, curves = found(("edm", "techno"))
    one, other = (svg(roc.draw(curves)) for _ in range(2))
    assert one == other
    assert ElementTree.parse(io.BytesIO(one)).getroot().tag.endswith("svg")

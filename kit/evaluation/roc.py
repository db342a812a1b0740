"""ROC and precision-recall curves: by track, each label against the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from kit.catalogue.schema import several_labels
from kit.evaluation.figures import framed
from kit.plots.style import (
    LIGHT,
    MOST_SERIES,
    Theme,
    drawable,
    legend_style,
    new_figure,
    series,
)


@dataclass(frozen=True, eq=False)
class Curve:
    """ROC and precision-recall curves of one label, with one point per threshold.

    Attributes:
        label: its name.
        share: share of the tracks with the label.
        false_positive_rate: of the ROC curve, ascending.
        true_positive_rate: of the ROC curve.
        recall: of the precision-recall curve, ascending from 0, without repeats.
        precision: the highest at each recall; at recall 0 the value of the next point.
        roc_auc: area under the ROC curve.
        average_precision: area under the steps of the precision-recall curve.
    """

    label: str
    share: float
    false_positive_rate: Float[np.ndarray, " points"]
    true_positive_rate: Float[np.ndarray, " points"]
    recall: Float[np.ndarray, " steps"]
    precision: Float[np.ndarray, " steps"]
    roc_auc: float
    average_precision: float


def curves(
    tracks: Sequence[Mapping[str, Any]],
    areas: Mapping[str, Mapping[str, Any]],
    several: bool = False,
) -> list[Curve]:
    """Return the curves of each label that some tracks have and others do not.

    Args:
        tracks: entries of `tracks` of evaluation.json.
        areas: `roc_auc` and `average_precision` of each label, from evaluation.json.
        several: tracks have several labels, separated by ";".

    Source: scikit-learn `roc_curve`, `precision_recall_curve`.
    """
    own = [several_labels(t["label"]) if several else (t["label"],) for t in tracks]
    found = []
    for label, area in areas.items():
        truth = np.array([label in names for names in own])
        if area["roc_auc"] is None or truth.all() or not truth.any():
            continue
        scores = np.array([track["probabilities"][label] for track in tracks])
        false, true, _ = roc_curve(truth, scores)
        precision, recall, _ = precision_recall_curve(truth, scores)
        recall, first = np.unique(recall[::-1], return_index=True)
        precision = precision[::-1][first]
        # scikit-learn adds a precision of 1 at recall 0, which no threshold has.
        precision[0] = precision[1]
        found.append(
            Curve(
                label,
                float(truth.mean()),
                *(false, true, recall, precision),
                area["roc_auc"],
                area["average_precision"],
            )
        )
    return found


def draw(found: Sequence[Curve], *, theme: Theme = LIGHT, stacked: bool = False) -> Figure:
    """Draw the ROC curves beside the precision-recall curves, one line per label.

    If there are more labels than colours, the labels with the smallest ROC areas have colours and
    the others are grey.
    """
    size, shape = ((4.0, 7.6), (2, 1)) if stacked else ((8.4, 4.2), (1, 2))
    figure = new_figure(*size, theme, fitted=False)
    left, right = figure.subplots(*shape)
    if stacked:
        figure.subplots_adjust(0.16, 0.07, 0.96, 0.95, hspace=0.32)
    else:
        figure.subplots_adjust(0.085, 0.12, 0.985, 0.91, wspace=0.22)
    titles = ("ROC", "Precision and recall")
    names = (("False positive rate", "True positive rate"), ("Recall", "Precision"))
    for axes, title, (x, y) in zip((left, right), titles, names, strict=True):
        framed(axes, theme, title, x, y)
        axes.set_xlim(-0.01, 1.02)
        axes.set_ylim(-0.01, 1.02)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, 0))
    left.plot([0, 1], [0, 1], ":", color=theme.quiet, lw=0.9)
    coloured = {curve.label for curve in hardest(found)}
    colours = iter(series(len(coloured), theme))
    for curve in found:
        style: dict[str, Any] = {"color": theme.quiet, "lw": 0.8, "alpha": 0.6, "zorder": 2}
        if curve.label in coloured:
            style = {"color": next(colours), "lw": 1.5, "zorder": 3}
        # The area below these steps is the average precision.
        steps = style | {"drawstyle": "steps-pre"}
        rates = (curve.false_positive_rate, curve.true_positive_rate)
        left.plot(*rates, label=_named(curve, curve.roc_auc, coloured), **style)
        name = _named(curve, curve.average_precision, coloured)
        right.plot(curve.recall, curve.precision, label=name, **steps)
        if len(found) <= 2:
            right.axhline(curve.share, ls=":", color=style["color"], lw=0.9)
    left.legend(loc="lower right", **legend_style(theme, size=8.0))
    right.legend(loc="lower left", **legend_style(theme, size=8.0))
    return figure


def hardest(found: Sequence[Curve]) -> list[Curve]:
    """Return the curves to draw in colour: those with the smallest ROC areas."""
    return sorted(found, key=lambda curve: (curve.roc_auc, curve.label))[:MOST_SERIES]


def in_words(found: Sequence[Curve]) -> str:
    """Return the text alternative: the areas under the curves."""
    each = "; ".join(
        f"{c.label}: ROC AUC {c.roc_auc:.3f}, average precision {c.average_precision:.3f}"
        for c in found
    )
    return f"ROC and precision-recall curves of each label against the rest. {each}"


def _named(curve: Curve, area: float, coloured: set[str]) -> str | None:
    return f"{drawable(curve.label, 22)}  {area:.3f}" if curve.label in coloured else None

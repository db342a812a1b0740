"""Histograms of every feature of a table, for one label or several.

They are drawn in the colours of `LIGHT`, which a page recolours for dark screens.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kit.explore.statistics import FEATURES, Feature
from kit.explore.words import value
from kit.plots.style import (
    LIGHT,
    drawable,
    legend_style,
    new_figure,
    style_axes,
    text_style,
    write_title,
)

Columns = Mapping[str, Float[np.ndarray, " tracks"]]
"""Values of each feature by its name, NaN where missing."""
Colours = Mapping[str, str]
"""Colour of each label."""

WIDTH, NARROW = 9.0, 4.0
"""Inches of a figure, for a wide and for a narrow screen."""
LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)))
"""Line style of each label."""
_MOST_BINS = 24
# Areas and medians of more labels would hide the outlines.
_FEW = 3


def distributions(
    groups: Mapping[str, Columns], colours: Colours, *, stacked: bool = False
) -> Figure:
    """Draw histograms of every feature: tracks of one label, or densities of several.

    Several labels share bins, and each histogram has an area of 1; key and mode have bars of shares
    of tracks. The thin lines of up to three labels are medians.

    Args:
        groups: columns of all `FEATURES` of each label, at most six labels.
        colours: colour of each label.
        stacked: two panels in a row in place of three.
    """
    alone = len(groups) == 1
    sizes = [len(next(iter(columns.values()))) for columns in groups.values()]
    in_row = 1 if stacked else 3
    top = 0.2 + 0.22 * -(-len(groups) // in_row)
    figure, panels = _panels(top, stacked)
    lines = dict(zip(groups, LINES, strict=False))
    handles = [
        Line2D([], [], color=colours.get(name, LIGHT.quiet), linestyle=lines[name], linewidth=2)
        for name in groups
    ]
    figure.legend(
        handles=handles,
        labels=[f"{drawable(n, 24)} ({size})" for n, size in zip(groups, sizes, strict=True)],
        loc="upper left",
        bbox_to_anchor=(0.055, 1.0),
        ncols=in_row,
        handlelength=3,
        **legend_style(size=9.5),
    )
    for feature, axes in zip(FEATURES, panels, strict=True):
        known = {name: _known(columns[feature.name]) for name, columns in groups.items()}
        missing = sum(sizes) - sum(map(len, known.values()))
        known = {name: column for name, column in known.items() if len(column)}
        note = f"{missing} missing"
        if alone and feature.kind == "number":
            for column in known.values():
                note = f"median {value(feature, float(np.median(column)))}, {note}"
        write_title(axes, feature.name.capitalize(), weight="bold", pad=16)
        # The note has a line of its own, below the name.
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(note, (0, 1), (0, 4), **place, **text_style(size=8, quiet=True))
        if not known:
            say_empty(axes)
            continue
        edges = _bins(feature, list(known.values()))
        for i, (name, column) in enumerate(known.items()):
            counts = np.histogram(column, edges)[0]
            colour = colours.get(name, LIGHT.quiet)
            if feature.values:
                width = 0.84 / len(known)
                at = np.arange(len(counts)) - 0.42 + (i + 0.5) * width
                axes.bar(at, counts / (1 if alone else len(column)), width=width, color=colour)
                continue
            height = counts if alone else counts / len(column) / np.diff(edges)
            if len(groups) <= _FEW:
                axes.stairs(height, edges, fill=True, color=colour, alpha=0.6 if alone else 0.18)
                middle = float(np.median(column))
                axes.axvline(middle, color=colour, linewidth=0.8, linestyle=lines[name])
            axes.stairs(height, edges, color=colour, linewidth=1.5, linestyle=lines[name])
        share = "Share" if feature.values else "Density"
        _scale(axes, feature, edges, "Tracks" if alone else share)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=alone))
        if feature.values and not alone:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def say_empty(axes: Axes) -> None:
    """Write "no values" into empty axes."""
    style: dict[str, Any] = text_style(quiet=True) | {"ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "no values", transform=axes.transAxes, **style)
    axes.set(xticks=[], yticks=[])


def _panels(top: float, stacked: bool) -> tuple[Figure, list[Axes]]:
    """Return twelve panels, placed by hand: a fitted layout takes longer than the drawing."""
    columns, each, width = (2, 1.95, NARROW) if stacked else (3, 2.35, WIDTH)
    rows = len(FEATURES) // columns
    height = rows * each + top
    figure = new_figure(width, height, fitted=False)
    grid = figure.subplots(rows, columns)
    figure.subplots_adjust(
        left=0.63 / width,
        bottom=0.5 / height,
        right=1 - 0.15 / width,
        top=1 - (top + 0.38) / height,
        wspace=0.5 if stacked else 0.26,
        hspace=0.9 if stacked else 0.68,
    )
    panels = [axes for row in grid for axes in row]
    for axes in panels:
        style_axes(axes)
    return figure, panels


def _scale(axes: Axes, feature: Feature, edges: np.ndarray, what: str) -> None:
    small = text_style(size=8, quiet=True)
    axes.set_ylabel(what, **small)
    axes.set_ylim(bottom=0)
    if feature.values:
        axes.set_xticks(np.arange(len(feature.values)), feature.values)
        axes.tick_params(axis="x", length=0, labelsize=6 if feature.kind == "key" else 8)
        axes.set_xlim(-0.6, len(feature.values) - 0.4)
        axes.set_xlabel({"key": "Pitch class"}.get(feature.kind, ""), **small)
    else:
        axes.set_xlim(edges[0], edges[-1])
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(feature.unit or "0 to 1", **small)


def _bins(feature: Feature, known: Sequence[np.ndarray]) -> Float[np.ndarray, " edges"]:
    """Return edges of bins that hold every value of all groups; fewer bins for fewer tracks."""
    if feature.values:
        return np.arange(len(feature.values) + 1) - 0.5
    every = np.concatenate(known)
    bins = min(_MOST_BINS, max(6, math.ceil(2 * math.sqrt(len(every) / len(known)))))
    low, high = float(every.min()), float(every.max())
    if not feature.unit and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif high - low <= feature.resolution:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _known(column: np.ndarray) -> np.ndarray:
    return column[np.isfinite(column)]

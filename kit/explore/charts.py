"""Figures of a table of features: differences, tempo by year, a map of the tracks.

All are drawn in the colours of `LIGHT`, which a page recolours for dark screens, and take `stacked`
for narrow screens. A label has the colour that `colours` gives it; labels without one are grey.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from kit.explore.distributions import LINES, NARROW, WIDTH, Colours, say_empty
from kit.explore.projection import Projection
from kit.explore.statistics import FEATURES, REST, Comparison, Summary
from kit.explore.words import SURE_BELOW, effect, value
from kit.plots.style import (
    LIGHT,
    drawable,
    legend_style,
    new_figure,
    style_axes,
    text_style,
    write_title,
)

_MARKERS = ("o", "^", "s", "D", "v", "P")
# A median of fewer tracks of a year says little.
_LEAST_IN_YEAR = 5
# An SVG file with more points holds them as pixels.
_RASTER_FROM = 5000


def ranking(
    comparisons: Sequence[Comparison],
    summaries: Sequence[Summary],
    colours: Colours,
    *,
    stacked: bool = False,
) -> Figure:
    """Draw features by |d|, the largest on top; hollow bars may be chance.

    Args:
        comparisons: at least one; a panel each.
        summaries: their medians stand beside the bars of two labels.
        colours: colour of each label.
        stacked: one panel in a row, without medians.
    """
    columns = 1 if stacked else min(2, len(comparisons))
    rows = -(-len(comparisons) // columns)
    height = 0.25 * max(len(c.differences) for c in comparisons) + 0.95
    figure = new_figure(NARROW if stacked else WIDTH, rows * height + 0.35 + 0.6 * stacked)
    panels = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    if isinstance(layout := figure.get_layout_engine(), ConstrainedLayoutEngine):
        layout.set(h_pad=0.1)
    for axes in panels[len(comparisons) :]:
        axes.set_visible(False)
    finite = [abs(d.d) for c in comparisons for d in c.differences if math.isfinite(d.d)]
    reach = max([1.0, *finite]) * 1.12
    medians = {} if stacked else {(s.label, s.feature): s.median for s in summaries}
    for axes, comparison in zip(panels, comparisons, strict=False):
        _rank(axes, comparison, medians, reach, colours)
    first, second = comparisons[0].first, comparisons[0].second
    sides = ("the label", REST) if second == REST else (drawable(first, 20), drawable(second, 20))
    figure.legend(
        handles=[
            Patch(facecolor=colours.get(first, LIGHT.quiet), label=f"higher in {sides[0]}"),
            Patch(facecolor=colours.get(second, LIGHT.quiet), label=f"higher in {sides[1]}"),
            Patch(
                facecolor="none", edgecolor=LIGHT.quiet, hatch="////", label="key, mode: no sign"
            ),
            Patch(facecolor="none", edgecolor=LIGHT.quiet, label=f"hollow: p ≥ {SURE_BELOW:g}"),
        ],
        loc="outside lower left",
        ncols=2 if stacked else 4,
        **legend_style(size=8.0),
    )
    return figure


def tempo_by_year(
    groups: Mapping[str, tuple[Float[np.ndarray, " tracks"], Float[np.ndarray, " tracks"]]],
    colours: Colours,
    *,
    stacked: bool = False,
) -> Figure:
    """Draw each track's tempo at its date, and the median of years with five tracks or more.

    Args:
        groups: dates in years (2016.5 is the middle of 2016) and tempi in BPM of each label, at
            most six labels.
        colours: colour of each label.
        stacked: for a narrow screen.
    """
    figure, axes = _scatter(stacked, 4.2)
    for i, (label, (dates, tempi)) in enumerate(groups.items()):
        colour = colours.get(label, LIGHT.quiet)
        _points(axes, dates, tempi, colour, _MARKERS[i], label)
        years = np.floor(dates)
        dense = [y for y in np.unique(years) if (years == y).sum() >= _LEAST_IN_YEAR]
        middles = [float(np.median(tempi[years == y])) for y in dense]
        at = np.array(dense) + 0.5
        halo = {"color": LIGHT.paper, "linewidth": 4, "zorder": 3}
        axes.plot(at, middles, **halo)
        axes.plot(at, middles, color=colour, linewidth=2, linestyle=LINES[i], zorder=4)
    every = np.concatenate([dates for dates, _ in groups.values()])
    axes.set_xlim(math.floor(every.min()), math.floor(every.max()) + 1)
    ticks = MaxNLocator(5 if stacked else 10, integer=True, min_n_ticks=1)
    axes.xaxis.set_major_locator(ticks)
    title = f"Tempo by year; lines: medians of years with {_LEAST_IN_YEAR} tracks or more"
    _describe(figure, axes, title, "Year of release", "Tempo (BPM)", stacked)
    return figure


def track_map(
    projection: Projection, labels: Sequence[str], colours: Colours, *, stacked: bool = False
) -> Figure:
    """Draw the tracks as points; tracks of labels without a colour are grey.

    Args:
        projection: places of the tracks.
        labels: the label of each point.
        colours: colour of each label, at most six.
        stacked: for a narrow screen.
    """
    figure, axes = _scatter(stacked, 6.2)
    by = np.asarray(labels, dtype=object)
    x, y = projection.points.T
    other = ~np.isin(by.astype(str), list(colours))
    if other.any():
        _points(axes, x[other], y[other], LIGHT.quiet, ".", "other labels")
    for i, (label, colour) in enumerate(colours.items()):
        mine = by == label
        if mine.any():
            _points(axes, x[mine], y[mine], colour, _MARKERS[i], label)
            middle = np.median(projection.points[mine], axis=0)
            axes.plot(*middle, "X", color=colour, ms=13, mec=LIGHT.paper, mew=1.6, zorder=5)
    title = f"{len(x)} tracks by their features; crosses: medians of the labels"
    _describe(figure, axes, title, *projection.axes, stacked)
    return figure


def _rank(
    axes: Axes,
    comparison: Comparison,
    medians: Mapping[tuple[str, str], float | None],
    reach: float,
    colours: Colours,
) -> None:
    style_axes(axes)
    first, second = drawable(comparison.first, 24), drawable(comparison.second, 24)
    write_title(axes, f"{first} against {second}", size=9.5, weight="bold")
    features = {feature.name: feature for feature in FEATURES}
    for row, difference in enumerate(comparison.differences):
        higher = comparison.first if difference.d >= 0 else comparison.second
        colour = colours.get(higher, LIGHT.quiet) if difference.directed else LIGHT.quiet
        sure = difference.p_holm < SURE_BELOW
        length = min(abs(difference.d), reach)
        axes.barh(
            row,
            length,
            height=0.66,
            facecolor=colour if sure and difference.directed else "none",
            edgecolor=colour,
            hatch="////" if sure and not difference.directed else "",
            linewidth=1.2,
        )
        feature = features[difference.feature]
        a, b = (medians.get((s, feature.name)) for s in (comparison.first, comparison.second))
        unit = f" {feature.unit}" if feature.unit else ""
        note = effect(difference)
        if a is not None and b is not None:
            note += f"   median {value(feature, a)} against {value(feature, b)}{unit}"
        axes.text(length + reach * 0.008, row, note, va="center", **text_style(size=8))
    axes.set_yticks(
        np.arange(len(comparison.differences)), [d.feature for d in comparison.differences]
    )
    axes.tick_params(axis="y", length=0, labelcolor=LIGHT.ink, labelsize=8.5)
    axes.set_ylim(max(len(comparison.differences), 1) - 0.4, -0.6)
    # Leave room for the text beside the longest bar.
    axes.set_xlim(0, reach * (1.45 if medians and comparison.second != REST else 1.2))
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, reach)
    axes.set_xticks([float(tick) for tick in ticks if tick <= reach])
    for least in (0.2, 0.5, 0.8):
        axes.axvline(least, color=LIGHT.rule, linewidth=0.8, linestyle=":", zorder=0)
    label = "|Cohen's d|; dotted: small 0.2, medium 0.5, large 0.8"
    axes.set_xlabel(label, **text_style(size=7, quiet=True), loc="left")
    if not comparison.differences:
        say_empty(axes)


def _scatter(stacked: bool, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(*((NARROW, 4.8) if stacked else (WIDTH, height)))
    axes = figure.add_subplot()
    style_axes(axes, grid=True)
    return figure, axes


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, marker: str, name: str) -> None:
    label = f"{drawable(name, 24)} ({len(x)})"
    raster = len(x) > _RASTER_FROM
    style = {"s": 14, "c": colour, "marker": marker, "alpha": 0.55, "linewidths": 0}
    axes.scatter(x, y, label=label, rasterized=raster, **style)


def _describe(figure: Figure, axes: Axes, title: str, x: str, y: str, stacked: bool) -> None:
    """Write title and axes, and put the legend beside the axes or, if stacked, below them."""
    if stacked:
        title, x, y = (text.replace("; ", ";\n").replace(": +", ":\n+") for text in (title, x, y))
    write_title(axes, title, size=9.5 - stacked)
    axes.set_xlabel(x, **text_style(size=8.5 - stacked, quiet=True))
    axes.set_ylabel(y, **text_style(size=8.5 - stacked, quiet=True))
    if stacked:
        legend = figure.legend(
            loc="outside lower left", ncols=2, markerscale=1.8, **legend_style(size=8.0)
        )
    else:
        beside = {"loc": "upper left", "bbox_to_anchor": (1.005, 1)}
        legend = axes.legend(markerscale=1.8, **beside, **legend_style(size=8.5))
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)

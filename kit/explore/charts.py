"""Figures of a table of features: histograms, differences, tempo by year, a map of the tracks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kit.explore.canvas import LIGHT, Theme, drawable, dress, new_figure, series, words
from kit.explore.projection import Projection
from kit.explore.table import FEATURES, REST, Comparison, Feature, Summary
from kit.explore.words import SURE_BELOW, effect, value

Columns = Mapping[str, Float[np.ndarray, " tracks"]]
"""A feature's name to its values, NaN where missing."""

_BINS = 24
_WIDTH = 9.0
_LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)))
# Of more labels over each other, areas and medians would hide the outlines.
_FEW = 3
_MARKERS = ("o", "^", "s", "D", "v", "P")
# A year with fewer tracks of a label has no median worth a line.
_LEAST_IN_YEAR = 5
# Points of an SVG file beyond which it holds a picture of them.
_RASTER_FROM = 5000
_TITLES = {
    "danceability": "Danceability",
    "energy": "Energy",
    "key": "Key",
    "loudness": "Loudness",
    "mode": "Mode",
    "speechiness": "Speechiness",
    "acousticness": "Acousticness",
    "instrumentalness": "Instrumentalness",
    "liveness": "Liveness",
    "valence": "Valence",
    "tempo": "Tempo",
    "duration": "Duration",
}


def histograms(columns: Columns, label: str, *, theme: Theme = LIGHT) -> Figure:
    """Draw the histograms of one label, one for each feature.

    Args:
        columns: all of `FEATURES`.
        label: written above.
        theme: colours.
    """
    figure, panels = _wall(theme, top=0.5)
    tracks = len(next(iter(columns.values())))
    _heading(figure, f"{drawable(label, 60)}: {_tracks(tracks)}", theme)
    for feature, axes in zip(FEATURES, panels, strict=True):
        known = _known(columns[feature.name])
        note = f"{tracks - len(known)} missing"
        if not len(known):
            _title(axes, feature, note, theme)
            _empty(axes, theme)
            continue
        counts, edges = np.histogram(known, _bins(feature, [known]))
        if feature.values:
            axes.bar(np.arange(len(counts)), counts, width=0.8, color=theme.first)
        else:
            axes.stairs(counts, edges, fill=True, color=theme.first)
            middle = float(np.median(known))
            axes.axvline(middle, color=theme.ink, linewidth=1.2, linestyle="--")
            note = f"median {value(feature, middle)}, {note}"
        _title(axes, feature, note, theme)
        _scale(axes, feature, edges, "Tracks", theme)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


def overlaid(groups: Mapping[str, Columns], *, theme: Theme = LIGHT) -> Figure:
    """Draw histograms of several labels over each other: the same bins, each of area 1.

    Key and mode have bars beside each other, of the share of tracks. Of up to three labels a thin
    line is the median.

    Args:
        groups: a label to its columns, all of `FEATURES`; at most `canvas.MOST_SERIES` labels.
        theme: colours.
    """
    columns_of_legend = 3
    lines_of_legend = -(-len(groups) // columns_of_legend)
    figure, panels = _wall(theme, top=0.2 + 0.22 * lines_of_legend)
    colours = series(len(groups), theme)
    sizes = [len(next(iter(columns.values()))) for columns in groups.values()]
    handles = [
        Line2D([], [], color=c, linestyle=line, linewidth=2, label=f"{drawable(name, 24)} ({n})")
        for c, line, name, n in zip(colours, _LINES, groups, sizes, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.055, 1.0),
        ncols=columns_of_legend,
        handlelength=3,
        **_legend(theme, 9.5),
    )
    for feature, axes in zip(FEATURES, panels, strict=True):
        known = [_known(columns[feature.name]) for columns in groups.values()]
        missing = sum(sizes) - sum(map(len, known))
        _title(axes, feature, f"{missing} missing", theme)
        if not sum(map(len, known)):
            _empty(axes, theme)
            continue
        bins = _bins(feature, [k for k in known if len(k)])
        for i, (colour, one) in enumerate(zip(colours, known, strict=True)):
            if not len(one):
                continue
            counts, edges = np.histogram(one, bins)
            if feature.values:
                width = 0.84 / len(known)
                at = np.arange(len(counts)) - 0.42 + (i + 0.5) * width
                axes.bar(at, counts / len(one), width=width, color=colour)
                continue
            density = counts / len(one) / np.diff(edges)
            few = len(known) <= _FEW
            if few:
                axes.stairs(density, edges, fill=True, color=colour, alpha=0.18)
            axes.stairs(density, edges, color=colour, linewidth=1.5, linestyle=_LINES[i])
            if few:
                middle = float(np.median(one))
                axes.axvline(middle, color=colour, linewidth=0.8, linestyle=_LINES[i])
        _scale(axes, feature, bins, "Share" if feature.values else "Density", theme)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if feature.values:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def ranking(
    comparisons: Sequence[Comparison], summaries: Sequence[Summary], *, theme: Theme = LIGHT
) -> Figure:
    """Draw features by |d|, the largest on top; hollow points may be chance.

    Args:
        comparisons: at least one; a panel each.
        summaries: give the medians beside the bars of two labels.
        theme: colours.
    """
    columns = min(2, len(comparisons))
    rows = -(-len(comparisons) // columns)
    height = 0.25 * max(len(c.differences) for c in comparisons) + 0.95
    figure = new_figure(_WIDTH, rows * height + 0.35, theme)
    panels = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    if isinstance(layout := figure.get_layout_engine(), ConstrainedLayoutEngine):
        layout.set(h_pad=0.1)
    for axes in panels[len(comparisons) :]:
        axes.set_visible(False)
    finite = [abs(d.d) for c in comparisons for d in c.differences if math.isfinite(d.d)]
    reach = max([1.0, *finite]) * 1.12
    medians = {(s.label, s.feature): s.median for s in summaries}
    sides = ("the label", REST)
    if comparisons[0].second != REST:
        sides = tuple(drawable(s, 20) for s in (comparisons[0].first, comparisons[0].second))
    for axes, comparison in zip(panels, comparisons, strict=False):
        _rank(axes, comparison, medians, reach, theme)
    figure.legend(
        handles=[
            Patch(facecolor=theme.first, label=f"higher in {sides[0]}"),
            Patch(facecolor=theme.second, label=f"higher in {sides[1]}"),
            Patch(facecolor=theme.quiet, label="no direction (key, mode)"),
            Patch(facecolor="none", edgecolor=theme.quiet, label=f"hollow: p ≥ {SURE_BELOW:g}"),
        ],
        loc="outside lower left",
        ncols=4,
        **_legend(theme, 8.0),
    )
    return figure


def tempo_by_year(
    groups: Mapping[str, tuple[Float[np.ndarray, " tracks"], Float[np.ndarray, " tracks"]]],
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw each track's tempo at its date, and the median of years with five tracks or more.

    Args:
        groups: a label to dates, in years (2016.5 is the middle of 2016), and tempi, BPM; at most
            `canvas.MOST_SERIES` labels.
        theme: colours.
    """
    figure = new_figure(_WIDTH, 4.2, theme)
    axes = figure.add_subplot()
    dress(axes, theme, grid=True)
    colours = series(len(groups), theme)
    for i, (colour, (label, (dates, tempi))) in enumerate(
        zip(colours, groups.items(), strict=True)
    ):
        name = f"{drawable(label, 24)} ({len(dates)})"
        _points(axes, dates, tempi, colour, _MARKERS[i], name)
        years = np.floor(dates)
        dense = [y for y in np.unique(years) if (years == y).sum() >= _LEAST_IN_YEAR]
        middles = [float(np.median(tempi[years == y])) for y in dense]
        at = np.array(dense) + 0.5
        halo = {"color": theme.paper, "linewidth": 4, "zorder": 3}
        axes.plot(at, middles, **halo)
        axes.plot(at, middles, color=colour, linewidth=2, linestyle=_LINES[i], zorder=4)
    every = np.concatenate([dates for dates, _ in groups.values()])
    axes.set_xlim(math.floor(every.min()), math.floor(every.max()) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes.set_xlabel("Year of release", **words(theme, quiet=True))
    axes.set_ylabel("Tempo (BPM)", **words(theme, quiet=True))
    title = f"Tempo by year; lines: medians of years with {_LEAST_IN_YEAR} tracks or more"
    axes.set_title(title, loc="left", **words(theme, size=9.5))
    _beside(axes, theme)
    return figure


def track_map(
    projection: Projection, labels: Sequence[str], shown: Sequence[str], *, theme: Theme = LIGHT
) -> Figure:
    """Draw the tracks as points, coloured by label.

    Args:
        projection: of these tracks.
        labels: one for each point of the projection.
        shown: the labels with a colour of their own, at most `canvas.MOST_SERIES`; the points of
            others are grey.
        theme: colours.
    """
    figure = new_figure(_WIDTH, 6.2, theme)
    axes = figure.add_subplot()
    dress(axes, theme, grid=True)
    by = np.asarray(labels, dtype=object)
    other = ~np.isin(by.astype(str), list(shown))
    x, y = projection.points.T
    if other.any():
        _points(axes, x[other], y[other], theme.quiet, ".", f"other labels ({other.sum()})")
    for i, (label, colour) in enumerate(zip(shown, series(len(shown), theme), strict=True)):
        mine = by == label
        name = f"{drawable(label, 24)} ({mine.sum()})"
        _points(axes, x[mine], y[mine], colour, _MARKERS[i], name)
    for label, colour in zip(shown, series(len(shown), theme), strict=True):
        if (by == label).any():
            middle = np.median(projection.points[by == label], axis=0)
            axes.plot(*middle, "X", color=colour, ms=13, mec=theme.paper, mew=1.6, zorder=5)
    axes.set_xlabel(projection.axes[0], **words(theme, size=8.5, quiet=True))
    axes.set_ylabel(projection.axes[1], **words(theme, size=8.5, quiet=True))
    title = f"Map of {_tracks(len(x))} by their features; crosses: the labels' medians"
    axes.set_title(title, loc="left", **words(theme, size=9.5))
    _beside(axes, theme)
    return figure


def _wall(theme: Theme, top: float) -> tuple[Figure, list[Axes]]:
    """Return twelve panels, placed by hand: fitting takes longer than drawing."""
    height = 4 * 2.35 + top
    figure = new_figure(_WIDTH, height, theme, fitted=False)
    grid = figure.subplots(4, 3)
    figure.subplots_adjust(
        0.07, 0.5 / height, 0.98, 1 - (top + 0.38) / height, wspace=0.26, hspace=0.68
    )
    panels = [axes for row in grid for axes in row]
    for axes in panels:
        dress(axes, theme)
    return figure, panels


def _heading(figure: Figure, text: str, theme: Theme) -> None:
    height = figure.get_size_inches()[1]
    style: dict[str, Any] = words(theme, size=12) | {"weight": "bold", "va": "center"}
    figure.text(0.07, 1 - 0.27 / height, text, **style)


def _title(axes: Axes, feature: Feature, note: str, theme: Theme) -> None:
    """Write the name above the axes, and the note in a line of its own below it."""
    name = _TITLES[feature.name]
    axes.set_title(name, loc="left", weight="bold", pad=16, **words(theme, size=9))
    small = words(theme, size=8, quiet=True)
    axes.annotate(
        note, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", **small
    )


def _empty(axes: Axes, theme: Theme) -> None:
    style: dict[str, Any] = words(theme, size=9, quiet=True) | {"ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "no values", transform=axes.transAxes, **style)
    axes.set(xticks=[], yticks=[])


def _scale(axes: Axes, feature: Feature, edges: np.ndarray, what: str, theme: Theme) -> None:
    small = words(theme, size=8, quiet=True)
    axes.set_ylabel(what, **small)
    axes.set_ylim(bottom=0)
    if feature.values:
        axes.set_xticks(np.arange(len(feature.values)), feature.values)
        axes.tick_params(axis="x", length=0, labelsize=7 if feature.kind == "key" else 8)
        axes.set_xlim(-0.6, len(feature.values) - 0.4)
        axes.set_xlabel({"key": "Pitch class"}.get(feature.kind, ""), **small)
    else:
        axes.set_xlim(edges[0], edges[-1])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(feature.unit or "0 to 1", **small)


def _bins(feature: Feature, known: Sequence[np.ndarray]) -> Float[np.ndarray, " edges"]:
    """Return edges of bins that hold every value of all groups."""
    if feature.values:
        return np.arange(len(feature.values) + 1) - 0.5
    every = np.concatenate(known)
    low, high = float(every.min()), float(every.max())
    if not feature.unit and low >= 0 and high <= 1:
        return np.linspace(0, 1, _BINS + 1)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _rank(
    axes: Axes,
    comparison: Comparison,
    medians: Mapping[tuple[str, str], float | None],
    reach: float,
    theme: Theme,
) -> None:
    dress(axes, theme)
    first, second = drawable(comparison.first, 24), drawable(comparison.second, 24)
    axes.set_title(
        f"{first} against {second}",
        loc="left",
        weight="bold",
        **words(theme, size=9.5),
    )
    features = {feature.name: feature for feature in FEATURES}
    for row, difference in enumerate(comparison.differences):
        colour = theme.quiet
        if difference.directed:
            colour = theme.first if difference.d >= 0 else theme.second
        sure = difference.p_holm < SURE_BELOW
        length = min(abs(difference.d), reach)
        axes.barh(
            row,
            length,
            height=0.66,
            facecolor=colour if sure else "none",
            edgecolor=colour,
            linewidth=1.2,
        )
        feature = features[difference.feature]
        a, b = (medians.get((s, feature.name)) for s in (comparison.first, comparison.second))
        unit = f" {feature.unit}" if feature.unit else ""
        note = effect(difference)
        if a is not None and b is not None:
            note += f"   median {value(feature, a)} against {value(feature, b)}{unit}"
        axes.text(length + reach * 0.008, row, note, va="center", **words(theme, size=8))
    axes.set_yticks(
        np.arange(len(comparison.differences)), [d.feature for d in comparison.differences]
    )
    axes.tick_params(axis="y", length=0, labelcolor=theme.ink, labelsize=8.5)
    axes.set_ylim(max(len(comparison.differences), 1) - 0.4, -0.6)
    # Room for the words beside the longest bar.
    axes.set_xlim(0, reach * (1.2 if comparison.second == REST else 1.45))
    axes.set_xticks([tick for tick in _ticks(reach) if tick <= reach])
    for least in (0.2, 0.5, 0.8):
        axes.axvline(least, color=theme.rule, linewidth=0.8, linestyle=":", zorder=0)
    label = "|Cohen's d|; dotted: small 0.2, medium 0.5, large 0.8"
    axes.set_xlabel(label, **words(theme, size=8, quiet=True), loc="left")
    if not comparison.differences:
        _empty(axes, theme)


def _ticks(reach: float) -> list[float]:
    return [float(t) for t in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, reach)]


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, marker: str, name: str) -> None:
    axes.scatter(
        x,
        y,
        s=14,
        c=colour,
        marker=marker,
        alpha=0.55,
        linewidths=0,
        label=name,
        rasterized=len(x) > _RASTER_FROM,
    )


def _beside(axes: Axes, theme: Theme) -> None:
    """Put the legend right of the axes, its points larger and opaque."""
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(1.005, 1), markerscale=1.8, **_legend(theme, 8.5)
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _legend(theme: Theme, size: float) -> dict[str, Any]:
    return {
        "frameon": False,
        "labelcolor": theme.ink,
        "prop": {"family": words(theme)["fontfamily"], "size": size},
    }


def _known(column: np.ndarray) -> np.ndarray:
    return column[np.isfinite(column)]


def _tracks(n: int) -> str:
    return "1 track" if n == 1 else f"{n} tracks"

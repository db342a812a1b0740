"""The probability of each label over the length of a file."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from kit.plots.style import (
    LIGHT,
    MOST_SERIES,
    Theme,
    drawable,
    legend_style,
    new_figure,
    series,
    style_axes,
    text_style,
    write_title,
)

# Labels after the first six repeat the colours with a pattern.
_PATTERNS = ("", "////", "....", "xxxx")


def timeline(
    windows: Sequence[tuple[float, float, Mapping[str, float]]],
    labels: Sequence[str],
    title: str,
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw stacked bands, one for each label, with each window's probabilities at its middle.

    Args:
        windows: (start, end, probability of each label); seconds.
        labels: names, from the bottom band to the top one.
        title: heading, such as the file's name.
        theme: colours.
    """
    figure = new_figure(9, 2.6, theme)
    axes = figure.add_subplot()
    edges = [windows[0][0], *((a + b) / 2 for a, b, _ in windows), windows[-1][1]]
    shares = [[p[label] for _, _, p in windows] for label in labels]
    held = [[row[0], *row, row[-1]] for row in shares]
    names = [drawable(label, 24) for label in labels]
    bands = axes.stackplot(
        np.asarray(edges), np.asarray(held), labels=names, colors=series(len(labels), theme)
    )
    for i, band in enumerate(bands):
        band.set(hatch=_PATTERNS[i // MOST_SERIES % len(_PATTERNS)], edgecolor=theme.paper, lw=0)
    style_axes(axes, theme)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{int(s // 60)}:{int(s % 60):02d}"))
    axes.set_xlabel("Time (min:s)", **text_style(theme, size=9, quiet=True))
    axes.set_ylabel("Probability", **text_style(theme, size=9, quiet=True))
    write_title(axes, drawable(title, 90), theme, size=10)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), **legend_style(theme))
    return figure

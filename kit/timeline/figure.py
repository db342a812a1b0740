"""A timeline as a figure."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kit.plots.style import (
    LIGHT,
    Theme,
    drawable,
    legend_style,
    new_figure,
    series,
    style_axes,
    text_style,
    write_title,
)
from kit.timeline.formats import clock
from kit.timeline.ticks import label_colours, ticks
from kit.timeline.timeline import Timeline, step_edges


def figure(timeline: Timeline, *, theme: Theme = LIGHT) -> Figure:
    """Draw a file's spectrogram, its sections, and the probability of each label in steps."""
    drawn = new_figure(10, 4.2, theme)
    heights = [2.0 if timeline.spectrogram.size else 0.01, 0.6, 2.0]
    mel, names, shares = drawn.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.12}
    )
    fills = label_colours(len(timeline.labels))
    own = series(len(timeline.labels), theme) if fills[0] is None else fills
    colours = dict(zip(timeline.labels, map(str, own), strict=True))
    if timeline.spectrogram.size:
        extent = (0.0, timeline.duration_s, 0.0, 1.0)
        mel.imshow(
            timeline.spectrogram.T, cmap="magma", aspect="auto", origin="lower", extent=extent
        )
    for one in timeline.sections:
        # A gap between two tracks of one label.
        width = one.end_s - one.start_s - timeline.duration_s / 800
        names.barh(0, width, 1, one.start_s, color=colours[one.label], align="edge", lw=0)
    _steps(shares, timeline, colours)
    for axes in (mel, names):
        axes.set_axis_off()
    names.set_ylim(0, 1)
    style_axes(shares, theme)
    shares.set_xlim(0, timeline.duration_s)
    shares.set_ylim(0, 1)
    at = ticks(timeline.duration_s)
    shares.set_xticks(at, [clock(s) for s in at])
    shares.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    shares.set_ylabel("Probability", **text_style(theme, size=9, quiet=True))
    write_title(mel, drawable(Path(timeline.path).name, 90), theme, size=10)
    patches = [Patch(color=c, label=drawable(n, 24)) for n, c in colours.items()]
    drawn.legend(handles=patches, loc="outside right upper", **legend_style(theme))
    return drawn


def _steps(axes: Axes, timeline: Timeline, colours: dict[str, str]) -> None:
    edges = step_edges(timeline.times_s, timeline.duration_s)
    bounds = np.cumsum(np.pad(timeline.probabilities, ((0, 0), (1, 0))), axis=1)
    for k, label in enumerate(timeline.labels):
        axes.stairs(
            bounds[:, k + 1], edges, baseline=bounds[:, k], fill=True, color=colours[label], lw=0
        )
    for begin, end in timeline.uncertain_s():
        axes.axvspan(begin, end, 0, 0.05, color="#808080", lw=0)

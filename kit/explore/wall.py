"""The wall: the spectrograms of many tracks of one label side by side, time downwards."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kit.config import FrontendConfig
from kit.errors import UsageError
from kit.explore.spectrograms import COLOURS, mark_frequencies
from kit.plots.style import (
    drawable,
    new_figure,
    style_axes,
    text_style,
    wrapped,
    write_title,
)

# Inches of a panel of the wall, of the gaps between panels, and of the margins.
_PANEL_WIDTH, _PANEL_HEIGHT, _GAP_X, _GAP_Y = 0.97, 2.7, 0.09, 0.52
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.6, 0.85, 0.9, 0.55
_COLUMNS = 10
_LEAST_WIDTH = 6.5


def wall(
    features: Float[np.ndarray, "n frames n_mels"],
    titles: Sequence[str],
    label: str,
    *,
    count: int = 30,
    config: FrontendConfig | None = None,
) -> Figure:
    """Draw the first spectrograms of a label, ten in a row, all on one colour scale.

    Args:
        features: mel frames in decibels or PCEN, time first.
        titles: one for each track; any text, cut to what fits.
        label: heading.
        count: largest number of tracks.
        config: front end of the features, for axes in seconds and Hz; in frames and bands if None.
    Raises:
        UsageError: no tracks, or another number of titles.

    Example:
        >>> figure = kit.explore.wall(np.zeros((3, 32, 16)), ["a", "b", "c"], "techno")
    """
    if len(features) == 0:
        raise UsageError(f"there is no track of {label!r} to draw")
    if len(titles) != len(features):
        raise UsageError(f"{len(titles)} titles for {len(features)} tracks; give one for each")
    shown = features[:count]
    n, frames, bands = shown.shape
    columns = min(n, _COLUMNS)
    rows = -(-n // columns)
    right = _LEFT + columns * (_PANEL_WIDTH + _GAP_X) - _GAP_X
    # The wall of one track must still hold its heading.
    width = max(right + _RIGHT, _LEAST_WIDTH)
    height = _TOP + rows * (_PANEL_HEIGHT + _GAP_Y) - _GAP_Y + _BOTTOM
    # Placed by hand: a fitted layout of thirty panels takes seconds.
    figure = new_figure(width, height, fitted=False)
    hop_s = 1.0 if config is None else config.hop_length / config.sample_rate
    norm = Normalize(*limits(shown))
    for i, track in enumerate(shown):
        row, column = divmod(i, columns)
        x = _LEFT + column * (_PANEL_WIDTH + _GAP_X)
        y = height - _TOP - row * (_PANEL_HEIGHT + _GAP_Y) - _PANEL_HEIGHT
        axes = figure.add_axes(
            (x / width, y / height, _PANEL_WIDTH / width, _PANEL_HEIGHT / height)
        )
        style_axes(axes)
        axes.imshow(
            track,
            origin="upper",
            aspect="auto",
            cmap=COLOURS,
            norm=norm,
            extent=(-0.5, bands - 0.5, frames * hop_s, 0),
        )
        write_title(axes, wrapped(titles[i], 15, 3), size=7.5, pad=3)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        if config is not None:
            mark_frequencies(axes.xaxis, config, apart=0.25, margin=0.1)
        below_is_empty = i + columns >= n
        axes.tick_params(labelsize=7.5, labelleft=column == 0, labelbottom=below_is_empty, length=2)
        if column == 0:
            name = "Frames" if config is None else "Time (s)"
            axes.set_ylabel(name, **text_style(size=8, quiet=True))
        if below_is_empty:
            name = "Mel band" if config is None else "Frequency (Hz)"
            axes.set_xlabel(name, **text_style(size=8, quiet=True))

    bar_height = min(_PANEL_HEIGHT, height - _TOP - _BOTTOM)
    bar_axes = figure.add_axes(
        (
            (right + 0.14) / width,
            (height - _TOP - bar_height) / height,
            0.11 / width,
            bar_height / height,
        )
    )
    bar = figure.colorbar(ScalarMappable(norm, COLOURS), cax=bar_axes)
    style_axes(bar_axes)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar_axes.tick_params(labelsize=8)
    bar.set_label(unit(config), **text_style(size=8, quiet=True))
    tracks = "1 track" if n == 1 else f"the first {n} tracks"
    figure.text(
        _LEFT / width,
        1 - 0.22 / height,
        f"{drawable(label, 40)}: {tracks}, time downwards",
        va="center",
        weight="bold",
        **text_style(size=11),
    )
    return figure


def limits(features: Float[np.ndarray, "n frames n_mels"]) -> tuple[float, float]:
    """Return the ends of the colour scale of a wall."""
    low = float(features.min())
    return low, max(float(features.max()), low + 1)


def unit(config: FrontendConfig | None) -> str:
    """Return the unit of the features of a front end."""
    units = {"db": "dB", "pcen": "PCEN"}
    return units.get(config.compression if config else "db", "log10(1 + …)")

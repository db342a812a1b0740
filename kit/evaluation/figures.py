"""Figures of training and evaluation: confusion matrix, curves, range test, comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from kit.plots.style import LIGHT, Theme, drawable, legend_style, new_figure, style_axes, text_style
from kit.training.lr_find import RangeTest
from kit.training.scores import checkpoint_score

_PERCENT_UP_TO = 12  # labels; with more, a percentage in each cell is too small to read
_DOTS_UP_TO = 40  # epochs; with more, the dots hide the line
_DIFFERENCE = ("difference", "difference_low", "difference_high")


def framed(axes: Axes, theme: Theme, title: str, x: str = "", y: str = "") -> None:
    """Style the axes, with a grid, a title and axis labels."""
    style_axes(axes, theme, grid=True)
    axes.set_title(title, loc="left", **text_style(theme, size=10), weight="bold")
    axes.set_xlabel(x, **text_style(theme, size=8, quiet=True))
    axes.set_ylabel(y, **text_style(theme, size=8, quiet=True))


def confusion(
    matrix: Int[np.ndarray, "classes classes"], labels: Sequence[str], *, theme: Theme = LIGHT
) -> Figure:
    """Draw counts, a row per true and a column per predicted label, and their shares of the row."""
    n = len(labels)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    names = [drawable(name, 22) for name in labels]
    longest = max((len(name) for name in names), default=0)
    cell = 1.15 if n <= 3 else 0.95 if n <= 6 else 0.7 if n <= _PERCENT_UP_TO else 0.4
    figure = new_figure(
        max(3.2, n * cell + 0.75 + 0.075 * longest), max(2.8, n * cell + 0.9), theme
    )
    axes = figure.add_subplot()
    scale = LinearSegmentedColormap.from_list("paper", [theme.paper, theme.shade])
    axes.imshow(share, cmap=scale, vmin=0, vmax=1)
    style_axes(axes, theme)
    for spine in axes.spines.values():
        spine.set_visible(False)

    slanted = longest * 0.085 > cell * 0.95
    axes.set_xticks(np.arange(n), names, rotation=35 if slanted else 0)
    axes.set_yticks(np.arange(n), names)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=theme.ink, labelsize=9 if n <= _PERCENT_UP_TO else 7)
    axes.set_xlabel("Predicted", **text_style(theme, size=9, quiet=True), labelpad=8)
    axes.set_ylabel("True", **text_style(theme, size=9, quiet=True), labelpad=8)
    # Lines between the cells keep the edges of pale cells visible.
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.rule, linewidth=0.8)
    axes.tick_params(which="minor", length=0)

    for row, column in np.ndindex(n, n):
        count = str(matrix[row, column])
        percent = f"{share[row, column]:.0%}" if total[row, 0] else "–"
        ink = _readable_on(scale(share[row, column]))
        style: dict[str, Any] = text_style(theme) | {"ha": "center", "color": ink}
        if n <= _PERCENT_UP_TO:
            large: dict[str, Any] = style | {"size": 15 if cell > 0.8 else 11, "weight": "bold"}
            small: dict[str, Any] = style | {"size": 8}
            axes.text(column, row, count, va="bottom", **large)
            axes.text(column, row + 0.08, percent, va="top", **small)
        elif count != "0":
            tiny: dict[str, Any] = style | {"size": 7}
            axes.text(column, row, count, va="center", **tiny)
    return figure


def curves(
    rows: Sequence[dict[str, Any]], *, theme: Theme = LIGHT, stacked: bool = False
) -> Figure:
    """Draw loss and accuracy of training and validation by epoch, and mark the best epoch."""
    known = [
        m for m in ("loss", "accuracy") if not rows or rows[-1].get(f"train_{m}", 0.0) is not None
    ]
    figure, panels = _panels(theme, len(known), 3.1, stacked)
    left, right = panels[0], panels[-1]
    best = best_epoch(rows)
    for axes, measure in zip(panels, known, strict=True):
        framed(axes, theme, measure.capitalize(), "Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for part, name, colour, line in (
            ("train", "training", theme.first, "o--"),
            ("validation", "validation", theme.second, "s-"),
        ):
            key = f"{part}_{measure}"
            points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
            if points:
                style = line if len(points) <= _DOTS_UP_TO else line[1:]
                axes.plot(*zip(*points, strict=True), style, ms=3, lw=1.6, color=colour, label=name)
        if best is not None:
            axes.axvline(best, color=theme.quiet, linewidth=0.9, linestyle=":", zorder=1)
            note = text_style(theme, size=7.5, quiet=True)
            axes.set_title(f"best epoch: {best}", loc="right", **note)
        if not rows:
            note = text_style(theme, quiet=True)
            axes.text(0.5, 0.5, "no epoch recorded", transform=axes.transAxes, ha="center", **note)
    left.set_ylim(bottom=0)
    if len(known) == 2:
        right.set_ylim(0, 1.02)
        right.yaxis.set_major_formatter(PercentFormatter(1.0))
    if rows:
        right.legend(loc="best", **legend_style(theme))
    return figure


def range_test(found: RangeTest) -> Figure:
    """Draw the loss over the learning rate of a range test, and mark the suggestion."""
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    framed(axes, LIGHT, "Loss", "Learning rate")
    axes.plot(found.rates, found.losses, lw=0.8, color=LIGHT.quiet, label="each batch")
    axes.plot(found.rates, found.smoothed, lw=1.8, color=LIGHT.second, label="smoothed")
    axes.set_xscale("log")
    shown = found.smoothed[np.isfinite(found.smoothed)]
    top = max(shown[0], np.percentile(found.losses[np.isfinite(found.losses)], 90))
    axes.set_ylim(0, 1.3 * top)
    if (rate := found.suggestion) is not None:
        axes.axvline(rate, color=LIGHT.first, linewidth=1.2, linestyle="--")
        axes.set_title(
            f"a tenth of the best rate: {rate:.2g}",
            loc="right",
            **text_style(size=8, quiet=True),
        )
    axes.legend(loc="best", **legend_style())
    return figure


def learning_curves(points: Sequence[dict[str, Any]], bold: Sequence[str]) -> Figure:
    """Draw the accuracy of baselines by the number of training clips per label.

    Args:
        points: `baseline`, `clips`, `accuracy`, `low` and `high` of each.
        bold: baselines to emphasise, the first one with its interval. The other colours go to the
            highest accuracies at the most clips; the rest is grey.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    framed(axes, LIGHT, "Accuracy", "Training clips per label")
    by_name: dict[str, list[dict[str, Any]]] = {}
    for point in sorted(points, key=lambda point: point["clips"]):
        by_name.setdefault(point["baseline"], []).append(point)
    first = [name for name in bold if name in by_name]
    rest = sorted(by_name.keys() - set(first), key=lambda name: -by_name[name][-1]["accuracy"])
    colours = [LIGHT.second, LIGHT.first, *LIGHT.series[2:]]
    for number, name in enumerate([*first, *rest]):
        of_name = by_name[name]
        x, y = ([point[key] for point in of_name] for key in ("clips", "accuracy"))
        colour, label = LIGHT.rule, None
        if number < len(colours):
            colour, label = colours[number], drawable(name, 40)
        width = 2.2 if number < len(first) else 1.2
        axes.plot(x, y, "o-", ms=3, lw=width, color=colour, label=label, zorder=9 - min(number, 7))
        if number == 0:
            low, high = ([point[key] for point in of_name] for key in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    sizes = sorted({point["clips"] for point in points})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="lower right", **legend_style(size=7.5))
    return figure


def calibration(found: dict[str, Any], *, theme: Theme = LIGHT, stacked: bool = False) -> Figure:
    """Draw the reliability diagram, and the accuracy of the most certain answers."""
    figure, (left, right) = _panels(theme, 2, 3.6, stacked)
    framed(left, theme, "Accuracy by probability", "Probability of the answer")
    left.plot([0, 1], [0, 1], ":", color=theme.quiet, lw=0.9)
    each = (("before", theme.first, "o--"), ("after", theme.second, "s-"))
    for name, colour, line in each:
        x, y = ([one[key] for one in found[name]["bins"]] for key in ("probability", "right"))
        left.plot(x, y, line, ms=4, lw=1.4, color=colour, label=f"{name} scaling")
    left.set_xlim(0, 1.02)
    left.legend(loc="upper left", **legend_style(theme))
    framed(right, theme, "Accuracy of the most certain answers", "Share of the tracks")
    x, y = ([one[key] for one in found["surest"]] for key in ("share", "right"))
    right.plot(x, y, "s-", ms=4, lw=1.4, color=theme.second)
    right.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    return figure


def comparison(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw the accuracy of each run, and its difference from the first run, with intervals."""
    figure = new_figure(8.4, 1.1 + 0.42 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    at = np.arange(len(rows))
    panels = (
        (left, "Accuracy, 95% interval", "", ("accuracy", "low", "high"), at),
        (right, "Difference from the first", "points", _DIFFERENCE, at[1:]),
    )
    for axes, title, unit, (middle, low, high), places in panels:
        framed(axes, LIGHT, title, unit)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0, "%" if axes is left else ""))
        for place in places.tolist():
            row = rows[place]
            if row[low] is not None:
                axes.plot([row[low], row[high]], [place, place], lw=2, color=LIGHT.first)
            axes.plot(row[middle], place, "o", ms=6, color=LIGHT.second, zorder=3)
    right.axvline(0, color=LIGHT.quiet, linewidth=0.9)
    left.set_yticks(at, [drawable(row["run"], 44) for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    return figure


def best_epoch(rows: Sequence[dict[str, Any]]) -> int | None:
    """Return the first epoch with the lowest `checkpoint_score`.

    None without validation, and for means over several networks.
    """
    validated = [
        row for row in rows if row.get("validation_loss") is not None and "networks" not in row
    ]
    if not validated:
        return None
    return min(validated, key=checkpoint_score)["epoch"]


def _panels(theme: Theme, count: int, height: float, stacked: bool) -> tuple[Figure, list[Axes]]:
    """Return panels of `height` inches, side by side or, for a narrow screen, stacked."""
    width, rows = (4.0, count) if stacked else (8.4, 1)
    whole = rows * height
    figure = new_figure(width, whole, theme, fitted=False)
    axes = figure.subplots(rows, count // rows, squeeze=False)
    figure.subplots_adjust(
        left=0.52 / width,
        right=1 - 0.14 / width,
        bottom=0.5 / whole,
        top=1 - 0.36 / whole,
        hspace=0.36,
        wspace=0.16,
    )
    return figure, list(axes.flat)


def _readable_on(background: Any) -> str:
    """Return black or white, whichever has the higher contrast (WCAG's luminance)."""
    rgb = to_rgb(background)
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    white, black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
    return "white" if white > black else "black"

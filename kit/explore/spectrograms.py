"""Figure of one track: its waveform, its mel spectrogram, and that in decibels."""

import dataclasses

import numpy as np
from jaxtyping import Float32
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from kit import dsp
from kit.config import FrontendConfig
from kit.errors import UsageError
from kit.plots.style import (
    LIGHT,
    Theme,
    drawable,
    new_figure,
    style_axes,
    text_style,
    write_title,
)

COLOURS = "magma"
# Powers span many magnitudes: with the peak as the top, the rest would be black.
_SATURATED_PERCENT = 0.5
_ENVELOPE_COLUMNS = 1600
_MARKED_HZ = (100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def track(
    y: Float32[np.ndarray, " samples"],
    config: FrontendConfig,
    title: str,
    *,
    series: int | None = 0,
    theme: Theme = LIGHT,
    stacked: bool = False,
) -> Figure:
    """Draw waveform, mel spectrogram and decibels over the same seconds.

    Args:
        y: mono at the rate of `config`, full scale 1.0.
        config: front end.
        title: heading, left out if `stacked`; any text.
        series: number of the waveform's colour among the theme's series; grey if None.
        theme: colours.
        stacked: for a narrow screen.
    Raises:
        UsageError: no samples, or too few for one frame.

    Example:
        >>> y = np.zeros(8000, np.float32)
        >>> figure = kit.explore.track(y, experiment.features.frontend, "silence")
    """
    if len(y) == 0 or (not config.center and len(y) < config.n_fft):
        raise UsageError(
            f"the waveform has {len(y)} samples, fewer than FrontendConfig.n_fft "
            f"(={config.n_fft}); use a longer clip"
        )
    # Placed by hand: a fitted layout takes longer than the drawing.
    width, left, right, top = (4, 0.62, 0.78, 0.96) if stacked else (9, 0.72, 0.99, 0.91)
    figure = new_figure(width, 7.2, theme, fitted=False)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 3))
    figure.subplots_adjust(left / width, 0.07, 1 - right / width, top, hspace=0.2)
    if not stacked:
        heading = {**text_style(theme, size=11), "weight": "bold", "va": "center"}
        figure.text(left / width, 0.965, drawable(title, 90), **heading)
    _draw_waveform(
        panels[0], y, config.sample_rate, theme.quiet if series is None else theme.series[series]
    )
    # Without a reference and a floor, decibels convert back to powers.
    power = np.asarray(
        dsp.db_to_power(_levels(y, dataclasses.replace(config, ref=1.0, top_db=None)))
    )
    loudest = max(float(np.percentile(power, 100 - _SATURATED_PERCENT)), 1e-12)
    name = {1.0: "magnitude", 2.0: "power"}.get(config.power, f"magnitude^{config.power:g}")
    levels = _levels(y, config)
    low, high = float(levels.min()), float(levels.max())
    zero = "its loudest band" if config.ref == "max" else f"a power of {config.ref:g}"
    spectrograms = (
        (panels[1], power, (0.0, loudest), name.capitalize()),
        (panels[2], levels, (low, max(high, low + 1)), "dB"),
    )
    hop_s = config.hop_length / config.sample_rate
    # Each frame is drawn around the time of its centre.
    start = (0.0 if config.center else config.n_fft / 2 / config.sample_rate) - hop_s / 2
    bands, frames = levels.shape
    for axes, values, (vmin, vmax), unit in spectrograms:
        axes.imshow(
            values,
            origin="lower",
            aspect="auto",
            cmap=COLOURS,
            vmin=vmin,
            vmax=vmax,
            extent=(start, start + frames * hop_s, -0.5, bands - 0.5),
        )
        mark_frequencies(axes.yaxis, config)
        # In coordinates of the axes, so that all panels keep the same width.
        beside = axes.inset_axes((1.015, 0, 0.014, 1))
        extend = "neither" if unit == "dB" else "max"
        bar = figure.colorbar(axes.images[0], cax=beside, extend=extend)
        style_axes(beside, theme)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        beside.yaxis.get_offset_text().set(color=theme.quiet, size=8)
        bar.set_label(unit, **text_style(theme, quiet=True))
    titles = (
        "Waveform: sample range (pale) and level (RMS)",
        f"Mel spectrogram: {name}, linear; the strongest {_SATURATED_PERCENT}% saturate",
        f"Mel spectrogram: decibels; 0 dB is {zero}",
    )
    units = ("Amplitude", "Frequency (Hz)", "Frequency (Hz)")
    for axes, text, unit in zip(panels, titles, units, strict=True):
        style_axes(axes, theme)
        write_title(axes, text, theme, size=7 if stacked else 9)
        axes.set_ylabel(unit, **text_style(theme, quiet=True))
    panels[2].set_xlabel("Time (s)", **text_style(theme, quiet=True))
    return figure


def mark_frequencies(
    axis: Axis, config: FrontendConfig, *, apart: float = 0.07, margin: float = 0.0
) -> None:
    """Set ticks at round frequencies on an axis in mel bands, the lowest band at 0.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
        config: front end of the bands.
        apart: least distance of two ticks, a share of the axis; lower frequencies go first.
        margin: least distance of a tick from the ends of the axis, a share of it.
    """
    top = config.sample_rate / 2 if config.fmax is None else config.fmax
    low, high = dsp.hz_to_mel(np.array([config.fmin, top]), htk=config.htk)
    names: dict[float, str] = {}
    last = -np.inf
    for hz in _MARKED_HZ:
        share = float((dsp.hz_to_mel(np.array([hz]), htk=config.htk)[0] - low) / (high - low))
        if margin <= share <= 1 - margin and 0 < share < 1 and share - last >= apart:
            last = share
            # The edges of the filters are n_mels + 2 equal steps of the mel scale; band 0 peaks at
            # the second edge.
            names[share * (config.n_mels + 1) - 1] = f"{hz / 1000:g}k" if hz >= 1000 else str(hz)
    axis.set_major_locator(FixedLocator(list(names)))
    axis.set_major_formatter(FixedFormatter(list(names.values())))


def _draw_waveform(axes: Axes, y: Float32[np.ndarray, " samples"], sr: int, colour: str) -> None:
    """Draw the lowest to the highest sample of each column of pixels, and the level."""
    columns = min(_ENVELOPE_COLUMNS, len(y))
    edges = np.linspace(0, len(y), columns + 1).astype(int)
    low, high = (f.reduceat(y, edges[:-1]) for f in (np.minimum, np.maximum))
    power = np.add.reduceat(y.astype(np.float64) ** 2, edges[:-1]) / np.diff(edges)
    seconds = (edges[:-1] + edges[1:]) / 2 / sr
    axes.fill_between(seconds, low, high, color=colour, alpha=0.45, linewidth=0)
    axes.axhline(0, color=colour, linewidth=0.6)
    level = np.sqrt(power)
    axes.fill_between(seconds, -level, level, color=colour, linewidth=0)
    limit = max(1.0, float(np.abs(y).max()))
    axes.set(xlim=(0, len(y) / sr), ylim=(-limit, limit))


def _levels(
    y: Float32[np.ndarray, " samples"], config: FrontendConfig
) -> Float32[np.ndarray, "n_mels frames"]:
    config = dataclasses.replace(config, compression="db")
    return np.asarray(dsp.log_mel(y[None], np.array([len(y)], np.int32), config))[0].T

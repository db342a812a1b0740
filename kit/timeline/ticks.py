"""Round times for an axis, and a colour for each label."""

from colorsys import hls_to_rgb

from matplotlib.colors import to_hex

from kit.plots.style import MOST_SERIES

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)


def ticks(duration_s: float) -> list[float]:
    """Return at most ten round times from 0 to near the end of a file, seconds."""
    step = next((s for s in _STEPS_S if duration_s / s < 10), 86400)
    # One that is nearly at the end would run over the edge.
    last = int((duration_s - 0.04 * duration_s) // step)
    return [float(step * at) for at in range(last + 1)]


def label_colours(count: int) -> list[str | None]:
    """Return a colour for each label: None for those of the theme, which has six.

    More labels have hues at equal distances, light and dark by turns.
    """
    if count <= MOST_SERIES:
        return [None] * count
    colours = []
    for at in range(count):
        lightness = (0.45, 0.62)[at % 2]
        colours.append(to_hex(hls_to_rgb(at / count, lightness, 0.6)))
    return colours

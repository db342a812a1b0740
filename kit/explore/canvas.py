"""Parts that every figure shares: colours, text that is safe to draw, and PNG bytes.

Figures are made of matplotlib's own objects, never of pyplot, which keeps every figure of a
process in one global list.
"""

import functools
import io
import re
import unicodedata
import warnings
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kit.files import atomic_write

DPI = 160


@dataclass(frozen=True)
class Theme:
    """Colours of a figure. Those of the two series are apart for every kind of colour vision."""

    paper: str
    ink: str
    quiet: str
    """Of what is read second: ticks, notes. At least 4.5:1 on the paper, as the ink is."""
    rule: str
    """Of grid lines and frames."""
    first: str
    second: str
    shade: str
    """The deep end of a scale that begins at the paper's colour."""
    more: tuple[str, str, str, str]
    """Of series after the first two."""


# The series are Okabe and Ito's blue and vermilion, lighter on dark paper, and then their green,
# purple, orange and black; on dark paper yellow and white.
LIGHT = Theme(
    *("#ffffff", "#1d1d1f", "#5c5c63", "#dcdce0", "#0072b2", "#d55e00", "#0b4f8a"),
    more=("#009e73", "#cc79a7", "#e69f00", "#1d1d1f"),
)
DARK = Theme(
    *("#17181c", "#ececf0", "#a3a3ad", "#3a3b42", "#56b4e9", "#f0914a", "#6db9f2"),
    more=("#00b383", "#cc79a7", "#f0e442", "#ececf0"),
)

_DARK_OF = {
    light.encode(): dark.encode()
    for light, dark in zip(
        (*astuple(LIGHT)[:-1], *LIGHT.more), (*astuple(DARK)[:-1], *DARK.more), strict=True
    )
}

MOST_SERIES = 6
"""Number of series that have a colour of their own."""

# Asked in this order for letters that matplotlib's own font lacks.
_FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "IPAGothic",
)


def series(count: int, theme: Theme = LIGHT) -> list[str]:
    """Return a colour for each of `count` series; after `MOST_SERIES` they begin again."""
    colours = (theme.first, theme.second, *theme.more)
    return [colours[i % MOST_SERIES] for i in range(count)]


def new_figure(
    width: float | int, height: float | int, theme: Theme = LIGHT, *, fitted: bool = True
) -> Figure:
    """Return an empty figure.

    Args:
        width: inches, of 160 pixels.
        height: inches.
        theme: gives the paper.
        fitted: make room for whatever is written around the axes, which takes a second drawing;
            without it the maker of the figure places the axes.
    """
    layout = "constrained" if fitted else None
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, theme: Theme = LIGHT, *, grid: bool = False) -> None:
    """Give the axes the theme's colours, and a frame on the left and below only."""
    axes.set_facecolor(theme.paper)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.rule)
    axes.tick_params(colors=theme.rule, labelcolor=theme.quiet, labelsize=8)
    axes.tick_params(labelfontfamily=list(families()))
    if grid:
        axes.grid(True, color=theme.rule, linewidth=0.6)
        axes.set_axisbelow(True)


def words(theme: Theme = LIGHT, *, size: float | int = 9, quiet: bool = False) -> dict[str, Any]:
    """Return keyword arguments of matplotlib's text functions: colour, size, family."""
    return {
        "color": theme.quiet if quiet else theme.ink,
        "size": size,
        "fontfamily": list(families()),
    }


@functools.cache
def families() -> tuple[str, ...]:
    """Return Matplotlib's own font, then those of the machine that have more scripts."""
    here = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FALLBACKS if name in here))


def drawable(text: str, columns: int = 60) -> str:
    """Return `text` as one line that matplotlib draws literally, cut to `columns` characters.

    Args:
        text: anything, such as a title out of a file's tags.
        columns: a wide (East Asian) letter takes two.
    Returns:
        Without control characters and line breaks; "…" where it was cut; "$" escaped, which would
        else begin a formula (and raise if it is not a valid one).
    """
    return _safe(_shortened(_one_line(text), columns))


def wrapped(text: str, columns: int, rows: int = 2) -> str:
    """Wrap `text` to rows of `columns` characters, after a space, "-" or "_"; see `drawable`."""
    rest, lines = _one_line(text), []
    while len(lines) < rows - 1 and _cut(rest, columns) != rest:
        line = _cut(rest, columns)
        # A break in the first half would waste too much.
        at = max(map(line.rfind, " -_"))
        line = line[: at + 1] if at >= len(line) // 2 else line
        lines.append(_safe(line.rstrip()))
        rest = rest[len(line) :].lstrip()
    return "\n".join([*lines, _safe(_shortened(rest, columns))])


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shortened(line: str, columns: int) -> str:
    return line if _cut(line, columns) == line else _cut(line, columns - 1).rstrip() + "…"


def _cut(line: str, columns: int) -> str:
    width = 0
    for i, letter in enumerate(line):
        width += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width > columns:
            return line[:i]
    return line


def _safe(line: str) -> str:
    return line.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file. The same figure gives the same bytes."""
    # "Software" would be matplotlib's version.
    return _written(figure, "png", {"Software": None})


def svg(figure: Figure) -> bytes:
    """Return the figure as an SVG file that needs no font. The same figure gives the same bytes."""
    # Names inside the file are else drawn at random.
    with rc_context({"svg.hashsalt": "kit", "svg.fonttype": "path"}):
        return _written(figure, "svg", {"Creator": None, "Date": None})


def in_dark(data: bytes) -> bytes:
    """Return an SVG file of a figure in the colours `LIGHT` as one in the colours `DARK`.

    Colours that are in neither theme stay, such as those of a colour map.
    """

    def dark(found: re.Match[bytes]) -> bytes:
        return _DARK_OF.get(found[0], found[0])

    return re.sub(rb"#[0-9a-f]{6}\b", dark, data)


def _written(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A title in a script that no installed font has is drawn as boxes; the page, which has
        # the browser's fonts, shows it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        # A fitted figure is cut to what is on it.
        fitted = figure.get_layout_engine() is not None
        figure.savefig(
            stream,
            format=kind,
            metadata=metadata,
            bbox_inches="tight" if fitted else None,
            pad_inches=0.12,
        )
    return stream.getvalue()


def save(figure: Figure, path: Path | str) -> Path:
    """Write the figure as a PNG file, or as an SVG file if the name says so; atomically.

    Raises:
        KitError: it cannot be written.
    """
    path = Path(path)
    data = svg(figure) if path.suffix == ".svg" else png(figure)
    with atomic_write(path, "wb") as stream:
        stream.write(data)
    return path


def save_both(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write the figure as PNG and as SVG.

    Args:
        figure: the figure.
        stem: the path without its suffix; a dot in it begins none.
    Raises:
        KitError: it cannot be written.
    """
    png_file, svg_file = (stem.with_name(stem.name + suffix) for suffix in (".png", ".svg"))
    return save(figure, png_file), save(figure, svg_file)

"""Colours, text and files of every figure.

Figures use matplotlib's objects without pyplot, which keeps all figures of a process in one global
list.
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


MOST_SERIES = 6
"""Number of series that have a colour of their own."""


@dataclass(frozen=True)
class Theme:
    """Colours of a figure, as "#rrggbb".

    Attributes:
        paper: background.
        ink: text.
        quiet: ticks and notes; contrast of at least 4.5:1 with the paper, as the ink has.
        rule: grid lines and frames.
        shade: deep end of a colour scale that begins at the paper's colour.
        series: colour of each series; people with any kind of colour vision can tell them apart.
    """

    paper: str
    ink: str
    quiet: str
    rule: str
    shade: str
    series: tuple[str, str, str, str, str, str]

    @property
    def first(self) -> str:
        """Colour of the first series."""
        return self.series[0]

    @property
    def second(self) -> str:
        """Colour of the second series."""
        return self.series[1]


# Okabe and Ito's blue, vermilion, green, purple, orange and black; lighter on dark paper, with
# yellow and white in place of orange and black.
LIGHT = Theme(
    *("#ffffff", "#1d1d1f", "#5c5c63", "#dcdce0", "#0b4f8a"),
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#1d1d1f"),
)
DARK = Theme(
    *("#17181c", "#ececf0", "#a3a3ad", "#3a3b42", "#6db9f2"),
    series=("#56b4e9", "#f0914a", "#00b383", "#cc79a7", "#f0e442", "#ececf0"),
)

_DARK_OF = {
    light.encode(): dark.encode()
    for light, dark in zip(
        (*astuple(LIGHT)[:-1], *LIGHT.series), (*astuple(DARK)[:-1], *DARK.series), strict=True
    )
}

# Fonts for letters that matplotlib's own font lacks, in order of preference.
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
    """Return the colour of each of `count` series; they repeat after `MOST_SERIES`."""
    return [theme.series[i % MOST_SERIES] for i in range(count)]


def new_figure(
    width: float | int, height: float | int, theme: Theme = LIGHT, *, fitted: bool = True
) -> Figure:
    """Return an empty figure.

    Args:
        width: inches, of 160 pixels.
        height: inches.
        theme: its paper is the background.
        fitted: lay out the axes so that their text fits, which draws the figure twice; without it
            the caller places the axes.
    """
    layout = "constrained" if fitted else None
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, theme: Theme = LIGHT, *, grid: bool = False) -> None:
    """Set the theme's colours, and draw the frame on the left and below only."""
    axes.set_facecolor(theme.paper)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.rule)
    axes.tick_params(colors=theme.rule, labelcolor=theme.quiet, labelsize=8)
    axes.tick_params(labelfontfamily=list(families()))
    if grid:
        axes.grid(True, color=theme.rule, linewidth=0.6)
        axes.set_axisbelow(True)


def text_style(
    theme: Theme = LIGHT, *, size: float | int = 9, quiet: bool = False
) -> dict[str, Any]:
    """Return keyword arguments for matplotlib's text functions: colour, size, font family."""
    return {
        "color": theme.quiet if quiet else theme.ink,
        "size": size,
        "fontfamily": list(families()),
    }


def write_title(
    axes: Axes, text: str, theme: Theme = LIGHT, *, size: float | int = 9, **more: Any
) -> None:
    """Write a title above the left end of the axes, at a fixed height.

    By default matplotlib looks for a free height, which takes as long as the rest of the drawing.
    """
    axes.set_title(text, loc="left", y=1.0, **text_style(theme, size=size), **more)


def legend_style(theme: Theme = LIGHT, *, size: float | int = 8.5) -> dict[str, Any]:
    """Return keyword arguments for matplotlib's legends: no frame, colour, size, font family."""
    font = {"family": list(families()), "size": size}
    return {"frameon": False, "labelcolor": theme.ink, "prop": font}


@functools.cache
def families() -> tuple[str, ...]:
    """Return matplotlib's own font, then installed fonts that cover more scripts."""
    here = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FALLBACKS if name in here))


def drawable(text: str, columns: int = 60) -> str:
    """Return `text` as one line that matplotlib draws literally, cut to `columns` characters.

    Control characters and line breaks become blanks. "$" is escaped, since it would begin a
    formula. "…" marks a cut.

    Args:
        text: any text, such as a title from a file's tags.
        columns: a wide (East Asian) letter counts as two.
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
    # The default would state matplotlib's version.
    return _written(figure, "png", {"Software": None})


def svg(figure: Figure) -> bytes:
    """Return the figure as an SVG file that needs no font. The same figure gives the same bytes."""
    # Without the salt, names inside the file are random.
    with rc_context({"svg.hashsalt": "kit", "svg.fonttype": "path"}):
        return _written(figure, "svg", {"Creator": None, "Date": None})


def in_dark(data: bytes) -> bytes:
    """Replace the colours of `LIGHT` in an SVG file by those of `DARK`; others stay."""

    def dark(found: re.Match[bytes]) -> bytes:
        return _DARK_OF.get(found[0], found[0])

    return re.sub(rb"#[0-9a-f]{6}\b", dark, data)


def _written(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that no installed font has are drawn as boxes; the page shows them by the
        # browser's fonts.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        # Crop a fitted figure to its content.
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
    """Write the figure as a PNG file, or as an SVG file if the name ends in .svg; atomically.

    Raises:
        KitError: the file cannot be written.
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
        stem: path to which ".png" and ".svg" are added.
    Raises:
        KitError: a file cannot be written.
    """
    png_file, svg_file = (stem.with_name(stem.name + suffix) for suffix in (".png", ".svg"))
    return save(figure, png_file), save(figure, svg_file)

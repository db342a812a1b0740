"""Pages in one file: style sheet, security policy, embedded pictures for each screen."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kit.plots.style import DARK, DPI, LIGHT, Theme, in_dark, png, save_both, svg

DARK_SCREEN = "(prefers-color-scheme: dark)"
NARROW_SCREEN = "(max-width: 40rem)"

# Media query of each (narrow, theme) but the default, the first that fits first.
_SCREENS = {
    (True, DARK): f"{NARROW_SCREEN} and {DARK_SCREEN}",
    (True, LIGHT): NARROW_SCREEN,
    (False, DARK): DARK_SCREEN,
}

_LARGE = 600_000
"""Bytes of an SVG file above which a PNG file is tried: a figure may have thousands of marks."""


@dataclass(frozen=True)
class PageFigure:
    """Figure on disk and on a page.

    Attributes:
        title: heading.
        files: the PNG and the SVG file.
        picture: `src`, `width`, `height`, `alt` and `sources`, as the macro `picture` takes them.
    """

    title: str
    files: tuple[Path, Path]
    picture: dict[str, Any]


def data_uri(data: bytes, media_type: str) -> str:
    """Return the bytes as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def policy(
    *,
    linked_sound: bool = False,
    held_sound: bool = False,
    style: str = "",
    script: str = "",
    local: bool = False,
) -> str:
    """Return a content security policy: kit's own style and script, and embedded media.

    Args:
        linked_sound: allow sound from files beside the page.
        held_sound: allow sound that the reader's browser holds.
        style: second style sheet of the page, exactly as its element holds it.
        script: script of the page, exactly as its element holds it; if empty, none may run.
        local: allow the script to run WebAssembly, and to play files that the reader opens.
    """
    # 'self' where the page is served, file: where it is opened from a disk.
    media = "data: 'self' file:" if linked_sound else "blob:" if local or held_sound else "data:"
    styles = " ".join(map(_digest, filter(None, (_css(), style))))
    assembly = " 'wasm-unsafe-eval'" if local else ""
    scripts = f" script-src {_digest(script)}{assembly};" if script else ""
    return (
        f"default-src 'none'; style-src {styles};{scripts} img-src data:; "
        f"media-src {media}; base-uri 'none'; form-action 'none'"
    )


def render(
    package: str,
    template: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]] | None = None,
) -> str:
    """Return a page in valid UTF-8, every value escaped.

    Args:
        package: package of the template, such as "kit.explore".
        template: file name of the template; it may import "plots/macros.html.j2".
        values: variables of the template, beside `css`.
        filters: jinja2 filters by name.
    """
    here = PackageLoader(package, ".")
    shared = PrefixLoader({"plots": PackageLoader("kit.plots", ".")})
    environment = Environment(
        loader=ChoiceLoader([here, shared]), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(filters or {})
    text = environment.get_template(template).render(values, css=Markup(_css()))
    # A file name that is not valid UTF-8 has lone surrogates, which UTF-8 cannot encode.
    return text.encode("utf-8", "replace").decode("utf-8")


def picture(draw: Callable[..., Figure], alt: str, *, quality: int | None = None) -> dict[str, Any]:
    """Return a figure for a page, light and dark.

    Args:
        draw: takes `theme`.
        alt: description in words.
        quality: quality of JPEG, for spectrograms, which are too large as SVG and PNG; if None,
            embed as `embedded` does.
    Returns:
        `src`, `width`, `height` (CSS pixels), `alt`, and `sources` with a `media` each.
    """

    def held(theme: Theme) -> dict[str, Any]:
        figure = draw(theme=theme)
        return embedded(figure) if quality is None else _jpeg(png(figure), quality)

    return {**held(LIGHT), "sources": [{"media": DARK_SCREEN, **held(DARK)}], "alt": alt}


def stackable(draw: Callable[..., Figure], alt: str, wide: bytes | None = None) -> dict[str, Any]:
    """Return a figure for wide and narrow screens, light and dark, as SVG.

    Args:
        draw: returns the figure in the colours of `LIGHT`; `stacked=True` asks for the narrow form.
            No colour outside of `LIGHT` may depend on the theme.
        alt: description in words.
        wide: the wide figure's SVG file, if there is one.
    """
    drawn = {False: wide or svg(draw(stacked=False)), True: svg(draw(stacked=True))}
    return _for_screens(
        lambda narrow, theme: _vector(in_dark(drawn[narrow]) if theme == DARK else drawn[narrow]),
        alt,
    )


def page_figure(
    draw: Callable[..., Figure], stem: Path, title: str, alt: str, *, raster: bool = False
) -> PageFigure:
    """Write a figure as PNG and SVG, and return it for a page in the forms of `stackable`.

    Args:
        draw: as for `stackable`; with `raster` it takes `theme` too.
        stem: path to which ".png" and ".svg" are added.
        title: heading.
        alt: description in words.
        raster: embed JPEG pictures, for spectrograms, which are too large as SVG and PNG.
    Raises:
        KitError: a file cannot be written.
    """
    paths = save_both(draw(stacked=False), stem)
    if not raster:
        return PageFigure(title, paths, stackable(draw, alt, paths[1].read_bytes()))

    def embed(narrow: bool, theme: Theme) -> dict[str, Any]:
        on_disk = not narrow and theme == LIGHT
        return _jpeg(paths[0].read_bytes() if on_disk else png(draw(stacked=narrow, theme=theme)))

    return PageFigure(title, paths, _for_screens(embed, alt))


def embedded(figure: Figure) -> dict[str, Any]:
    """Return a figure as `src`, `width` and `height` (CSS pixels).

    It is an SVG image, which needs no font. One of more than 600 kB is a PNG image if that is
    smaller.
    """
    data = svg(figure)
    found = _vector(data)
    if len(data) > _LARGE and len(pixels := png(figure)) < len(data):
        found["src"] = data_uri(pixels, "image/png")
    return found


def _for_screens(embed: Callable[[bool, Theme], dict[str, Any]], alt: str) -> dict[str, Any]:
    sources = [{"media": media, **embed(*screen)} for screen, media in _SCREENS.items()]
    return {**embed(False, LIGHT), "sources": sources, "alt": alt}


def _vector(data: bytes) -> dict[str, Any]:
    # The page states the size, so that it does not jump when a picture is decoded. A CSS pixel is
    # 0.75 points.
    sizes = re.findall(rb'\b(?:width|height)="([0-9.]+)pt"', data[:1000])
    width, height = (round(float(size) / 0.75) for size in sizes)
    return {"src": data_uri(data, "image/svg+xml"), "width": width, "height": height}


def _jpeg(data: bytes, quality: int = 85) -> dict[str, Any]:
    """Embed a PNG file as `embedded` does, but as JPEG, which takes a quarter of the bytes."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        size = image.size
        image.convert("RGB").save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
    width, height = (round(x * 96 / DPI) for x in size)
    return {"src": data_uri(stream.getvalue(), "image/jpeg"), "width": width, "height": height}


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _css() -> str:
    """Return the style sheet, with the class `cN` for the colour of series N."""
    sheet = files("kit.plots").joinpath("page.css").read_text(encoding="utf-8")
    light, dark = (
        "".join(f".c{i}{{--dot:{colour}}}" for i, colour in enumerate(theme.series))
        for theme in (LIGHT, DARK)
    )
    return f"{sheet}{light}\n@media {DARK_SCREEN} {{{dark}}}\n"

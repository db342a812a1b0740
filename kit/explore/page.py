"""The parts that kit's pages share: a style sheet, embedded pictures, and a security policy."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kit.explore.canvas import DPI, in_dark, png, svg

DARK_SCREEN = "(prefers-color-scheme: dark)"
NARROW_SCREEN = "(max-width: 40rem)"

_LARGE = 600_000
"""Bytes of an SVG file that is compared with a PNG file: a figure may have a mark for each of many
thousand tracks."""


@dataclass(frozen=True)
class Plate:
    """A figure on disk, and what a page shows of it.

    Attributes:
        files: where it was written.
        title: its heading.
        picture: what `picture` gives.
    """

    files: tuple[Path, ...]
    title: str
    picture: dict[str, Any]

    @classmethod
    def of(cls, files: tuple[Path, Path], title: str, alt: str) -> "Plate":
        """Return a plate that shows its first file, a PNG of spectrograms, on any screen."""
        return cls(files, title, {**_lossy(files[0].read_bytes()), "sources": [], "alt": alt})


def data_uri(data: bytes, media_type: str) -> str:
    """Return the bytes as a URL that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def policy(*, linked_sound: bool = False, style: str = "", script: str = "") -> str:
    """Return a content security policy: kit's own style and script, and embedded media.

    Args:
        linked_sound: allow sound from files beside the page.
        style: a second style sheet of the page, exactly as its element holds it.
        script: the page's script, exactly as its element holds it; none may run if empty.
    """
    # 'self' where the page is served, file: where it is opened from a disk.
    media = "data: 'self' file:" if linked_sound else "data:"
    styles = " ".join(map(_digest, filter(None, (_css(), style))))
    scripts = f" script-src {_digest(script)};" if script else ""
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
        package: where the template lies, such as "kit.explore".
        template: the name of its file.
        values: what it shows, beside `css`.
        filters: jinja2's, by name.
    """
    environment = Environment(
        loader=PackageLoader(package, "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(filters or {})
    text = environment.get_template(template).render(values, css=Markup(_css()))
    # A name that was no valid UTF-8 has lone surrogates, which no UTF-8 file can hold.
    return text.encode("utf-8", "replace").decode("utf-8")


def picture(
    light: Figure, others: Sequence[tuple[str, Figure]], alt: str, *, quality: int | None = None
) -> dict[str, Any]:
    """Return a figure for the page, with variants for other screens.

    Args:
        light: what is shown where no other fits.
        others: (media query, figure), the first that fits is shown.
        alt: what it shows, in words.
        quality: of JPEG, for spectrograms, which are too rich for SVG and PNG; as `embedded` if
            None.
    Returns:
        `src`, `width`, `height` (CSS pixels), `alt`, and `sources` with a `media` each.
    """

    def held(figure: Figure) -> dict[str, Any]:
        return embedded(figure) if quality is None else _lossy(png(figure), quality)

    sources = [{"media": media, **held(figure)} for media, figure in others]
    return {**held(light), "sources": sources, "alt": alt}


def stackable(draw: Callable[..., Figure], alt: str) -> dict[str, Any]:
    """Return a figure of panels that lie one above the other on a narrow screen, light and dark.

    Args:
        draw: makes the figure, `stacked` or not, in the colours of `kit.explore.canvas.LIGHT`; no
            other colour of it may depend on the theme.
        alt: what it shows, in words.
    """
    wide, narrow = svg(draw(stacked=False)), svg(draw(stacked=True))
    sources = [
        {"media": f"{NARROW_SCREEN} and {DARK_SCREEN}", **_vector(in_dark(narrow))},
        {"media": NARROW_SCREEN, **_vector(narrow)},
        {"media": DARK_SCREEN, **_vector(in_dark(wide))},
    ]
    return {**_vector(wide), "sources": sources, "alt": alt}


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


def _vector(data: bytes) -> dict[str, Any]:
    # The page must know the size before the picture is decoded. A CSS pixel is 0.75 points.
    sizes = re.findall(rb'\b(?:width|height)="([0-9.]+)pt"', data[:1000])
    width, height = (round(float(size) / 0.75) for size in sizes)
    return {"src": data_uri(data, "image/svg+xml"), "width": width, "height": height}


def _lossy(data: bytes, quality: int = 85) -> dict[str, Any]:
    """Embed a picture as `embedded` does, but as JPEG, which takes a quarter of the bytes."""
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
    return files("kit.explore").joinpath("page.css").read_text(encoding="utf-8")

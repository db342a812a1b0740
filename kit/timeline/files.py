"""A timeline to a file, in the format of its name."""

from collections.abc import Iterable
from pathlib import Path

from kit.errors import UsageError
from kit.files import write_text
from kit.timeline.formats import FORMATS
from kit.timeline.timeline import Timeline

ENDINGS = (*FORMATS, ".html", ".png", ".svg")
"""Endings of the files that a timeline is written to."""


def check_endings(paths: Iterable[Path]) -> None:
    """Check that each file's format is known.

    Raises:
        UsageError: one is not.
    """
    for path in paths:
        if path.suffix.lower() not in ENDINGS:
            raise UsageError(f"{path}: a timeline is written as {', '.join(ENDINGS)}")


def write(timeline: Timeline, path: Path, *, embed_mib: float = 24.0, dark: bool = False) -> None:
    """Write a timeline in the format that the file's ending names.

    Args:
        timeline: of a file.
        path: one of `ENDINGS`.
        embed_mib: of a page, see `kit.timeline.page.to_html`.
        dark: draw a picture on dark paper.
    Raises:
        UsageError: another ending.
        KitError: the file cannot be written.
    """
    check_endings([path])
    ending = path.suffix.lower()
    if ending in FORMATS:
        write_text(path, FORMATS[ending](timeline))
    elif ending == ".html":
        from kit.timeline.page import to_html

        write_text(path, to_html(timeline, path.parent, embed_mib))
    else:
        from kit.plots.style import DARK, LIGHT, save
        from kit.timeline.figure import figure

        save(figure(timeline, theme=DARK if dark else LIGHT), path)

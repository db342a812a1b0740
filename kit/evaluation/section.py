"""A section of the report that is made apart from the page."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of a section.

    Attributes:
        caption: what it is about.
        columns: the headings; the first column names the rows.
        rows: a text for each column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of the report: a sentence, figures, and the numbers folded below them.

    Attributes:
        name: its anchor, such as "confounds".
        title: its heading.
        said: what was found, in one to three sentences.
        pictures: figures, as `kit.plots.html.picture` gives them.
        tables: the numbers.
        note: what the numbers are based on.
        tracks: entries of `tracks` of evaluation.json, each shown as a card with a player.
    """

    name: str
    title: str
    said: str
    pictures: tuple[dict[str, Any], ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    tracks: tuple[dict[str, Any], ...] = ()

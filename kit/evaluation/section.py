"""Sections and tables of the report."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of a section.

    Attributes:
        caption: its subject.
        columns: the headings; the first column names the rows.
        rows: a text for each column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of the report: sentences, figures, and tables folded below them.

    Attributes:
        name: its anchor, such as "confounds".
        title: its heading.
        said: the result, in one to three sentences.
        pictures: figures, as `kit.plots.html.picture` returns them.
        tables: the numbers.
        note: the basis of the numbers.
        tracks: entries of `tracks` of evaluation.json, each shown as a card with a player.
    """

    name: str
    title: str
    said: str
    pictures: tuple[dict[str, Any], ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    tracks: tuple[dict[str, Any], ...] = ()

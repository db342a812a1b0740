"""Markdown of the data card and the model card."""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def plain(text: str) -> str:
    """Return text from outside, such as a label, as one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; cells that are numbers are at the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def items(found: Iterable[str]) -> str:
    """Return a list of the sentences that are not empty; empty if all are."""
    return "\n".join(f"- {text}" for text in found if text)


def document(title: str, lede: str, sections: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return a document without its empty sections.

    Args:
        title: in its first line.
        lede: the paragraph below it.
        sections: the heading and the blocks of each; blocks may be empty.
    """
    parts = [f"# {title}", lede]
    for heading, blocks in sections:
        if known := [block for block in blocks if block]:
            parts += [f"## {heading}", *known]
    return "\n\n".join(parts) + "\n"

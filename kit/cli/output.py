"""Write a table to standard output."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def write_rows(format: str, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Write rows of the same keys to standard output.

    Args:
        format: "json" for one list of objects, "csv", or "table" with aligned columns.
        rows: at least one; None is an empty cell.
    """
    if format == "json":
        sys.stdout.write(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n")
        return
    if format == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    names = [name.replace("_", " ") for name in rows[0]]
    cells = [names, *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for row in cells:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

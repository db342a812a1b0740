"""`descriptors.csv`: what is known of each file, so that nothing is computed twice."""

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kit.descriptors.measure import COLUMNS, DIGITS, SOURCE, Descriptors
from kit.errors import KitError
from kit.files import atomic_write

NAME = "descriptors.csv"

Extent = Literal["clip", "whole"]


@dataclass(frozen=True)
class Record:
    """One row: a file's descriptors, or why there are none.

    Attributes:
        source_hash: SHA-256 of the file.
        source: which definitions, as in the column `feature_source`.
        extent: how much of the file was looked at.
        descriptors: None if there are none.
        reason: why not, in a word.
        path: the file, where there are none.
        message: why not, in a line.
    """

    source_hash: str
    source: str
    extent: Extent
    descriptors: Descriptors | None
    reason: str = ""
    path: str = ""
    message: str = ""

    def is_of(self, extent: str) -> bool:
        """Was it made by the definitions of today, of so much of the file?"""
        return self.source == SOURCE and self.extent == extent


_HEADER = ["source_hash", "source", "extent", *COLUMNS, "reason", "path", "message"]


def read_records(folder: Path | str) -> list[Record]:
    """The rows of a catalogue's `descriptors.csv`; none if there is no such file.

    Raises:
        KitError: the file cannot be read, or it is not of this kind.
    """
    path = Path(folder) / NAME
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
        if not rows or rows[0] != _HEADER:
            raise ValueError(f"its columns are not {', '.join(_HEADER)}")
        return [_record(row) for row in rows[1:]]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise KitError(f"cannot read {path} ({error}); delete it, and it is made anew") from error


def write_records(folder: Path | str, records: Iterable[Record]) -> None:
    """Replace a catalogue's `descriptors.csv`, in the order of the hashes; atomic."""
    with atomic_write(Path(folder) / NAME) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        for record in sorted(records, key=lambda r: r.source_hash):
            cells = _cells(record.descriptors)
            # One line a row, whatever is in a message: the file is read with grep as well.
            tail = [" ".join(v.split()) for v in (record.reason, record.path, record.message)]
            writer.writerow([record.source_hash, record.source, record.extent, *cells, *tail])


def _cells(found: Descriptors | None) -> list[str]:
    if found is None:
        return [""] * len(COLUMNS)
    values = dataclasses.asdict(found)
    return [
        f"{values[name]:.{DIGITS[name]}f}" if name in DIGITS else str(values[name])
        for name in COLUMNS
    ]


def _record(row: list[str]) -> Record:
    if len(row) != len(_HEADER):
        raise ValueError(f"a row has {len(row)} cells, not {len(_HEADER)}")
    digest, source, extent, *cells = row
    reason, path, message = cells[len(COLUMNS) :]
    if extent not in ("clip", "whole"):
        raise ValueError(f"extent is {extent!r}")
    found = None
    if not reason:
        values = zip(COLUMNS, cells, strict=False)
        numbers: dict[str, Any] = {n: float(v) if n in DIGITS else int(v) for n, v in values}
        found = Descriptors(**numbers)
    return Record(digest, source, extent, found, reason, path, message)

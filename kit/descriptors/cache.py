"""Read and write `descriptors.csv`, the descriptors of each measured file."""

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
    """One row: the descriptors of a file, or its failure.

    Attributes:
        source_hash: SHA-256 of the file.
        source: version of the definitions, as in the column `feature_source`.
        extent: measured part of the file.
        descriptors: None if the file failed.
        reason: category of the failure.
        path: the failed file.
        message: one line about the failure.
    """

    source_hash: str
    source: str
    extent: Extent
    descriptors: Descriptors | None
    reason: str = ""
    path: str = ""
    message: str = ""

    def is_current(self, extent: Extent) -> bool:
        """Return whether the row has the current definitions and this extent."""
        return self.source == SOURCE and self.extent == extent


_HEADER = ["source_hash", "source", "extent", *COLUMNS, "reason", "path", "message"]


def read_records(folder: Path | str) -> list[Record]:
    """Return the rows of a catalogue's `descriptors.csv`; none if the file is missing.

    Raises:
        KitError: the file cannot be read, or has other columns.
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
        raise KitError(
            f"cannot read {path} ({error}); delete it, and `kit describe` makes a new one"
        ) from error


def write_records(folder: Path | str, records: Iterable[Record]) -> None:
    """Replace a catalogue's `descriptors.csv` atomically, in the order of the hashes."""
    with atomic_write(Path(folder) / NAME) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        for record in sorted(records, key=lambda r: r.source_hash):
            cells = _cells(record.descriptors)
            # One line per row, so that grep can search the file.
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

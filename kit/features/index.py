"""The table of a store: whose features stand in which row, and whose could not be made and why.

It lies in parts, one a shard, so that whoever writes a shard writes its part and no more.
"""

import csv
import dataclasses
import io
from collections.abc import Iterable
from dataclasses import dataclass

from kit.errors import KitError


@dataclass(frozen=True)
class Entry:
    """One row of a store.

    Attributes:
        offset: the row, along the array's first axis.
        track_id: whose it is.
        source_hash: SHA-256 of the file that it was made of.
        frames: how many the array holds of it; 0 if it could not be made.
        reason: why not, in a word; empty if it was.
        path: the file, where it could not be made.
        message: why not, in a line.
    """

    offset: int
    track_id: str
    source_hash: str
    frames: int
    reason: str = ""
    path: str = ""
    message: str = ""


_FIELDS = [field.name for field in dataclasses.fields(Entry)]


def to_bytes(entries: Iterable[Entry]) -> bytes:
    """A part of the table as CSV, by row."""
    stream = io.StringIO()
    # The csv module leaves a lone carriage return as it is, and reads it as the end of a row.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(_FIELDS)
    for entry in sorted(entries, key=lambda e: e.offset):
        writer.writerow(dataclasses.astuple(entry))
    return stream.getvalue().encode()


def from_bytes(data: bytes, first: int, count: int) -> list[Entry]:
    """The entries of a part that holds rows from `first` on, at most `count`.

    Raises:
        KitError: it is not such a part.
    """
    try:
        text = io.StringIO(data.decode(), newline="")
        header, *rows = csv.reader(text, strict=True)
        if header != _FIELDS or any(len(row) != len(_FIELDS) for row in rows):
            raise KitError("it has other columns")
        if not data.endswith(b"\n"):
            raise KitError("its end is missing")
        entries = [Entry(int(r[0]), r[1], r[2], int(r[3]), *r[4:]) for r in rows]
    except (ValueError, IndexError, TypeError, csv.Error) as error:
        raise KitError(f"it is no table ({error})") from error
    offsets = [entry.offset for entry in entries]
    if len(set(offsets)) < len(offsets) or any(not 0 <= o - first < count for o in offsets):
        raise KitError("its rows are not those of its shard")
    if any(entry.frames < 0 or bool(entry.frames) == bool(entry.reason) for entry in entries):
        raise KitError("a row has features and a reason why not, or neither")
    return entries

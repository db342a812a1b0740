"""The table of a store: the track of each row, or the reason why it has no features.

The table has one part per shard, so that the writer of a shard writes only its own part.
"""

import csv
import dataclasses
import io
from collections.abc import Iterable
from dataclasses import dataclass

from kit.errors import KitError
from kit.features.storage import Storage


@dataclass(frozen=True)
class Entry:
    """One row of a store.

    Attributes:
        offset: index along the array's first axis.
        track_id: the track.
        source_hash: SHA-256 of the file.
        frames: valid frames from the start of the row; 0 without features.
        reason: category of the failure; empty with features.
        path: the failed file.
        message: one line about the failure.
        length_s: length of a track that is too short, seconds; else None.
    """

    offset: int
    track_id: str
    source_hash: str
    frames: int
    reason: str = ""
    path: str = ""
    message: str = ""
    length_s: float | None = None


_FIELDS = [field.name for field in dataclasses.fields(Entry)]


def to_bytes(entries: Iterable[Entry]) -> bytes:
    """Return a part of the table as CSV, sorted by row."""
    stream = io.StringIO()
    # The csv module does not quote a carriage return, and reads it as the end of a row.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(_FIELDS)
    for entry in sorted(entries, key=lambda e: e.offset):
        values = dataclasses.astuple(entry)
        writer.writerow("" if value is None else value for value in values)
    return stream.getvalue().encode()


def _entry(
    offset: str, track: str, source: str, frames: str, reason: str, path: str, message: str, s: str
) -> Entry:
    length_s = float(s) if s else None
    return Entry(int(offset), track, source, int(frames), reason, path, message, length_s)


def from_bytes(data: bytes, first: int, count: int) -> list[Entry]:
    """Return the entries of a part with rows from `first` on, at most `count`.

    Raises:
        KitError: the part is damaged.
    """
    try:
        text = io.StringIO(data.decode(), newline="")
        header, *rows = csv.reader(text, strict=True)
        if header != _FIELDS or any(len(row) != len(_FIELDS) for row in rows):
            raise KitError("its columns are not those of a store's table")
        if not data.endswith(b"\n"):
            raise KitError("its end is missing")
        entries = [_entry(*row) for row in rows]
    except (ValueError, IndexError, TypeError, csv.Error) as error:
        raise KitError(f"it is not a table ({error})") from error
    offsets = [entry.offset for entry in entries]
    if len(set(offsets)) < len(offsets) or any(not 0 <= o - first < count for o in offsets):
        raise KitError("its rows are not those of its shard")
    if any(entry.frames < 0 or bool(entry.frames) == bool(entry.reason) for entry in entries):
        raise KitError("a row has both features and a reason for having none, or neither")
    return entries


def part_name(number: int) -> str:
    """Return the name of a shard's part of the table inside its store."""
    return f"index/{number:08d}.csv"


def read_parts(place: Storage, size: int, rows: int) -> tuple[dict[int, list[Entry]], list[int]]:
    """Return the entries of each shard of `size` tracks, and the shards with a damaged part."""
    names = place.names("index/")
    parts: dict[int, list[Entry]] = {}
    broken: list[int] = []
    seen: set[str] = set()
    for name, data in zip(names, place.read_all(names), strict=True):
        stem = name.removeprefix("index/").removesuffix(".csv")
        if not stem.isdecimal() or data is None:
            continue
        number = int(stem)
        first = number * size
        try:
            entries = from_bytes(data, first, min(size, max(0, rows - first)))
        except KitError:
            broken.append(number)
            continue
        ids = {entry.track_id for entry in entries}
        if len(ids) < len(entries) or ids & seen:
            broken.append(number)
            continue
        seen |= ids
        parts[number] = entries
    return parts, broken

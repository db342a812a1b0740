"""Plan a run: assign rows of the store to tracks, and find the rows to compute.

Rows are assigned in advance, and depend only on the store's table and the catalogue's order. So
neither the number of workers nor an interruption changes the row of a track.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from kit.audio.errors import shown
from kit.catalogue import Catalogue
from kit.errors import KitError
from kit.features.manifest import Entry

NO_AUDIO = "no_audio"
PASSING = frozenset({NO_AUDIO, "unreadable", "changed_file"})
"""Failures to retry in each run: their cause is outside the file, and the check is fast."""


@dataclass(frozen=True)
class Track:
    """A track to compute: its row, its file, and the file's SHA-256."""

    offset: int
    track_id: str
    source_hash: str
    path: Path


@dataclass(frozen=True)
class Plan:
    """The work of a run.

    Attributes:
        rows: number of rows of the array.
        tracks: tracks to compute, sorted by row.
        without_audio: new entries of tracks with neither a file nor features.
        done: number of tracks of the catalogue that need no work.
        total: number of tracks of the catalogue.
    """

    rows: int
    tracks: list[Track]
    without_audio: list[Entry]
    done: int
    total: int

    @property
    def nothing_to_do(self) -> bool:
        """Return whether the store is complete."""
        return not self.tracks and not self.without_audio


def make_plan(entries: Iterable[Entry], catalogue: Catalogue, *, retry_failed: bool) -> Plan:
    """Compare a store's table with a catalogue.

    Features stay valid until their file changes; a track without a file keeps its features.
    """
    known = {entry.track_id: entry for entry in entries}
    free = _free({entry.offset for entry in known.values()})
    rows = max((entry.offset for entry in known.values()), default=-1) + 1
    tracks: list[Track] = []
    without_audio: list[Entry] = []
    done = 0
    for row in catalogue.table.to_dict("records"):
        track_id, source = str(row["track_id"]), str(row.get("source_hash") or "")
        old = known.get(track_id)
        offset = next(free) if old is None else old.offset
        rows = max(rows, offset + 1)
        try:
            path = catalogue.path_of(row)
        except KitError as error:
            none = Entry(offset, track_id, "", 0, NO_AUDIO, "", shown(str(error)))
            kept = old is not None and old.frames and source in ("", old.source_hash)
            if kept or none == old:
                done += 1
            else:
                without_audio.append(none)
            continue
        if old is not None and old.source_hash == source:
            failed_before = old.reason not in PASSING and not retry_failed
            if old.frames or failed_before:
                done += 1
                continue
        tracks.append(Track(offset, track_id, source, path))
    tracks.sort(key=lambda track: track.offset)
    return Plan(rows, tracks, without_audio, done, len(catalogue.table))


def _free(taken: set[int]) -> Iterator[int]:
    return (offset for offset in count() if offset not in taken)

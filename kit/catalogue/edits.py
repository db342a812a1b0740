"""Keep changes made by hand in a catalogue when its folder is scanned again.

`scanned.csv` contains the table of the last scan. Cells of `tracks.csv` that differ from it were
changed by hand or by another command, and the next scan keeps them.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kit.audio.errors import shown
from kit.catalogue.csv_file import read_csv
from kit.catalogue.io import TRACKS, save, write_csv
from kit.catalogue.scan import Scan, with_rows
from kit.catalogue.schema import is_absent, validate
from kit.errors import UsageError
from kit.lock import only_one

SCANNED = "scanned.csv"

# Columns that each scan reads from the files.
_OF_THE_FILE = frozenset(
    ("track_id", "path", "source_hash", "audio_hash", "duration_s", "sample_rate", "channels")
)
_SHOWN = 3

_Row = dict[Any, Any]


class _Rows:
    """The rows of a table, by id or else by path."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.all: list[_Row] = table.to_dict("records")
        self._by_id = {row.get("track_id"): row for row in self.all}
        self._by_path = {row["path"]: row for row in self.all if row.get("path")}

    def like(self, row: _Row) -> _Row | None:
        return self._by_id.get(row.get("track_id")) or self._by_path.get(row.get("path"))


def with_edits(scan: Scan, folder: Path) -> Scan:
    """Return a scan with the changes that were made in a catalogue since its last scan.

    Changed cells stay changed, removed rows stay removed, and added rows stay. Facts about the
    files come from the new scan.

    Raises:
        UsageError: `tracks.csv` cannot be read; has files for tracks that have none in the new
            scan; or has changes, but none of the new scan's tracks.
    """
    if not (folder / TRACKS).is_file():
        return scan
    tracks = folder / TRACKS
    theirs = _Rows(scan.table)
    mine = _Rows(_present(tracks))
    has_file = [row for row in mine.all if row.get("path")]
    lost = [row for row in has_file if (new := theirs.like(row)) and is_absent(new.get("path"))]
    if lost:
        raise UsageError(
            f"{shown(tracks)} has files for {len(lost)} tracks for which this scan has none, such "
            "as those that kit ingest match found; write to another folder with --out, or "
            "delete it"
        )
    if not (folder / SCANNED).is_file():
        return scan
    base = _Rows(read_csv(folder / SCANNED)[0])
    rows: list[_Row] = []
    changes: Counter[str] = Counter()
    removed: list[str] = []
    for row in theirs.all:
        old = base.like(row)
        edited = mine.like(old) if old else None
        if old and edited is None:
            removed.append(str(row.get("path") or row["track_id"]))
            continue
        if old and edited:
            changed = _changed(old, edited)
            changes.update(n for n in changed if str(row.get(n, "")) != changed[n])
            row = row | changed
        rows.append(row)
    gone = [row for row in base.all if not theirs.like(row) and _is_edited(row, mine)]
    if gone and not any(map(base.like, theirs.all)):
        raise UsageError(
            f"{shown(tracks)} has {len(gone)} tracks that were changed by hand, but this scan has "
            "none of its tracks; write to another folder with --out, or delete it"
        )
    added = [row for row in mine.all if not base.like(row) and not theirs.like(row)]
    if not (changes or removed or added or gone):
        return scan
    if not rows:
        raise UsageError(
            f"all tracks of this scan were removed from {shown(tracks)} by hand; delete it to scan "
            "again"
        )
    said = []
    if changes:
        cells = ", ".join(f"{count} of {name}" for name, count in changes.items())
        said.append(f"changes in {shown(tracks)} since the last scan are kept: {cells}")
    if removed:
        names = ", ".join(map(shown, removed[:_SHOWN])) + (" …" if len(removed) > _SHOWN else "")
        said.append(f"{len(removed)} tracks removed from {shown(tracks)} stay removed: {names}")
    if added:
        said.append(f"{len(added)} rows added to {shown(tracks)} are kept")
    if gone:
        said.append(
            f"{len(gone)} changed tracks of {shown(tracks)} are not in this scan and were removed"
        )
    said.append(f"to discard these changes, delete {shown(tracks)} and scan again")
    found = with_rows(scan, [*rows, *added])
    return replace(found, warnings=(*said, *found.warnings))


def with_known_ids(scan: Scan, folder: Path) -> Scan:
    """Return a scan whose tracks keep their ids if only the tags of their files have changed.

    Ids are hashes of the whole files, including tags. Runs and corrected labels refer to tracks by
    id, so a new file with the same audio as a missing one gets its id.
    """
    if not (folder / TRACKS).is_file() or "audio_hash" not in scan.table:
        return scan
    rows = scan.table.to_dict("records")
    new = {row["track_id"] for row in rows}
    gone: dict[str, list[_Row]] = {}
    for row in _present(folder / TRACKS).to_dict("records"):
        if row.get("audio_hash") and row.get("path") and row["track_id"] not in new:
            gone.setdefault(row["audio_hash"], []).append(row)
    for row in rows:
        olds = gone.get(row["audio_hash"], [])
        # The user's table gave ids that are not hashes of the files.
        if olds and row["track_id"].startswith(row["source_hash"][:16]):
            same_path = [old for old in olds if old.get("path") == row["path"]]
            old = (same_path or olds)[0]
            olds.remove(old)
            row["track_id"] = old["track_id"]
    return replace(scan, table=scan.table.assign(track_id=[row["track_id"] for row in rows]))


def save_with_edits(scan: Scan, folder: Path) -> Scan:
    """Write a scan to the folder of a catalogue, and keep changes made there by hand.

    A lock makes other processes wait.

    Raises:
        UsageError: as for `with_edits`.
        KitError: a file cannot be written, or another process holds the lock for over a minute.
    """
    lock = only_one(folder / ".scan", "scans into", name=str(folder), wait_s=60.0, remove=True)
    with lock:
        scan = with_known_ids(scan, folder)
        found = with_edits(scan, folder)
        save(found, folder)
        write_csv(scan.table, folder / SCANNED)
    return found


def _present(tracks: Path) -> pd.DataFrame:
    """Return the table of a catalogue as text."""
    try:
        table, lines = read_csv(tracks)
        validate(table, source=shown(tracks), lines=lines)
    except UsageError as error:
        raise UsageError(f"{error}; correct it, or delete the file and scan again") from error
    return table


def _is_edited(old: _Row, mine: _Rows) -> bool:
    edited = mine.like(old)
    return edited is not None and bool(_changed(old, edited))


def _changed(old: _Row, edited: _Row) -> _Row:
    """Return the cells of a row that differ from the last scan."""
    names = [name for name in edited if name not in _OF_THE_FILE]
    return {name: edited[name] for name in names if edited[name] != old.get(name, "")}

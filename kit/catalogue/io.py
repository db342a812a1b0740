"""Read and write the folder of a catalogue."""

import csv
import hashlib
import os
import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from kit.audio.errors import shown
from kit.catalogue.csv_file import read_csv
from kit.catalogue.failures import write_failures
from kit.catalogue.inspect import Facts
from kit.catalogue.meta import META, TRACKS, announce, read_meta, settle, write_meta
from kit.catalogue.scan import STAGE, Scan
from kit.catalogue.scan_warnings import duplicates
from kit.catalogue.schema import is_absent, validate
from kit.errors import KitError, UsageError
from kit.files import atomic_write

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A catalogue on disk.

    Attributes:
        folder: where its `tracks.csv` lies.
        table: one row a track, as `kit.catalogue.schema` has it.
        audio_root: the folder that the column `path` starts from.
        notices: sentences about the whole, such as the terms that its audio is under.
    """

    folder: Path
    table: pd.DataFrame
    audio_root: Path
    notices: tuple[str, ...] = ()

    def path_of(self, row: Mapping[Any, Any] | pd.Series) -> Path:
        """Return the audio file of a row of the table.

        Raises:
            KitError: the row has no path, or one that leaves `audio_root`.
        """
        path = str(row.get("path", "") or "")
        if not path:
            raise KitError(f"track {row['track_id']} has no audio; fill in its path in {TRACKS}")
        inside = _inside(path)
        if inside is None:
            raise KitError(
                f"track {row['track_id']}: path {path!r} leaves {self.audio_root}; "
                f"correct it in {self.folder}"
            )
        return self.audio_root / inside

    def missing_audio(self) -> str:
        """Return a sentence on what to do if all of the audio is gone, such as after a move.

        Otherwise return "". Unless all files are missing, this looks at one file or folder only.
        """
        if "path" not in self.table:
            return ""
        tops = {path.split("/")[0] for path in self.table["path"] if path}
        if not tops or any(os.path.lexists(self.audio_root / top) for top in tops):
            return ""
        return (
            f"none of the audio of {shown(self.folder)} is in {shown(self.audio_root)} any more; "
            f"if it has moved, scan it in its new place, which keeps its features: "
            f"kit scan NEW_FOLDER --out {shown(self.folder)}"
        )


def add_facts(row: dict[str, Any], facts: Facts) -> None:
    """Fill in a row from its file: measured values replace the row's, tags only fill its gaps."""
    row.update(facts.measured())
    for name, value in asdict(facts.tags).items():
        if is_absent(row.get(name)):
            row[name] = value


def _inside(path: str) -> str | None:
    """Return a relative path in its shortest form; None if it leaves the folder it starts from."""
    if path.startswith("/") or Path(path).is_absolute():
        return None
    short = posixpath.normpath(path)
    return None if short in (".", "..") or short.startswith("../") else short


def save(scan: Scan, folder: Path | str) -> None:
    """Write a catalogue's folder: `tracks.csv`, `failures.csv`, `catalogue.json`; each atomic.

    Args:
        scan: the result of `from_folder`, `from_csv` or `from_playlists`.
        folder: made if missing; features that lie there are kept.
    Raises:
        UsageError: a value is against its rule.
        KitError: the folder cannot be written.
    """
    folder = Path(folder)
    table = validate(scan.table, source="the table")
    labels = Counter(table["label"])
    meta = {
        "format": FORMAT,
        "audio_root": _named(scan.audio_root, folder),
        "tracks": len(table),
        "labels": {label: labels[label] for label in sorted(labels)},
        "duplicates": [list(ids) for ids in duplicates(table)],
        "notices": list(scan.notices),
    }
    _announced(table, folder, meta["audio_root"])
    write_failures(folder, STAGE, scan.failures)
    write_meta(folder, meta)


def write_table(table: pd.DataFrame, folder: Path | str) -> pd.DataFrame:
    """Replace `tracks.csv` in a catalogue's folder, and nothing else; atomic.

    Returns:
        The table as it was written, with the types of its columns.
    Raises:
        UsageError: a value is against its rule.
        KitError: the file cannot be written.
    """
    table = validate(table, source="the table")
    settle(Path(folder))
    write_csv(table, Path(folder) / TRACKS)
    return table


def move_root(folder: Path | str, root: Path) -> Catalogue:
    """Make the paths of a catalogue start from another folder; the files stay where they are.

    If this is stopped at any instant, every path still leads to its file.

    Args:
        folder: the catalogue's.
        root: a folder above the present one; any folder if the catalogue has no paths.
    Raises:
        UsageError: a path would be against its rule.
        KitError: the catalogue cannot be read or written.
    """
    before = load(folder)
    old, root = before.audio_root.resolve(), root.resolve()
    table = before.table
    if "path" in table:
        table = table.assign(path=[rebased(path, old, root) for path in table["path"]])
        table = validate(table, source="the table")
    name = _named(root, before.folder)
    _announced(table, before.folder, name)
    write_meta(before.folder, read_meta(before.folder) | {"audio_root": name})
    return load(folder)


def rebased(path: str, old: Path, new: Path) -> str:
    """Return a row's path relative to a folder further up; unchanged if empty or outside `old`."""
    inside = _inside(path)
    return path if inside is None else (old.relative_to(new) / inside).as_posix()


def _named(root: Path, folder: Path) -> str:
    """Return the folder that paths start from; relative inside the catalogue, to move with it."""
    root, base = root.resolve(), folder.resolve()
    return root.relative_to(base).as_posix() if root.is_relative_to(base) else str(root)


def _announced(table: pd.DataFrame, folder: Path, audio_root: str) -> None:
    announce(folder, audio_root, lambda: hashlib.sha256(_csv(table).encode()).hexdigest())
    write_csv(table, folder / TRACKS)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table of tracks as CSV; atomic.

    Raises:
        KitError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        _csv(table, stream)


def _csv(table: pd.DataFrame, stream: IO[str] | None = None) -> str:
    """Return the table as CSV; with a stream, write it there piece by piece and return ""."""
    # A lone carriage return ends a row unless it is quoted, and not every version of the csv module
    # quotes it.
    returns = any(
        "\r" in value for name in table for value in table[name] if isinstance(value, str)
    )
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    return table.to_csv(stream, index=False, lineterminator="\n", quoting=quoting) or ""


def load(folder: Path | str) -> Catalogue:
    """Read a catalogue's folder.

    Raises:
        UsageError: it is not the folder of a catalogue, or a value is against its rule.
        KitError: a file in it cannot be read.
    """
    folder = Path(folder)
    if not (folder / META).is_file() or not (folder / TRACKS).is_file():
        raise UsageError(
            f"{shown(folder)} is not a catalogue (no {TRACKS} and {META}); "
            "make one with: kit scan FOLDER --out data/NAME"
        )
    meta = read_meta(folder)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise UsageError(f"{shown(folder)}/{META} is not of format {FORMAT}; scan the audio again")
    root = meta.get("audio_root")
    if not isinstance(root, str) or not root:
        raise UsageError(
            f"{shown(folder)}/{META}: audio_root is {root!r}; it must be a folder's path"
        )
    table, lines = read_csv(folder / TRACKS)
    table = validate(table, source=shown(folder / TRACKS), lines=lines)
    # Joining keeps an absolute root as it is.
    notices = tuple(str(notice) for notice in meta.get("notices") or ())
    return Catalogue(folder, table, folder / root, notices)

"""Read and write the folder of a catalogue.

`catalogue.json` names the root, the folder that paths in `tracks.csv` are relative to. A new root
changes both files, and a process may be killed between the two writes. So `_write_tracks` first
records the new root with the hash of the new table, and a reader uses the root whose hash matches.
"""

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
from kit.catalogue.inspect import Facts, hash_file
from kit.catalogue.scan import STAGE, Scan
from kit.catalogue.scan_warnings import duplicates
from kit.catalogue.schema import is_absent, validate
from kit.errors import KitError, UsageError
from kit.files import atomic_write, read_json, write_json

FORMAT = 1
META = "catalogue.json"
TRACKS = "tracks.csv"

_COMING = "coming"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A catalogue on disk.

    Attributes:
        folder: folder of `tracks.csv`.
        table: one row per track, with the columns of `kit.catalogue.schema`.
        audio_root: folder that the column `path` is relative to.
        notices: sentences about the whole catalogue, such as the terms of its audio.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> catalogue.path_of(catalogue.table.iloc[0]).exists()
        True
    """

    folder: Path
    table: pd.DataFrame
    audio_root: Path
    notices: tuple[str, ...] = ()

    def path_of(self, row: Mapping[Any, Any] | pd.Series) -> Path:
        """Return the audio file of a row of the table.

        Raises:
            KitError: the row has no path, or one outside `audio_root`.
        """
        path = str(row.get("path", "") or "")
        if not path:
            raise KitError(f"track {row['track_id']} has no audio; fill in its path in {TRACKS}")
        inside = _inside(path)
        if inside is None:
            raise KitError(
                f"track {row['track_id']}: path {path!r} is outside {self.audio_root}; "
                f"correct it in {self.folder}"
            )
        return self.audio_root / inside

    def missing_audio(self) -> str:
        """Return advice if all audio is missing, such as after a move; otherwise "".

        Unless all files are missing, this checks only one file or folder.
        """
        if "path" not in self.table:
            return ""
        tops = {path.split("/")[0] for path in self.table["path"] if path}
        if not tops or any(os.path.lexists(self.audio_root / top) for top in tops):
            return ""
        return (
            f"none of the audio of {shown(self.folder)} is still in {shown(self.audio_root)}; "
            f"if it has moved, scan the new folder, which keeps the features: "
            f"kit scan NEW_FOLDER --out {shown(self.folder)}"
        )


def add_facts(row: dict[str, Any], facts: Facts) -> None:
    """Fill in a row from its file: measured values replace cells, tags only fill gaps."""
    row.update(facts.measured())
    for name, value in asdict(facts.tags).items():
        if is_absent(row.get(name)):
            row[name] = value


def _inside(path: str) -> str | None:
    """Return a relative path in its shortest form; None if it leaves its folder."""
    if path.startswith("/") or Path(path).is_absolute():
        return None
    short = posixpath.normpath(path)
    return None if short in (".", "..") or short.startswith("../") else short


def save(scan: Scan, folder: Path | str) -> None:
    """Write `tracks.csv`, `failures.csv` and `catalogue.json` to a folder, each atomically.

    Args:
        scan: the result of `from_folder`, `from_csv` or `from_playlists`.
        folder: made if missing; stored features stay.
    Raises:
        UsageError: a value is invalid.
        KitError: the folder cannot be written.

    Example:
        >>> kit.catalogue.save(kit.catalogue.from_folder("music"), "data/saved")
        >>> kit.catalogue.load("data/saved").table["label"].nunique()
        2
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
    _write_tracks(table, folder, meta["audio_root"])
    write_failures(folder, STAGE, scan.failures)
    write_meta(folder, meta)


def write_table(table: pd.DataFrame, folder: Path | str) -> pd.DataFrame:
    """Replace only `tracks.csv` in a catalogue's folder, atomically.

    Returns:
        The written table, with typed columns.
    Raises:
        UsageError: a value is invalid.
        KitError: the file cannot be written.

    Example:
        >>> table = kit.catalogue.load("data/tones").table
        >>> len(kit.catalogue.write_table(table, "data/tones"))
        16
    """
    table = validate(table, source="the table")
    _settle(Path(folder))
    write_csv(table, Path(folder) / TRACKS)
    return table


def move_root(folder: Path | str, root: Path) -> Catalogue:
    """Make the paths of a catalogue relative to another folder; no file moves.

    If this is stopped at any time, every path is still valid.
    """
    before = load(folder)
    old, root = before.audio_root.resolve(), root.resolve()
    table = before.table
    if "path" in table:
        table = table.assign(path=[rebased(path, old, root) for path in table["path"]])
        table = validate(table, source="the table")
    name = _named(root, before.folder)
    _write_tracks(table, before.folder, name)
    write_meta(before.folder, read_meta(before.folder) | {"audio_root": name})
    return load(folder)


def rebased(path: str, old: Path, new: Path) -> str:
    """Return a row's path relative to a parent folder; unchanged if empty or outside `old`."""
    inside = _inside(path)
    return path if inside is None else (old.relative_to(new) / inside).as_posix()


def _named(root: Path, folder: Path) -> str:
    """Return the root of the paths; relative if inside the catalogue, so that it moves with it."""
    root, base = root.resolve(), folder.resolve()
    return root.relative_to(base).as_posix() if root.is_relative_to(base) else str(root)


def _write_tracks(table: pd.DataFrame, folder: Path, audio_root: str) -> None:
    """Write `tracks.csv`, after recording the root that its paths are relative to."""
    try:
        _settle(folder)
        meta = read_meta(folder)
    except KitError:
        meta = None  # a new catalogue has no old table to confuse it with
    if isinstance(meta, dict) and meta.get("audio_root") != audio_root:
        digest = hashlib.sha256(as_csv(table).encode()).hexdigest()
        write_meta(folder, meta | {_COMING: {"audio_root": audio_root, "tracks": digest}})
    write_csv(table, folder / TRACKS)


def read_meta(folder: Path) -> Any:
    """Return the content of the file, with the root that matches the present table."""
    meta = read_json(folder / META)
    coming = meta.pop(_COMING, None) if isinstance(meta, dict) else None
    if isinstance(coming, dict) and coming.get("tracks") == hash_file(folder / TRACKS):
        meta["audio_root"] = coming.get("audio_root")
    return meta


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Replace the file atomically, and clear the pending root."""
    write_json(folder / META, meta)


def _settle(folder: Path) -> None:
    """Resolve a pending root before only the table changes."""
    meta = read_json(folder / META) if (folder / META).is_file() else None
    if isinstance(meta, dict) and _COMING in meta:
        write_meta(folder, read_meta(folder))


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, atomically."""
    with atomic_write(path) as stream:
        as_csv(table, stream)


def as_csv(table: pd.DataFrame, stream: IO[str] | None = None) -> str:
    """Return the table as CSV; with a stream, write to it in pieces and return ""."""
    # An unquoted carriage return ends a row, and not every version of the csv module
    # quotes it.
    returns = any(
        "\r" in value for name in table for value in table[name] if isinstance(value, str)
    )
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    return table.to_csv(stream, index=False, lineterminator="\n", quoting=quoting) or ""


def load(folder: Path | str) -> Catalogue:
    """Read a catalogue's folder.

    Raises:
        UsageError: the folder is not a catalogue, or a value is invalid.
        KitError: a file cannot be read.

    Example:
        >>> kit.catalogue.load("data/tones").table.shape[0]
        16
    """
    folder = Path(folder)
    if not (folder / META).is_file() or not (folder / TRACKS).is_file():
        raise UsageError(
            f"{shown(folder)} is not a catalogue (no {TRACKS} and {META}); "
            "make one with: kit scan FOLDER --out data/NAME"
        )
    meta = read_meta(folder)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise UsageError(f"{shown(folder)}/{META} is not in format {FORMAT}; scan the audio again")
    root = meta.get("audio_root")
    if not isinstance(root, str) or not root:
        raise UsageError(
            f"{shown(folder)}/{META}: audio_root is {root!r}; it must be a folder's path"
        )
    table, lines = read_csv(folder / TRACKS)
    table = validate(table, source=shown(folder / TRACKS), lines=lines)
    # Joining keeps an absolute root unchanged.
    notices = tuple(str(notice) for notice in meta.get("notices") or ())
    return Catalogue(folder, table, folder / root, notices)

"""Read tables of tracks from CSV; read and write the folder of a catalogue."""

import csv
import hashlib
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.artist_from import ArtistFrom, fill_artist
from kit.catalogue.failures import Failure, write_failures
from kit.catalogue.inspect import Facts, Progress, inspect_all
from kit.catalogue.meta import META, TRACKS, announce, read_meta, settle, write_meta
from kit.catalogue.scan import STAGE, Scan, duplicates, finish, refusal
from kit.catalogue.schema import is_absent, validate
from kit.catalogue.sources.locate import below, from_text, on_disk
from kit.errors import KitError, UsageError
from kit.files import atomic_write

FORMAT = 1

# Other names, most of them the original project's. A table that has the second one as well keeps
# both as they are.
_ALIASES = {
    "artist": "artists",
    "mp3": "preview_url",
    "artist_name": "artists",
    "artist_id": "artist_ids",
    "track_name": "title",
    "album_name": "album",
    "album_date": "release_date",
    "track_pop": "popularity",
    "track_length": "duration_ms",
}
# Taken with capitals too. Not the numbers: a column Key may hold "8A", which `key` must not be.
_ANY_CASE = frozenset(("path", "label", "artist", "artists", "title", "album", "genre", "isrc"))


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


def from_csv(
    path: Path | str,
    *,
    label: str | None = None,
    audio_root: Path | str | None = None,
    artist_from: ArtistFrom | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Read a table of tracks: kit's own columns, or those of the original project.

    A column without a name (an index) is dropped, and so is a second `track_id`. A row that names
    a file is checked as in a scan: its hash, length, rate and channels are read anew.

    Args:
        path: UTF-8 CSV with a header.
        label: the label of all rows; by default the column `label`, else the name of the file.
        audio_root: the folder that the column `path` starts from; that of the CSV by default.
        artist_from: where artist and title come from if neither the table nor the tags have them.
        progress: called with (files looked at, files in all).
    Returns:
        The tracks that can be used, and a failure for each of the rest.
    Raises:
        UsageError: the file cannot be read, is not CSV or UTF-8, has no tracks, has neither
            `track_id` nor `path`, or a value breaks its column's rule (the message has line,
            column, value and rule).
    """
    path = Path(path)
    root = path.parent if audio_root is None else Path(audio_root)
    table, lines = _labelled(path, label)
    names = list(table.columns)
    if "track_id" not in names and "path" not in names:
        raise UsageError(
            f"{shown(path)} needs a column track_id (or path, to take the ids from the files); "
            f"it has {', '.join(map(repr, names)) or 'none'}"
        )
    has_ids = "track_id" in names
    table, repeats = _once(path, table, lines)
    failures: list[Failure] = []
    for row in repeats.to_dict("records"):
        message = f"{shown(path)} has track {row['track_id']} twice; the first is kept"
        failures.append(_failure(row, "duplicate_id", message))
    rows = table.to_dict("records")
    if not has_ids:
        for row in rows:
            del row["track_id"]
    good = _with_facts(rows, root, failures, progress) if "path" in names else rows
    if not good:
        raise UsageError(
            f"none of the {len(rows)} tracks of {shown(path)} can be used; "
            f"the first: {failures[0].message}"
        )
    for row in good:
        fill_artist(row, artist_from)
    return finish(good, failures, root)


def read_table(path: Path | str, *, label: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a table of tracks without a look at the files that it names.

    Args:
        path: see `from_csv`; a row needs neither id nor path.
        label: see `from_csv`.
    Returns:
        The table as `kit.catalogue.schema` has it, each id once (`row-LINE` in a table that has
        none); and, as text, the rows left out because an earlier one has their id.
    Raises:
        UsageError: no such file, not CSV or UTF-8, no tracks, or a value against its rule.
    """
    path = Path(path)
    return _once(path, *_labelled(path, label))


def _labelled(path: Path, label: str | None) -> tuple[pd.DataFrame, list[int]]:
    table, lines = read_csv(path)
    if label is not None or "label" not in table:
        table["label"] = path.stem if label is None else label
    return table, lines


def _once(path: Path, table: pd.DataFrame, lines: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first row of each id, checked and typed, and the other rows as they are."""
    if "track_id" not in table:
        # Stand-ins for the check of the other columns.
        table["track_id"] = [f"row-{line}" for line in lines]
    again = table["track_id"].duplicated().to_numpy()
    kept = [line for line, drop in zip(lines, again, strict=True) if not drop]
    first = validate(table.loc[~again], source=shown(path), lines=kept)
    return first, table.loc[again].reset_index(drop=True)


def _with_facts(
    rows: list[dict[str, Any]], root: Path, failures: list[Failure], progress: Progress | None
) -> list[dict[str, Any]]:
    """Return the rows without a file, and those with a good one, filled in from it."""
    files: dict[int, Path] = {}
    bad: set[int] = set()
    for at, row in enumerate(rows):
        given = str(row["path"])
        if not given:
            if "track_id" not in row:
                failures.append(_failure(row, "missing_file", "a row has neither id nor path"))
                bad.add(at)
            continue
        inside = _found(given, root)
        if isinstance(inside, Failure):
            failures.append(replace(inside, track_id=str(row.get("track_id", ""))))
            bad.add(at)
        else:
            row["path"] = inside
            files[at] = root / inside
    for at, failure in _again(rows, files):
        failures.append(failure)
        bad.add(at)
    files = {at: file for at, file in files.items() if at not in bad}
    results = inspect_all(list(files.values()), progress=progress)
    for at, result in zip(files, results, strict=True):
        if isinstance(result, AudioError):
            failures.append(_failure(rows[at], result.reason, str(result)))
            bad.add(at)
        else:
            add_facts(rows[at], result)
    return [row for at, row in enumerate(rows) if at not in bad]


def _found(given: str, root: Path) -> str | Failure:
    """Return the path of a file below a folder, or why there is none.

    Args:
        given: as a table has it: relative, absolute, or `file://`.
        root: the folder.
    """
    text, is_file = from_text(given)
    if not is_file:
        message = f"{shown(given)} is not a file on this machine, and kit downloads none; get it"
        return Failure(given, STAGE, "not_a_file", message)
    there = on_disk(root, text)
    inside = below(there or root / text.replace("\\", "/"), root)
    if inside is None:
        message = (
            f"path {given!r} lies outside {shown(root)}; correct it, or name a folder that holds "
            "it with --audio-root"
        )
        return Failure(given, STAGE, "path_outside", message)
    if there is None:
        message = f"{shown(root / inside)} does not exist; get it, or remove its row"
        return Failure(given, STAGE, "missing_file", message)
    return inside


def _again(
    rows: Sequence[Mapping[str, Any]], files: Iterable[int]
) -> Iterator[tuple[int, Failure]]:
    """Return rows that name the file of another row, by number, and why they are left out.

    The first of them stays, unless they have several labels.

    Args:
        rows: the table.
        files: numbers of the rows that have a file.
    """
    of_path: dict[str, list[int]] = {}
    for at in files:
        of_path.setdefault(rows[at]["path"], []).append(at)
    for path, same in of_path.items():
        labels = tuple(dict.fromkeys(str(rows[at]["label"]) for at in same))
        two = refusal(shown(path), labels, "")
        for at in same if two else same[1:]:
            message = f"{shown(path)} is in the table {len(same)} times; the first row is kept"
            yield (
                at,
                _failure(
                    rows[at], *((two.reason, two.message) if two else ("duplicate_path", message))
                ),
            )


def add_facts(row: dict[str, Any], facts: Facts) -> None:
    """Fill in a row from its file: measured values replace the row's, tags only fill its gaps."""
    row.update(facts.measured())
    for name, value in asdict(facts.tags).items():
        if is_absent(row.get(name)):
            row[name] = value


def _failure(row: Mapping[Any, Any], reason: str, message: str) -> Failure:
    return Failure(
        path=str(row.get("path", "")),
        stage=STAGE,
        reason=reason,
        message=message,
        track_id=str(row.get("track_id", "")),
    )


def _inside(path: str) -> str | None:
    """Return a relative path in its shortest form; None if it leaves the folder it starts from."""
    if path.startswith("/") or Path(path).is_absolute():
        return None
    short = posixpath.normpath(path)
    return None if short in (".", "..") or short.startswith("../") else short


def read_csv(path: Path) -> tuple[pd.DataFrame, list[int]]:
    """Return a CSV file as text, its columns under kit's names, and the line of each row.

    Raises:
        UsageError: no such file, not CSV or UTF-8, or no rows.
    """
    records: list[tuple[int, list[str]]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            records.extend((reader.line_num, record) for record in reader if record)
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}; give a CSV file"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown(path)} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        after = records[-1][0] if records else 0
        raise UsageError(
            f"{shown(path)} is not valid CSV after line {after}: {error}; correct it"
        ) from error
    if len(records) < 2:
        raise UsageError(f"{shown(path)} has no tracks; it needs a header and at least one row")
    (_, header), rows = records[0], records[1:]
    for line, row in rows:
        if len(row) != len(header):
            raise UsageError(
                f"{shown(path)}, line {line} has {len(row)} cells, the header has {len(header)}; "
                "quote cells with commas in them"
            )
    columns = _columns(path, [name.strip() for name in header], rows)
    return pd.DataFrame(columns), [line for line, _ in rows]


def _columns(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]]
) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for at, name in enumerate(header):
        cells = [row[at] for _, row in rows]
        # pandas writes its index without a name, and calls it so when it reads it.
        if not name or name.startswith("Unnamed: "):
            continue
        if name == "track_id.1" and "track_id" in columns:
            name = "track_id"
        if name not in columns:
            columns[name] = cells
        elif name != "track_id":
            raise UsageError(f"{shown(path)} has the column {name!r} twice; rename one")
        elif columns[name] != cells:
            differs = next(i for i, v in enumerate(cells) if v != columns[name][i])
            raise UsageError(
                f"{shown(path)}, line {rows[differs][0]}: the two columns track_id are "
                f"{columns[name][differs]!r} and {cells[differs]!r}; they must agree"
            )
    renamed: dict[str, list[str]] = {}
    for name, cells in columns.items():
        lower = name.casefold() if name.casefold() in _ANY_CASE else name
        known = _ALIASES.get(lower, lower)
        renamed[name if known in columns or known in renamed else known] = cells
    return renamed


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
    _write(table, Path(folder))
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
    _write(table, folder)


def _write(table: pd.DataFrame, folder: Path) -> None:
    with atomic_write(folder / TRACKS) as stream:
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

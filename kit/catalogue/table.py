"""Make a table of tracks from a CSV file."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.artist_from import ArtistFrom, fill_artist
from kit.catalogue.csv_file import bad_row, list_hint, read_csv, read_rows
from kit.catalogue.failures import Failure
from kit.catalogue.inspect import Progress, inspect_all
from kit.catalogue.io import add_facts
from kit.catalogue.scan import STAGE, Scan, finish, refusal
from kit.catalogue.schema import (
    Several,
    alike,
    faults,
    is_absent,
    labels_to_take,
    several_labels,
    validate,
)
from kit.catalogue.sources.entry import Disk, below, from_text
from kit.errors import UsageError

_Rows = dict[int, dict[Any, Any]]  # by line in the file

# Columns to make an id from; they are the same in other tables of the track.
_NAMES = ("isrc", "artists", "title", "album", "release_date")


def from_csv(
    path: Path | str,
    *,
    label: str | None = None,
    several: Several = "each",
    audio_root: Path | str | None = None,
    artist_from: ArtistFrom | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Read a table of tracks: kit's own columns, or those of the original project or Exportify.

    Columns without a name (an index) and a second `track_id` are dropped. Files that rows name are
    checked as in a scan: hash, length, sample rate and channels are read again. Without a column
    `track_id`, ids are computed from the files, or from the names of tracks without a file.

    Args:
        path: CSV with a header; see `kit.catalogue.csv_file.read_rows`.
        label: label of all rows; by default the column `label`, else the name of the file.
        several: how to treat a cell such as "house; vocal" in the column `label`.
        audio_root: folder that the column `path` is relative to; the folder of the CSV by default.
        artist_from: source of artist and title if neither the table nor the tags have them.
        progress: called with (files read, number of files).
    Returns:
        The usable tracks, and a failure for each other row; the failure of an invalid row contains
        its line.
    Raises:
        UsageError: the file cannot be read, is not CSV, has none of the columns `path`, `track_id`,
            `isrc` and `title`, or no row can be used.

    Example:
        >>> scan = kit.catalogue.from_csv("data/tones/tracks.csv", audio_root="music")
        >>> len(scan.table), scan.failures
        (16, [])
    """
    path = Path(path)
    root = path.parent if audio_root is None else Path(audio_root)
    found = read_rows(path)
    names = list(found.table.columns)
    if not {"path", "track_id", "isrc", "title"} & {*names}:
        hints = "".join(f"; {hint}" for hint in found.warnings)
        raise UsageError(
            f"{shown(path)} needs a first line that names its columns, with path, track_id, or "
            "artist and title; it has "
            f"{', '.join(map(repr, names)) or 'none'}{hints}{list_hint(path)}"
        )
    table, stand_ins = _with_stand_ins(_labelled(path, found.table, label), found.lines)
    failures = list(found.bad)
    by_line = _kept(path, table, found.lines, failures)
    for row in by_line.values():
        if row["track_id"] in stand_ins:
            del row["track_id"]
    if label is None and "label" in names:
        by_line = _with_labels(path, by_line, several, failures)
    if "path" in names:
        by_line = _with_facts(by_line, root, failures, progress)
    rows = list(_with_ids(path, by_line, failures))
    if not rows:
        raise UsageError(
            f"none of the {len(table) + len(found.bad)} tracks of {shown(path)} can be used; "
            f"the first: {failures[0].message}"
        )
    for row in rows:
        fill_artist(row, artist_from)
    scan = finish(rows, failures, root)
    said = list(found.warnings)
    if label is None and "genre" in names and "label" not in names:
        said.append(
            f"{shown(path)} has no column label, so all its tracks have {path.stem!r}; to use its "
            "genres, rename the column genre to label"
        )
    return replace(scan, warnings=(*said, *scan.warnings))


def read_table(path: Path | str, *, label: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a table of tracks without reading the files that it names.

    Args:
        path: as for `from_csv`; a row needs neither id nor path.
        label: as for `from_csv`.
    Returns:
        The table with the columns of `kit.catalogue.schema`, each id once (`row-LINE` without ids);
        and, as text, the rows left out because an earlier one has their id.
    Raises:
        UsageError: the file is missing, is not CSV, has no tracks, or has an invalid value.

    Example:
        >>> table, twice = kit.catalogue.read_table("data/tones/tracks.csv")
        >>> len(table), len(twice)
        (16, 0)
    """
    path = Path(path)
    table, lines = read_csv(path)
    table, _ = _with_stand_ins(_labelled(path, table, label), lines)
    again = table["track_id"].duplicated().to_numpy()
    kept = [line for line, drop in zip(lines, again, strict=True) if not drop]
    first = validate(table.loc[~again], source=shown(path), lines=kept)
    return first, table.loc[again].reset_index(drop=True)


def _labelled(path: Path, table: pd.DataFrame, label: str | None) -> pd.DataFrame:
    if label is None and "label" in table:
        return table
    return table.assign(label=path.stem if label is None else label)


def _with_stand_ins(table: pd.DataFrame, lines: list[int]) -> tuple[pd.DataFrame, set[str]]:
    """Return the table with ids added for the check of its columns, and the added ids."""
    given = list(table["track_id"]) if "track_id" in table else [""] * len(table)
    taken = set(given)
    stem = "row"
    while any(f"{stem}-{line}" in taken for line in lines):
        stem += "-"
    ids = [
        f"{stem}-{line}" if is_absent(cell) else cell
        for cell, line in zip(given, lines, strict=True)
    ]
    return table.assign(track_id=ids), set(ids) - taken


def _kept(path: Path, table: pd.DataFrame, lines: list[int], failures: list[Failure]) -> _Rows:
    """Return the valid rows, typed, each id once."""
    wrong = faults(table, source=shown(path), lines=lines)
    seen: set[str] = set()
    kept: list[int] = []
    for at, row in enumerate(table.to_dict("records")):
        if at in wrong:
            failures.append(_failure(row, "bad_row", wrong[at]))
        elif row["track_id"] in seen:
            message = f"{shown(path)} has track {row['track_id']} twice; the first is kept"
            failures.append(_failure(row, "duplicate_id", message))
        else:
            seen.add(row["track_id"])
            kept.append(at)
    at_lines = [lines[at] for at in kept]
    good = validate(table.iloc[kept], source=shown(path), lines=at_lines)
    return dict(zip(at_lines, good.to_dict("records"), strict=True))


def _with_labels(path: Path, rows: _Rows, several: Several, failures: list[Failure]) -> _Rows:
    """Return the rows with one label, or with several labels to keep."""
    kept: _Rows = {}
    for line, row in rows.items():
        names = labels_to_take(several_labels(row["label"]), several)
        why = refusal(f"{shown(path)}, line {line}", names, "write it into the column label")
        if why:
            failures.append(_failure(row, why.reason, why.message))
        else:
            kept[line] = row | {"label": names[0]}
    return kept


def _with_ids(path: Path, rows: _Rows, failures: list[Failure]) -> Iterator[dict[Any, Any]]:
    """Yield the rows; a row with neither id nor file gets an id from its names."""
    seen: set[str] = set()
    for line, row in rows.items():
        if "track_id" not in row and not row.get("path"):
            if not (row.get("isrc") or row.get("title")):
                message = "has no path, id, ISRC or title; fill one in"
                failures.append(bad_row(path, line, message))
                continue
            text = "\n".join(alike(str(row.get(name, ""))) for name in _NAMES)
            row["track_id"] = hashlib.sha256(text.encode()).hexdigest()[:16]
            if row["track_id"] in seen:
                message = f"{shown(path)}, line {line} repeats a track; the first row is kept"
                failures.append(_failure(row, "duplicate_id", message))
                continue
            seen.add(row["track_id"])
        yield row


def _with_facts(
    rows: _Rows, root: Path, failures: list[Failure], progress: Progress | None
) -> _Rows:
    """Return the rows without a file, and the rows with a usable file, filled in."""
    files: dict[int, Path] = {}
    bad: set[int] = set()
    disk = Disk()
    for line, row in rows.items():
        if not (given := str(row["path"])):
            continue
        inside = _found(given, root, disk)
        if isinstance(inside, Failure):
            failures.append(replace(inside, track_id=str(row.get("track_id", ""))))
            bad.add(line)
        else:
            row["path"] = inside
            files[line] = root / inside
    for line, failure in _again(rows, files):
        failures.append(failure)
        bad.add(line)
    files = {line: file for line, file in files.items() if line not in bad}
    results = inspect_all(list(files.values()), progress=progress)
    for line, result in zip(files, results, strict=True):
        if isinstance(result, AudioError):
            failures.append(_failure(rows[line], result.reason, str(result)))
            bad.add(line)
        else:
            add_facts(rows[line], result)
    return {line: row for line, row in rows.items() if line not in bad}


def _found(given: str, root: Path, disk: Disk) -> str | Failure:
    """Return the path of a file below a folder, or the reason why it is unusable."""
    text, is_file = from_text(given)
    if not is_file:
        message = f"{shown(given)} is not a file on this machine, and kit downloads none; get it"
        return Failure(given, STAGE, "not_a_file", message)
    there = disk.find(root, text)
    inside = below(there or root / text.replace("\\", "/"), root)
    if inside is None:
        message = (
            f"path {given!r} is outside {shown(root)}; correct it, or give a folder that contains "
            "it with --audio-root"
        )
        return Failure(given, STAGE, "path_outside", message)
    if there is None:
        message = f"{shown(root / inside)} does not exist; get it, or remove its row"
        return Failure(given, STAGE, "missing_file", message)
    return inside


def _again(rows: _Rows, files: Iterable[int]) -> Iterator[tuple[int, Failure]]:
    """Return the reason for leaving out each row that repeats a file, by line.

    The first row of a file stays, unless its rows have several labels.
    """
    of_path: dict[str, list[int]] = {}
    for line in files:
        of_path.setdefault(rows[line]["path"], []).append(line)
    for path, same in of_path.items():
        labels = tuple(dict.fromkeys(str(rows[line]["label"]) for line in same))
        two = refusal(shown(path), labels, "")
        why = f"{shown(path)} occurs in {len(same)} rows; the first one is kept"
        reason, why = (two.reason, two.message) if two else ("duplicate_path", why)
        for line in same if two else same[1:]:
            yield line, _failure(rows[line], reason, why)


def _failure(row: Mapping[Any, Any], reason: str, message: str) -> Failure:
    return Failure(
        path=str(row.get("path", "")),
        stage=STAGE,
        reason=reason,
        message=message,
        track_id=str(row.get("track_id", "")),
    )

"""Read the part of each track from a column, a file or the folders of a collection."""

import posixpath
from pathlib import Path
from typing import Any

import pandas as pd

from kit.catalogue.csv_file import read_csv
from kit.catalogue.schema import alike
from kit.catalogue.sources.entry import from_text
from kit.errors import UsageError

_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}


def given_parts(table: pd.DataFrame, given: str) -> list[str]:
    """Return the part of each track, "" for a track in no part.

    Args:
        table: one row per track: `track_id`, and `path`.
        given: "folders" (train/, validation/, test/ in the paths), a column of the table, or a CSV
            file with the columns `track_id` or `path`, and `part`.
    Raises:
        UsageError: fewer than two parts are given.
    """
    if given == "folders":
        parts = [_of_folder(_text(path)) for path in _column(table, "path")]
        why = "no path has a folder named train, validation or test"
    elif given in table:
        parts = [_text(cell) for cell in table[given]]
        why = f"the column {given} is empty"
    elif given.endswith(".csv"):
        parts = _of_file(table, Path(given))
        why = f"{given} names no track of the catalogue"
    else:
        raise UsageError(
            f"--given is {given!r}, which is not a column of the catalogue; use one of "
            f"{', '.join(map(str, table.columns))}, the name of a CSV file, or folders"
        )
    found = sorted(set(parts) - {""})
    if not found:
        raise UsageError(f"--given {given} gives no track a part: {why}")
    if len(found) == 1:
        raise UsageError(
            f"--given {given} gives only one part, {found[0]!r}; a split has at least two"
        )
    return parts


def _of_folder(path: str) -> str:
    folders = [alike(folder) for folder in path.split("/")[:-1]]
    return next((_FOLDERS[folder] for folder in folders if folder in _FOLDERS), "")


def _of_file(table: pd.DataFrame, path: Path) -> list[str]:
    given, _ = read_csv(path)
    by = next((name for name in ("track_id", "path") if name in given), None)
    if by is None or "part" not in given:
        raise UsageError(
            f"{path} has the columns {', '.join(map(str, given.columns))}; it needs part, and "
            "track_id or path"
        )
    form = _path if by == "path" else _text
    parts = {form(key): _text(part) for key, part in zip(given[by], given["part"], strict=True)}
    return [parts.get(form(key), "") for key in _column(table, by)]


def _column(table: pd.DataFrame, name: str) -> list[Any]:
    return list(table[name]) if name in table else [""] * len(table)


def _path(cell: Any) -> str:
    """Return the form of a path for comparisons."""
    text = from_text(_text(cell))[0].replace("\\", "/")
    return alike(posixpath.normpath(text)) if text else ""


def _text(cell: Any) -> str:
    return "" if pd.isna(cell) else str(cell).strip()

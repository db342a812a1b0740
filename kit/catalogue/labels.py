"""Read labels from the genre tag or from a table of labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue.csv_file import read_rows
from kit.catalogue.names import parse
from kit.catalogue.scan import Labeller
from kit.catalogue.schema import Several, labels_to_take, several_labels
from kit.catalogue.sources.entry import Disk, absolute, from_text
from kit.catalogue.tags import genres, isrc
from kit.errors import UsageError

CORRECTION = "suggested"
"""Column of a table that corrects some labels and leaves the others unchanged."""


def by_genre(several: Several = "first") -> Labeller:
    """Return the rule that a track's label is its genre; `several` handles several genres."""

    def of(_path: Path, row: Mapping[str, Any]) -> tuple[str, ...]:
        return labels_to_take(genres(str(row.get("genre", ""))), several)

    def remedy(row: Mapping[str, Any]) -> str:
        text = str(row.get("genre", ""))
        why = f"its genre tag {text!r} is a placeholder: " if text else ""
        return f"{why}write its genre tag, or use --labels CSV_FILE"

    return Labeller(of, remedy)


def by_table(file: Path | str, folder: Path | str, several: Several = "each") -> Labeller:
    """Return the rule that a CSV gives the label of each track.

    The CSV has a column `label`, and `path`, `isrc`, or `artist` and `title` to find tracks by.

    A track is looked up by its path, then by its ISRC, then by artist and title, ignoring case,
    accents, punctuation, featured artists and "Original Mix". A CSV with a column `suggested`, such
    as the doubtful.csv of `kit evaluate`, contains corrections: other tracks keep the label of
    their folder.

    Args:
        file: CSV with a header; cells may be empty.
        folder: root of relative paths; its subfolders are the labels that corrections change.
        several: how to treat a label such as "house; vocal".
    Raises:
        UsageError: the file cannot be read, or lacks the columns.
    """
    found = read_rows(Path(file))
    table = found.table
    if "title" not in table:
        table = table.rename(columns={"name": "title"})
    known = [
        names for names in (("path",), ("isrc",), ("artists", "title")) if {*names} <= {*table}
    ]
    if "label" not in table or not known:
        raise UsageError(
            f"{shown(file)} needs a column label, and path, isrc, or artist and title; it has "
            f"{', '.join(map(repr, table.columns))}"
        )
    labels: dict[tuple[Any, ...], dict[str, None]] = {}
    disk = Disk()
    for row in table.to_dict("records"):
        found_labels = labels_to_take(several_labels(str(row["label"])), several)
        given = str(row.get("path", ""))
        path = Path(folder) / from_text(given)[0] if given else None
        if path is not None and (there := disk.find(Path(folder), str(path))):
            path = Path(there)
        for key in _keys(row, path):
            for label in found_labels:
                labels.setdefault(key, {}).setdefault(label)

    corrects = CORRECTION in table

    def of(path: Path, row: Mapping[str, Any]) -> tuple[str, ...]:
        found = (labels[key] for key in _keys(row, path) if key in labels)
        return tuple(next(found, ())) or (_of_folder(path, Path(folder)) if corrects else ())

    remedy = f"add a row for it to {shown(file)}"
    return Labeller(of, lambda _: remedy, tuple(found.bad), found.warnings)


def _of_folder(path: Path, folder: Path) -> tuple[str, ...]:
    if not path.is_relative_to(folder):
        return ()
    return path.relative_to(folder).parts[:-1][:1]


def _keys(row: Mapping[Any, Any], path: Path | None) -> list[tuple[Any, ...]]:
    """Return the lookup keys of a track, the most reliable first."""
    keys: list[tuple[Any, ...]] = []
    if path is not None:
        keys.append(("path", absolute(path)))
    if code := isrc(str(row.get("isrc", ""))):
        keys.append(("isrc", code))
    name = parse(str(row.get("artists", "")), str(row.get("title", "")))
    if name.artists and name.title:
        keys.append(("name", *name.key))
    return keys

"""Read the labels to write from a file of `kit predict` or from a catalogue."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue import load
from kit.catalogue.csv_file import read_rows
from kit.catalogue.failures import Failure
from kit.catalogue.schema import is_plain, several_labels
from kit.catalogue.sources.entry import absolute
from kit.catalogue.tags import read_tags
from kit.errors import UsageError

STAGE = "write"


@dataclass(frozen=True)
class Track:
    """A file and the labels to write for it."""

    path: Path
    labels: tuple[str, ...]

    def names(self) -> tuple[str, str]:
        """Return the artists and the title in the file's tags; without tags, the file's name."""
        tags = read_tags(self.path)
        return tags.artists, tags.title or self.path.stem


@dataclass
class Labels:
    """Files with their labels, each once, rows that cannot be used, and numbers of predictions.

    `uncertain` ones were left out; `unjudged` ones have no measured certainty.
    """

    tracks: list[Track] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    uncertain: int = 0
    unjudged: int = 0


def read_labels(source: Path, *, uncertain: bool = False) -> Labels:
    """Read the label of each file.

    Args:
        source: CSV or JSON lines of `kit predict`, or the folder of a catalogue. Relative paths in
            predictions are relative to the current folder, as for `kit predict`.
        uncertain: also use predictions that are marked as uncertain.
    Returns:
        The files that exist, and a failure for each other row.
    Raises:
        UsageError: the source is neither.
    """
    found = Labels()
    if source.is_dir():
        rows: Iterator[Mapping[str, Any]] = _of_catalogue(source)
    elif source.suffix.lower() == ".csv":
        table = read_rows(source)
        found.failures += table.bad
        rows = iter(table.table.to_dict("records"))  # pyright: ignore[reportAssignmentType]
    else:
        rows = _of_json(source)
    labels: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if "label" not in row or "path" not in row:
            raise UsageError(
                f"{shown(source)} has no column {'path' if 'label' in row else 'label'}; give what "
                "kit predict --out wrote, or the folder of a catalogue"
            )
        if reason := row.get("reason"):
            # `kit predict` could not use the file.
            message = shown(str(row.get("message") or f"{row['path']}: {reason}"))
            found.failures.append(Failure(shown(str(row["path"])), STAGE, str(reason), message))
            continue
        doubt = str(row.get("uncertain", "no")).lower()
        if doubt == "true" and not uncertain:
            found.uncertain += 1
            continue
        found.unjudged += doubt in ("", "none")
        path, names = absolute(str(row["path"])), several_labels(str(row["label"]))
        reason, what = "", ""
        if not row["path"]:
            reason, what = "missing_file", "a row has no path"
        elif not is_plain(path):
            reason, what = "bad_name", "has control characters or is not UTF-8; rename it"
        elif not Path(path).is_file():
            reason, what = (
                "missing_file",
                "does not exist; run kit write in the folder in which kit predict ran",
            )
        elif not names:
            reason, what = "no_label", "has no label; write one into the table"
        elif labels.setdefault(path, names) != names:
            reason, what = "two_labels", "has two labels; remove one of its rows"
            labels[path] = ()
        if reason:
            name = shown(path) if row["path"] else ""
            found.failures.append(Failure(name, STAGE, reason, f"{name} {what}".strip()))
    found.tracks = [Track(Path(path), names) for path, names in labels.items() if names]
    return found


def _of_catalogue(folder: Path) -> Iterator[Mapping[str, Any]]:
    catalogue = load(folder)
    for _, row in catalogue.table.iterrows():
        path = str(catalogue.path_of(row)) if row.get("path") else ""
        yield {"path": path, "label": row["label"]}


def _of_json(source: Path) -> Iterator[Mapping[str, Any]]:
    try:
        lines = source.read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line is not an object")
    except OSError as error:
        raise UsageError(f"{shown(source)} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(
            f"{shown(source)} is not JSON lines ({error}); give what kit predict --out wrote, or "
            "the folder of a catalogue"
        ) from error
    yield from rows

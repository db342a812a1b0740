"""`failures.csv`: the tracks left out of a catalogue, with stage and reason."""

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.files import atomic_write

NAME = "failures.csv"


@dataclass(frozen=True)
class Failure:
    """A file, row or track that could not be used.

    Attributes:
        path: the file or folder, as one line of UTF-8 (`kit.audio.errors.shown`).
        stage: the stage that failed, such as "scan" or "features".
        reason: category, such as "truncated" (`AudioError.reason`).
        message: one line for the user, with a remedy.
        track_id: id of the track, if known.
        length_s: length of a track that is too short, seconds; else None.

    Example:
        >>> kit.catalogue.Failure("a.mp3", "scan", "empty", "a.mp3 has 0 bytes").reason
        'empty'
    """

    path: str
    stage: str
    reason: str
    message: str
    track_id: str = ""
    length_s: float | None = None


_FIELDS = [field.name for field in dataclasses.fields(Failure)]


def read_failures(folder: Path | str) -> list[Failure]:
    """Return the rows of a catalogue's `failures.csv`; none if the file is missing.

    Raises:
        KitError: the file cannot be read, or has other columns.

    Example:
        >>> kit.catalogue.read_failures("data/tones")
        []
    """
    path = Path(folder) / NAME
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise KitError(
            f"cannot read {path} ({error}); delete it, and kit makes a new one"
        ) from error
    # Files of earlier versions end with the column track_id.
    whole = bool(rows) and rows[0] in (_FIELDS, _FIELDS[:-1])
    if not whole or any(len(row) != len(rows[0]) for row in rows):
        raise KitError(
            f"{path} should have the columns {', '.join(_FIELDS)}; delete it, and kit makes a new "
            "one"
        )
    try:
        return [_failure(*row) for row in rows[1:]]
    except ValueError as error:
        raise KitError(f"{path}: {error}; delete it, and kit makes a new one") from error


def _failure(path: str, stage: str, reason: str, message: str, id_: str, s: str = "") -> Failure:
    return Failure(path, stage, reason, message, id_, float(s) if s else None)


def write_failures(folder: Path | str, stage: str, failures: Iterable[Failure]) -> None:
    """Replace the rows of one stage in `failures.csv` atomically, and keep all others.

    A file that has these rows already is not written.

    Args:
        folder: the catalogue's folder.
        stage: the stage whose rows are replaced.
        failures: the new rows.
    Raises:
        KitError: the file cannot be read or written.

    Example:
        >>> failure = kit.catalogue.Failure("a.mp3", "scan", "empty", "a.mp3 has no bytes")
        >>> kit.catalogue.write_failures(".", "scan", [failure])
        >>> [one.path for one in kit.catalogue.read_failures(".")]
        ['a.mp3']
    """
    before, new = read_failures(folder), list(failures)
    path = Path(folder) / NAME
    if path.is_file() and new == [failure for failure in before if failure.stage == stage]:
        return
    rows = [failure for failure in before if failure.stage != stage] + new
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_FIELDS)
        writer.writerows([_line(v) for v in dataclasses.astuple(row)] for row in rows)


def _line(value: str | float | None) -> str:
    # One line per row, so that grep can search the file.
    return "" if value is None else " ".join(str(value).split())

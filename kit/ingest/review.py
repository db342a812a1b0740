"""`match-review.csv`: doubtful matches for the user to decide, and the decisions."""

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.files import atomic_write

NAME = "match-review.csv"

_YES = {"yes", "y", "true", "1", "x"}
_NO = {"no", "n", "false", "0"}


@dataclass(frozen=True)
class Question:
    """Answer to whether a file is the audio of a row.

    Attributes:
        track_id: id of the row.
        artists: artists of the row.
        title: title of the row.
        duration_s: length in the row, seconds; "" if unknown.
        file: absolute path of the file.
        file_artists: artists by the file's tags, or by its name.
        file_title: title by the file's tags, or by its name.
        file_duration_s: length of the file, seconds.
        score: 0 to 100.
        why: agreements and differences.
        accept: yes, no, or empty.
    """

    track_id: str
    artists: str
    title: str
    duration_s: str
    file: str
    file_artists: str
    file_title: str
    file_duration_s: str
    score: str
    why: str
    accept: str = ""

    @property
    def answer(self) -> bool | None:
        """The decision; None if the cell is empty or not understood."""
        word = self.accept.strip().casefold()
        return True if word in _YES else False if word in _NO else None


_FIELDS = [field.name for field in dataclasses.fields(Question)]


def read_review(folder: Path) -> list[Question]:
    """Return the questions in a catalogue's folder, or an empty list if there is no file.

    The columns may be in any order, and there may be others.

    Raises:
        KitError: the file cannot be read, or it lacks a column.
    """
    path = folder / NAME
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"cannot read {path} ({error}); save it as UTF-8, or delete it") from error
    first = text.partition("\n")[0]
    # In many countries spreadsheets separate cells with a semicolon.
    comma = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = list(csv.DictReader(text.splitlines(keepends=True), delimiter=comma))
    except csv.Error as error:
        raise KitError(f"{path} is not valid CSV ({error}); correct it, or delete it") from error
    for number, row in enumerate(rows, start=1):
        if missing := [name for name in _FIELDS if row.get(name) is None]:
            raise KitError(
                f"{path}, row {number} has no cell {missing[0]!r}; restore it, or delete the file "
                "and run kit ingest match again"
            )
    return [Question(**{name: row[name] for name in _FIELDS}) for row in rows]


def write_review(folder: Path, questions: Iterable[Question]) -> None:
    """Replace the file; make none if there is no question and was none before.

    Raises:
        KitError: it cannot be written.
    """
    rows = [dataclasses.astuple(question) for question in questions]
    if not rows and not (folder / NAME).exists():
        return
    with atomic_write(folder / NAME) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_FIELDS)
        writer.writerows(rows)

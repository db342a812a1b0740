"""`match-review.csv`: the matches that a person has to decide, and what was decided."""

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
    """Whether a file is the audio of a row.

    Attributes:
        track_id: the row.
        artists: of the row.
        title: of the row.
        duration_s: of the row, seconds; "" if unknown.
        file: the absolute path.
        file_artists: by its tags, or by its name.
        file_title: by its tags, or by its name.
        file_duration_s: seconds.
        score: 0 to 100.
        why: what agrees and what does not.
        accept: yes, no, or nothing yet.
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
        """The decision; None as long as there is none that can be understood."""
        word = self.accept.strip().casefold()
        return True if word in _YES else False if word in _NO else None


_FIELDS = [field.name for field in dataclasses.fields(Question)]


def read_review(folder: Path) -> list[Question]:
    """The questions of a catalogue's folder, answered or not; none if there is no file.

    Columns may stand in any order, and others may be there too.

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
    # Spreadsheets of half the world write a semicolon between cells.
    comma = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = list(csv.DictReader(text.splitlines(keepends=True), delimiter=comma))
    except csv.Error as error:
        raise KitError(f"{path} is not valid CSV ({error}); correct it, or delete it") from error
    for number, row in enumerate(rows, start=1):
        if missing := [name for name in _FIELDS if row.get(name) is None]:
            raise KitError(
                f"{path}, row {number} has no cell {missing[0]!r}; restore it, or delete the file "
                "and match anew"
            )
    return [Question(**{name: row[name] for name in _FIELDS}) for row in rows]


def write_review(folder: Path, questions: Iterable[Question]) -> None:
    """Replace the file; with nothing to ask, and nothing asked before, there is none.

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

"""`match-review.csv`: doubtful matches for the user to decide, and the decisions."""

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kit.catalogue.csv_file import read_rows
from kit.errors import UsageError
from kit.files import atomic_write

NAME = "match-review.csv"

# In English, German, French, Spanish, Italian, Portuguese and Dutch: a spreadsheet writes TRUE in
# its own language.
_YES = frozenset(
    (
        *("yes", "y", "true", "1", "x", "ok", "✓", "✔", "ja", "j", "wahr", "oui", "o", "vrai"),
        *("si", "sí", "s", "verdadero", "vero", "sim", "verdadeiro", "waar"),
    )
)
_NO = frozenset(
    (
        *("no", "n", "false", "0", "✗", "✘", "nein", "falsch", "non", "faux", "falso"),
        *("não", "nao", "nee", "onwaar"),
    )
)


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
        word = self.accept.strip().casefold().rstrip(".!")
        return True if word in _YES else False if word in _NO else None


_FIELDS = [field.name for field in dataclasses.fields(Question)]


def read_review(folder: Path) -> list[Question]:
    """Return the questions in a catalogue's folder, or an empty list if there is no file.

    Its columns may be in any order; only `track_id`, `file` and `accept` are needed.

    Raises:
        UsageError: the file or a row of it cannot be read, or it lacks a column.
    """
    path = folder / NAME
    if not path.exists():
        return []
    found = read_rows(path, least=0)
    if found.bad:
        raise UsageError(found.bad[0].message)
    if missing := [name for name in ("track_id", "file", "accept") if name not in found.table]:
        raise UsageError(
            f"{path} has no column {missing[0]}; restore it, or delete the file and run kit ingest "
            "match again"
        )
    rows = found.table.reindex(columns=_FIELDS, fill_value="").to_dict("records")
    return [Question(**{str(name): cell for name, cell in row.items()}) for row in rows]


def write_review(folder: Path, questions: Iterable[Question]) -> None:
    """Replace the file. Without questions, no new file is made.

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

"""`match-review.csv`: doubtful matches, and the user's answers to them."""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kit.audio.errors import shown
from kit.catalogue import Failure
from kit.catalogue.csv_file import read_rows
from kit.catalogue.io import write_csv
from kit.catalogue.schema import alike, is_plain
from kit.catalogue.sources.entry import Disk
from kit.errors import UsageError
from kit.ingest.spreadsheet import is_unreadable, may_be

NAME = "match-review.csv"
STAGE = "match"

# In English, German, French, Spanish, Italian, Portuguese and Dutch: spreadsheets translate TRUE.
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
    """Question whether a file (absolute path) is the audio of a row, with its answer, as text.

    Lengths are in seconds, the score is 0 to 100, and `accept` is yes, no or empty.
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
        """The answer; None if the cell is empty or invalid."""
        word = self.accept.strip().casefold().rstrip(".!")
        return True if word in _YES else False if word in _NO else None


_FIELDS = [field.name for field in dataclasses.fields(Question)]


def read_review(folder: Path) -> list[Question]:
    """Return the questions in a catalogue's folder; none if the file is missing.

    Columns may be in any order; only `track_id`, `file` and `accept` are required.

    Raises:
        UsageError: the file or a row cannot be read, or a column is missing.
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
    """Replace the file; without questions, no new file is made."""
    table = pd.DataFrame(questions, columns=_FIELDS)
    if len(table) or (folder / NAME).exists():
        write_csv(table, folder / NAME)


def restored(
    asked: Iterable[Question],
    rows: Sequence[Mapping[Any, Any]],
    files: Iterable[str],
    failures: list[Failure],
) -> list[Question]:
    """Restore track ids and file names that a spreadsheet changed, and drop repeated questions.

    An unknown id is replaced if it can mean only one track. Unanswered questions about an unknown
    track are removed.

    Args:
        asked: the questions in the file.
        rows: all rows of the catalogue.
        files: paths of the known audio files.
        failures: receives answers about unknown tracks, and answers that are neither yes nor no.
    """
    names = {str(row["track_id"]): _names(row.get("artists"), row.get("title")) for row in rows}
    disk, known = Disk(), set(files)
    kept: dict[Question, None] = {}
    for question in asked:
        ids = _ids(question, names)
        if len(ids) == 1:
            file = _file(question.file, known, disk)
            question = replace(question, track_id=ids[0], file=file)
        elif question.accept.strip():
            could = f"may be track {' or '.join(ids)}" if ids else "is not a track of the catalogue"
            message = (
                f"{NAME}: {question.track_id!r} {could}, so the answer {question.accept!r} for "
                f"{shown(question.file)} was ignored; if a spreadsheet changed the id, restore it, "
                "and load that column as text"
            )
            failures.append(_failure(question, "unknown_track", message))
        if question.accept.strip() and question.answer is None:
            message = f"{NAME}: the answer {question.accept!r} is neither yes nor no; write one"
            failures.append(_failure(question, "bad_answer", message))
        if len(ids) == 1 or question.answer is not None:
            kept.setdefault(question)
    return list(kept)


def accepted(
    rows: Iterable[Mapping[Any, Any]],
    asked: Iterable[Question],
    audio: Mapping[str, str],
    failures: list[Failure],
) -> dict[str, str]:
    """Return the accepted file of each row without audio.

    Args:
        rows: the rows without audio.
        asked: questions, answered or not.
        audio: track_id by the absolute path of its file, for the other rows.
        failures: receives contradictory answers.
    """
    missing = {str(row["track_id"]) for row in rows}
    answers = {(q.track_id, os.path.normpath(q.file)): q.answer for q in asked if q.answer}
    no = {(q.track_id, os.path.normpath(q.file)) for q in asked if q.answer is False}
    of_track = Counter(track for track, _ in answers if track in missing)
    of_file = Counter(file for track, file in answers if track in missing)
    has_audio = set(audio.values())
    good: dict[str, str] = {}
    for track, file in answers:
        if track in missing and (track, file) in no:
            reason = "two_answers"
            why = f"{file} is accepted and refused for {track}; keep one answer"
        elif of_track[track] > 1:
            reason, why = "two_files", f"track {track} has several accepted files; keep one"
        elif of_file[file] > 1:
            reason, why = "two_rows", f"{file} is accepted for several tracks; keep one"
        elif not Path(file).is_absolute() or not is_plain(file):
            reason, why = "missing_file", f"{shown(file)} is not an absolute path; restore the cell"
        elif track in missing and file in audio:
            reason, why = "two_rows", f"{file} is already the audio of another track; write no"
        elif track in has_audio and audio.get(file) != track and Path(file).exists():
            reason = "two_files"
            why = f"track {track} has other audio than {file}; write no, or empty its path"
        elif track in missing:
            good[track] = file
            continue
        else:
            continue
        failures.append(Failure(file, STAGE, reason, why, track))
    return good


def _ids(question: Question, names: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return the ids that a question's track may have."""
    cell = question.track_id
    if cell in names:
        return [cell]
    ids = [track for track in names if is_unreadable(cell) or may_be(track, cell)]
    asked = _names(question.artists, question.title)
    if len(ids) > 1 or is_unreadable(cell):
        ids = [track for track in ids if any(asked) and names[track] == asked] or ids
    return [] if len(ids) > 1 and is_unreadable(cell) else ids


def _file(cell: str, known: set[str], disk: Disk) -> str:
    """Return the file that a cell names; the unchanged cell if no file or several match."""
    if cell in known or not Path(cell).is_absolute():
        return cell
    if found := disk.find(Path("/"), cell):
        return found
    # Spreadsheets save characters that their encoding lacks as question marks.
    pattern = re.compile(".".join(map(re.escape, re.split("[?\ufffd]", alike(cell)))))
    could = [file for file in known if pattern.fullmatch(alike(file))]
    return could[0] if len(could) == 1 else cell


def _names(artists: Any, title: Any) -> tuple[str, str]:
    return alike(str(artists or "")), alike(str(title or ""))


def _failure(question: Question, reason: str, message: str) -> Failure:
    return Failure(shown(question.file), STAGE, reason, message, question.track_id)

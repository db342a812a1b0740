"""`match-review.csv`: doubtful matches for the user to decide, and the decisions.

A spreadsheet may have changed its cells.
"""

import csv
import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue import Failure
from kit.catalogue.csv_file import read_rows
from kit.catalogue.schema import alike, is_plain
from kit.catalogue.sources.entry import Disk
from kit.errors import UsageError
from kit.files import atomic_write
from kit.ingest.spreadsheet import is_unreadable, may_be

NAME = "match-review.csv"
STAGE = "match"

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


def restored(
    asked: Iterable[Question],
    rows: Sequence[Mapping[Any, Any]],
    files: Iterable[str],
    failures: list[Failure],
) -> list[Question]:
    """Return the questions with the ids of their rows and the names of their files, each once.

    An id that the catalogue does not have is replaced if it can be one track only. Questions
    without an answer whose track is not known are removed.

    Args:
        asked: as they are in the file.
        rows: all rows of the catalogue.
        files: paths of the audio files that are known.
        failures: gets the answers whose track is not known, or that are neither yes nor no.
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
            could = f"may be track {' or '.join(ids)}" if ids else "is no track of the catalogue"
            failures.append(
                _failure(
                    question,
                    "unknown_track",
                    f"{NAME}: {question.track_id!r} {could}, so its answer "
                    f"{question.accept!r} for {shown(question.file)} was not followed; did a "
                    "spreadsheet change it? Restore the id, and load that column as text",
                )
            )
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
        failures: gets the answers that contradict each other.
    """
    missing = {str(row["track_id"]) for row in rows}
    answers = {(q.track_id, os.path.normpath(q.file)): q.answer for q in asked if q.answer}
    pairs = [(track, file) for track, file in answers if track in missing]
    no = {(q.track_id, os.path.normpath(q.file)) for q in asked if q.answer is False}
    of_track = Counter(track for track, _ in pairs)
    of_file = Counter(file for _, file in pairs)
    has_audio = set(audio.values())
    good: dict[str, str] = {}
    for track, file in answers:
        if track in missing and (track, file) in no:
            reason, why = "two_answers", f"{file} is accepted and refused for {track}; leave one"
        elif of_track[track] > 1:
            reason, why = "two_files", f"track {track} has several accepted files; leave one"
        elif of_file[file] > 1:
            reason, why = "two_rows", f"{file} is accepted for several tracks; leave one"
        elif not Path(file).is_absolute() or not is_plain(file):
            reason, why = "missing_file", f"{shown(file)} is not an absolute path; restore the cell"
        elif track in missing and file in audio:
            reason, why = "two_rows", f"{file} is the audio of another track already; write no"
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
    """Return the tracks that a question may be about."""
    cell = question.track_id
    if cell in names:
        return [cell]
    ids = [track for track in names if is_unreadable(cell) or may_be(track, cell)]
    asked = _names(question.artists, question.title)
    if len(ids) > 1 or is_unreadable(cell):
        ids = [track for track in ids if any(asked) and names[track] == asked] or ids
    return [] if len(ids) > 1 and is_unreadable(cell) else ids


def _file(cell: str, known: set[str], disk: Disk) -> str:
    """Return the file that a cell names; the cell as it is if none or several could be meant."""
    if cell in known or not Path(cell).is_absolute():
        return cell
    if found := disk.find(Path("/"), cell):
        return found
    # Signs that the encoding of a spreadsheet lacks are saved as question marks.
    pattern = re.compile(".".join(map(re.escape, re.split("[?\ufffd]", alike(cell)))))
    could = [file for file in known if pattern.fullmatch(alike(file))]
    return could[0] if len(could) == 1 else cell


def _names(artists: Any, title: Any) -> tuple[str, str]:
    return alike(str(artists or "")), alike(str(title or ""))


def _failure(question: Question, reason: str, message: str) -> Failure:
    return Failure(shown(question.file), STAGE, reason, message, question.track_id)

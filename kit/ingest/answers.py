"""Follow the answers of `match-review.csv`, also where a spreadsheet has changed their cells."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue import Failure
from kit.catalogue.schema import alike, is_plain
from kit.catalogue.sources.entry import Disk
from kit.ingest.review import NAME, Question
from kit.ingest.spreadsheet import is_unreadable, may_be

STAGE = "match"


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

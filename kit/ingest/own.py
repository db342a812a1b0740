"""Match rows without audio to the files of a folder, and attach the files."""

import contextlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure, Scan, load, read_failures, save, write_failures
from kit.catalogue.inspect import Facts, Progress, hash_file, inspect_all
from kit.catalogue.io import META, add_facts, rebased
from kit.catalogue.rights import OWN
from kit.catalogue.scan import STAGE as SCAN
from kit.catalogue.scan import bad_name, finish, walk
from kit.catalogue.schema import is_absent, is_plain, one_line
from kit.catalogue.tags import isrc
from kit.errors import UsageError
from kit.ingest.match import Decision, Item, match
from kit.ingest.previews.targets import AUDIO
from kit.ingest.review import STAGE, Question, accepted, read_review, restored, write_review
from kit.lock import only_one

# Track number before the title in a file name, of a disc or of the side of a record.
_NUMBER = re.compile(r"(?:\d{1,3}(?:-\d{1,3})?|[A-H]\d{1,2})(?:\s*[-._)]\s*|\s+)(?=\S)")


@dataclass(frozen=True)
class Joined:
    """A catalogue after the matching, and the questions, answered and open.

    `without` counts rows that had no audio before, `by` those with a new file by pass or "answer".
    """

    scan: Scan
    questions: tuple[Question, ...]
    failures: tuple[Failure, ...]
    without: int
    by: Mapping[str, int]

    @property
    def asked(self) -> int:
        """Number of rows with an open question."""
        return len({q.track_id for q in self.questions if q.answer is None})


def join(
    catalogue: Catalogue,
    folder: Path,
    asked: Sequence[Question],
    *,
    progress: Progress | None = None,
) -> Joined:
    """Attach the files of a folder to matching rows without audio.

    Raises:
        UsageError: the folder has no audio, or its name cannot be written.
    """
    folder = folder.resolve()
    rows = [dict(row) for row in catalogue.table.to_dict("records")]
    failures: list[Failure] = []
    used = _used(catalogue)
    files = _files(folder, used, failures, progress)
    without = [row for row in rows if not row.get("path")]
    asked = restored(asked, rows, [*map(str, files), *used], failures)
    given = accepted(without, asked, used, failures)
    no = {(q.track_id, q.file) for q in asked if q.answer is False}

    open_rows = [row for row in without if str(row["track_id"]) not in given]
    open_files = [path for path in files if str(path) not in set(given.values())]
    items = [_item(row) for row in open_rows], [_file_item(p, files[p]) for p in open_files]
    ids = {str(row["track_id"]): at for at, row in enumerate(open_rows)}
    places = {str(path): at for at, path in enumerate(open_files)}
    refused = {(ids[t], places[f]) for t, f in no if t in ids and f in places}
    decision = match(*items, refused=refused)

    # Answered questions, and open ones about files of other folders.
    kept = [
        q
        for q in asked
        if q.answer is not None or (q.track_id in ids and not Path(q.file).is_relative_to(folder))
    ]

    found = {str(open_rows[m.row]["track_id"]): str(open_files[m.file]) for m in decision.sure}
    how = {str(open_rows[m.row]["track_id"]): m.by for m in decision.sure}
    root = _root(catalogue, folder, [*given.values(), *found.values()])
    old = catalogue.audio_root.resolve()
    for row in rows:
        if row.get("path"):
            row["path"] = rebased(row["path"], old, root)
    taken = _attach(without, found | given, root, failures)
    scan = finish(rows, [f for f in read_failures(catalogue.folder) if f.stage == SCAN], root)
    return Joined(
        scan=replace(scan, notices=catalogue.notices),
        questions=(
            *kept,
            *_questions(decision, open_rows, open_files, items),
        ),
        failures=tuple(failures),
        without=len(without),
        by=Counter(how.get(track, "answer") for track in taken),
    )


def match_folder(
    catalogue: Path, folder: Path, out: Path, *, progress: Progress | None = None
) -> Joined:
    """Match a catalogue on disk to a folder of files, and write the result and the questions.

    Raises:
        KitError: another run writes into `out`, or it cannot be written.
    """
    # A download of previews writes to the same table, and may change the root of its paths.
    alone = only_one(out / AUDIO, "matches files or downloads previews for")
    with alone if (out / META).is_file() else contextlib.nullcontext():
        before = load(catalogue)
        joined = join(before, folder, read_review(out), progress=progress)
        # The answers are written last, so that a run that stops earlier does not lose them.
        save(joined.scan, out)
        write_failures(out, STAGE, joined.failures)
        write_review(out, joined.questions)
    return joined


def _used(catalogue: Catalogue) -> dict[str, str]:
    """Return the track_id of each file of the catalogue, by absolute path."""
    root = catalogue.audio_root.resolve()
    return {
        os.path.normpath(root / row["path"]): str(row["track_id"])
        for row in catalogue.table.to_dict("records")
        if row.get("path")
    }


def _files(
    folder: Path, used: Mapping[str, str], failures: list[Failure], progress: Progress | None
) -> dict[Path, Facts]:
    """Return usable files without a row, without hashes, one of each set of copies."""
    if not is_plain(str(folder)):
        raise UsageError(bad_name(folder))
    below = walk(folder)
    failures += [replace(failure, stage=STAGE) for failure in below.failures]
    paths = [folder / file for file in sorted(below.files, key=os.fsencode)]
    if not paths:
        raise UsageError(f"{shown(folder)} contains no audio; give a folder of audio files")
    paths = [path for path in paths if str(path) not in used]
    good: dict[Path, Facts] = {}
    for path, result in zip(
        paths, inspect_all(paths, hashed=False, progress=progress), strict=True
    ):
        if isinstance(result, AudioError):
            failures.append(Failure(shown(path), STAGE, result.reason, str(result)))
        else:
            good[path] = result
    return _once(good)


def _once(files: Mapping[Path, Facts]) -> dict[Path, Facts]:
    """Keep the first of identical files: copies would tie and be doubtful."""
    # A file that is gone by now is reported when it is attached.
    alike: dict[tuple[int, float], list[Path]] = defaultdict(list)
    for path, facts in files.items():
        with contextlib.suppress(OSError):
            alike[path.stat().st_size, facts.duration_s].append(path)
    copies: set[Path] = set()
    for paths in alike.values():
        seen: set[str] = set()
        for path in paths if len(paths) > 1 else ():
            with contextlib.suppress(AudioError):
                digest = hash_file(path)
                copies |= {path} if digest in seen else set()
                seen.add(digest)
    return {path: facts for path, facts in files.items() if path not in copies}


def _item(row: Mapping[Any, Any]) -> Item:
    def text(name: str) -> str:
        return "" if is_absent(row.get(name)) else str(row[name])

    length = 0.0
    if not is_absent(row.get("duration_s")):
        length = float(row["duration_s"])
    elif not is_absent(row.get("duration_ms")):
        length = float(row["duration_ms"]) / 1000
    return Item(text("artists"), text("title"), isrc(text("isrc")), length or float("nan"))


def _file_item(path: Path, facts: Facts) -> Item:
    tags = facts.tags
    artists, title = tags.artists, tags.title
    if not title:
        title = _NUMBER.sub("", one_line(path.stem.replace("_", " ")), count=1)
    if not artists and " - " in title:
        artists, _, title = title.partition(" - ")
    return Item(artists, title, tags.isrc, facts.duration_s)


def _root(catalogue: Catalogue, folder: Path, files: Sequence[str]) -> Path:
    """Return the deepest folder that contains the old and the new audio of the catalogue."""
    if not files:
        return catalogue.audio_root.resolve()
    tops = [folder if Path(file).is_relative_to(folder) else Path(file).parent for file in files]
    if _used(catalogue):
        tops.append(catalogue.audio_root.resolve())
    return Path(os.path.commonpath(sorted(set(tops))))


def _attach(
    rows: Iterable[dict[Any, Any]],
    file_of: Mapping[str, str],
    root: Path,
    failures: list[Failure],
) -> list[str]:
    """Hash and read the files, fill in their rows, and return the tracks that got a file."""
    wanted = [row for row in rows if str(row["track_id"]) in file_of]
    files = [Path(file_of[str(row["track_id"])]) for row in wanted]
    taken = []
    for row, path, facts in zip(wanted, files, inspect_all(files), strict=True):
        track = str(row["track_id"])
        if isinstance(facts, AudioError):
            failures.append(Failure(shown(path), STAGE, facts.reason, str(facts), track))
            continue
        add_facts(row, facts)
        row |= {"path": path.relative_to(root).as_posix(), "audio_source": OWN}
        taken.append(track)
    return taken


def _questions(
    decision: Decision,
    rows: Sequence[Mapping[Any, Any]],
    files: Sequence[Path],
    items: tuple[Sequence[Item], Sequence[Item]],
) -> Iterable[Question]:
    def seconds(item: Item) -> str:
        return "" if item.duration_s != item.duration_s else f"{item.duration_s:.1f}"

    for found in decision.doubtful:
        row, file = items[0][found.row], items[1][found.file]
        yield Question(
            track_id=str(rows[found.row]["track_id"]),
            artists=row.artists,
            title=row.title,
            duration_s=seconds(row),
            file=str(files[found.file]),
            file_artists=file.artists,
            file_title=file.title,
            file_duration_s=seconds(file),
            score=f"{found.score:.0f}",
            why=found.why,
        )

"""Make a table of tracks from a folder of audio; its subfolders are the labels."""

import os
import shlex
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.artist_from import ArtistFrom, fill_artist
from kit.catalogue.failures import Failure
from kit.catalogue.inspect import Progress, inspect_all
from kit.catalogue.scan_warnings import one_case, warnings_of
from kit.catalogue.schema import (
    alike,
    is_plain,
    label_form,
    validate,
)
from kit.errors import UsageError

STAGE = "scan"

_SNDFILE = (
    *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "mpga"),
    *("aif", "aiff", "aifc", "au", "snd", "caf"),
)
# These need ffmpeg or decoders of the system.
_AUDIOREAD = ("m4a", "m4b", "mp4", "aac", "wma", "wv", "ape", "mka", "webm")

AUDIO_EXTENSIONS = frozenset((*_SNDFILE, *_AUDIOREAD))
"""Extensions of audio files, without the dot, in lower case; other files are ignored."""

# System folders with deleted files, previews and old versions: Windows, Synology, QNAP, macOS.
_SYSTEM = frozenset(
    (
        *("$recycle.bin", "recycler", "recycled", "system volume information"),
        *("#recycle", "#snapshot", "@eadir", "@tmp", "@recycle", "@recently-snapshot"),
        *("@__thumb", "__macosx", "network trash folder", "temporary items"),
        "~snapshot",
    )
)
_SYSTEM_AT_THE_TOP = frozenset(("lost+found", "found.000"))


@dataclass(frozen=True, eq=False)
class Scan:
    """A table of tracks, and the failures and warnings of the scan that made it.

    Attributes:
        table: one row per track, with the columns of `kit.catalogue.schema`.
        failures: files and rows that were left out.
        audio_root: folder that the column `path` is relative to.
        warnings: messages for the user.
        ignored: number of files whose names are not those of audio.
        notices: sentences to store with the catalogue, such as the terms of its audio.

    Example:
        >>> scan = kit.catalogue.from_folder("music")
        >>> len(scan.table), scan.failures
        (16, [])
    """

    table: pd.DataFrame
    failures: list[Failure]
    audio_root: Path
    warnings: tuple[str, ...] = ()
    ignored: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labeller:
    """A rule that gives a track its label once its file has been read.

    `of` maps the file and its row (columns of `Facts.row`) to all labels, of which a track needs
    exactly one. `remedy` maps the row of a track without a label to advice after a semicolon.
    """

    of: Callable[[Path, Mapping[str, Any]], tuple[str, ...]]
    remedy: Callable[[Mapping[str, Any]], str]
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()

    def say(self, scan: Scan) -> Scan:
        """Return a scan with the failures and warnings of this rule."""
        failures = [*scan.failures, *self.failures]
        return replace(scan, failures=failures, warnings=(*self.warnings, *scan.warnings))


def refusal(name: str, labels: Sequence[str], remedy: str) -> Failure | None:
    """Return why a track cannot be used with these labels; None if it can."""
    if not labels:
        return Failure(name, STAGE, "no_label", f"{name} has no label; {remedy}")
    # Labels that differ only in case become one label.
    if len(set(map(alike, labels))) > 1:
        message = f"{name} has the labels {' and '.join(map(repr, labels))}; keep one of them"
        return Failure(name, STAGE, "two_labels", message)
    return None


@dataclass
class Found:
    """The audio files below a folder, relative to it, with failures and a count of other files."""

    files: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ignored: int = 0

    def refuse(self, path: Path, reason: str, message: str) -> None:
        """Add a failure for `path`."""
        self.failures.append(Failure(shown(path), STAGE, reason, message))


def from_folder(
    folder: Path | str,
    *,
    label: str | None = None,
    labels: Labeller | None = None,
    artist_from: ArtistFrom | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Scan a folder; by default its subfolders are the labels.

    Links are followed, and no folder is scanned twice. Hidden files and system folders, such as
    `$RECYCLE.BIN`, are ignored. Tracks are sorted by path.

    Args:
        folder: `FOLDER/LABEL/.../TRACK.mp3`, or any structure with `label` or `labels`.
        label: label of all tracks.
        labels: rule that gives each track its label.
        artist_from: source of artist and title if the tags have none; see
            `kit.catalogue.artist_from`.
        progress: called with (files read, number of files).
    Returns:
        The usable tracks, and a failure for each other file.
    Raises:
        UsageError: the folder does not exist, or contains no usable audio.

    Example:
        >>> kit.catalogue.from_folder("music").table["label"].value_counts().to_dict()
        {'high': 8, 'low': 8}
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{shown(root)} is not a folder; give one with a subfolder for each label")
    found = walk(root)
    files = sorted(found.files, key=os.fsencode)
    by_folder = label is None and labels is None
    taken = []
    for file in files:
        if by_folder and (file.parent == Path() or not label_form(file.parts[0])):
            found.refuse(
                file,
                "no_label",
                f"{shown(file)} is not in a label's folder; move it into one",
            )
        else:
            taken.append(file)
    if not taken:
        raise UsageError(_nothing(root, found, len(files), by_folder=by_folder))
    rows: list[dict[str, Any]] = []
    facts = inspect_all([root / file for file in taken], progress=progress)
    for file, result in zip(taken, facts, strict=True):
        if isinstance(result, AudioError):
            found.refuse(file, result.reason, str(result))
            continue
        row = {"path": file.as_posix(), **result.row()}
        if labels is None:
            row["label"] = file.parts[0] if label is None else label
        fill_artist(row, artist_from)
        if labels is not None:
            names = labels.of(root / file, row)
            if why := refusal(shown(file), names, labels.remedy(row)):
                found.failures.append(why)
                continue
            row["label"] = names[0]
        rows.append(row)
    if not rows:
        counts = Counter(f.reason for f in found.failures).most_common()
        raise UsageError(
            f"none of the {len(taken)} audio files in {shown(root)} can be used "
            f"({', '.join(f'{n} {reason}' for reason, n in counts)}); "
            f"the last: {found.failures[-1].message}"
        )
    scan = finish(rows, found.failures, root, ignored=found.ignored)
    return scan if labels is None else labels.say(scan)


def _nothing(root: Path, found: Found, loose: int, *, by_folder: bool) -> str:
    """Return why a folder has no tracks, and what to do."""
    if loose:
        lie = "file lies" if loose == 1 else "files lie"
        name = shlex.quote(shown(root.resolve().name))
        return (
            f"{shown(root)} has no label folders: its {loose} audio {lie} directly in it; "
            f"add --label {name}, or scan its parent folder"
        )
    where, remedy = ("the subfolders of ", "FOLDER/LABEL/") if by_folder else ("", "it")
    return (
        f"no audio in {where}{shown(root)} ({found.ignored} other files, "
        f"{len(found.failures)} that cannot be used); put it into {remedy}"
    )


def finish(
    rows: list[dict[str, Any]], failures: list[Failure], audio_root: Path, *, ignored: int = 0
) -> Scan:
    """Return rows as a `Scan` with warnings; missing ids are computed from the content.

    Labels that differ only in case become one, in the most frequent spelling.
    """
    said = tuple(one_case(rows))
    seen: Counter[str] = Counter()
    for row in rows:
        digest = str(row.get("source_hash", ""))
        seen[digest] += 1
        if "track_id" not in row:
            row["track_id"] = digest[:16] + (f"-{seen[digest]}" if seen[digest] > 1 else "")
    table = validate(pd.DataFrame(rows), source="the scan")
    return Scan(
        table=table,
        failures=failures,
        audio_root=audio_root,
        warnings=(*said, *warnings_of(table)),
        ignored=ignored,
    )


def with_rows(scan: Scan, rows: list[dict[str, Any]]) -> Scan:
    """Return a scan with other rows and their warnings."""
    before = finish(scan.table.to_dict("records"), [], scan.audio_root).warnings
    found = finish(rows, scan.failures, scan.audio_root, ignored=scan.ignored)
    others = [text for text in scan.warnings if text not in before]
    return replace(found, warnings=(*others, *found.warnings), notices=scan.notices)


def walk(root: Path) -> Found:
    """Find every audio file below a folder, in arbitrary order.

    Links are followed; hidden files and system folders are ignored.
    """
    found = Found()
    visited: set[tuple[int, int]] = set()
    # Folders before links, so that files are found under the real names of their folders.
    folders, links = deque([Path()]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as entries:
                names = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            why = error.strerror or str(error)
            message = f"{shown(folder)} cannot be read: {why}; check its permission"
            found.refuse(folder, "unreadable", message)
            continue
        for entry in names:
            _sort_in(entry, folder / entry.name, found, folders, links)
    return found


def _sort_in(
    entry: os.DirEntry[str],
    path: Path,
    found: Found,
    folders: deque[Path],
    links: deque[Path],
) -> None:
    if entry.name.startswith("."):
        return
    is_folder = _is_folder(entry)
    if is_folder and _is_system(path):
        return
    if not is_folder and path.suffix[1:].lower() not in AUDIO_EXTENSIONS:
        found.ignored += 1
    elif is_folder:
        (links if entry.is_symlink() else folders).append(path)
    elif not is_plain(str(path)):
        found.refuse(path, "bad_name", bad_name(path))
    else:
        found.files.append(path)


def _is_system(folder: Path) -> bool:
    name = alike(folder.name)
    return name in _SYSTEM or (name in _SYSTEM_AT_THE_TOP and folder.parent == Path())


def bad_name(path: Path) -> str:
    """Return advice for a path that cannot be written into a table."""
    bad = next(part for part in path.parts if not is_plain(part))
    return (
        f"{shown(path)}: the name {shown(bad)} has control characters, or bytes that are not "
        "UTF-8; rename it"
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself; it is reported as a file if its name is that of audio.
        return False

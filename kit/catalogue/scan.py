"""A folder of audio to a table of tracks: the first level of folders gives the labels."""

import os
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.failures import Failure
from kit.catalogue.inspect import Progress, inspect_all
from kit.catalogue.schema import validate
from kit.errors import UsageError

STAGE = "scan"

_SNDFILE = (
    *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "mp2", "mpga"),
    *("aif", "aiff", "aifc", "au", "snd", "caf"),
)
# With ffmpeg installed, or by the decoders of the system.
_AUDIOREAD = ("m4a", "m4b", "mp4", "aac", "wma", "wv", "ape", "mka", "webm")

AUDIO_EXTENSIONS = frozenset((*_SNDFILE, *_AUDIOREAD))
"""Names of audio files, without the dot and in lower case; other files are not looked at."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A table of tracks and what was found on the way to it.

    Attributes:
        table: one row a track, as `kit.catalogue.schema` has it.
        failures: what was left out.
        audio_root: the folder that the column `path` starts from.
        duplicates: the ids of tracks with the same bytes, a tuple for each such set.
        warnings: sentences for the user.
        ignored: number of files that are no audio by their names.
        notices: sentences that stay with the catalogue, such as the terms that its audio is under.
    """

    table: pd.DataFrame
    failures: list[Failure]
    audio_root: Path
    duplicates: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    ignored: int = 0
    notices: tuple[str, ...] = ()


@dataclass
class _Found:
    files: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ignored: int = 0

    def refuse(self, path: Path, reason: str, message: str) -> None:
        self.failures.append(Failure(shown(path), STAGE, reason, message))


def from_folder(folder: Path | str, *, progress: Progress | None = None) -> Scan:
    """Scan a folder whose sub-folders are the labels.

    Links are followed, and no real folder is entered twice. Hidden files are left alone. The order
    of the tracks is that of their paths.

    Args:
        folder: `FOLDER/LABEL/.../TRACK.mp3`.
        progress: called with (files looked at, files in all).
    Returns:
        The tracks that can be used, and a failure for each of the rest.
    Raises:
        UsageError: no such folder, no audio in it, or none that can be used.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{shown(root)} is not a folder; give one with a folder for each label")
    found = _walk(root)
    files = sorted(found.files, key=os.fsencode)
    labelled = []
    for file in files:
        if file.parent == Path():
            found.refuse(
                file,
                "no_label",
                f"{shown(file)} lies in no label's folder; move it into one named as its label",
            )
        else:
            labelled.append(file)
    if not labelled:
        raise UsageError(
            f"no audio in the sub-folders of {shown(root)} ({found.ignored} other files, "
            f"{len(found.failures)} that cannot be used); put it into FOLDER/LABEL/"
        )
    rows: list[dict[str, Any]] = []
    facts = inspect_all([root / file for file in labelled], progress=progress)
    for file, result in zip(labelled, facts, strict=True):
        if isinstance(result, AudioError):
            found.refuse(file, result.reason, str(result))
        else:
            rows.append({"label": file.parts[0], "path": file.as_posix(), **asdict(result)})
    if not rows:
        counts = Counter(f.reason for f in found.failures).most_common()
        raise UsageError(
            f"none of the {len(labelled)} audio files in {shown(root)} can be used "
            f"({', '.join(f'{n} {reason}' for reason, n in counts)}); "
            f"the last: {found.failures[-1].message}"
        )
    return finish(rows, found.failures, root, ignored=found.ignored)


def finish(
    rows: list[dict[str, Any]], failures: list[Failure], audio_root: Path, *, ignored: int = 0
) -> Scan:
    """Rows to a `Scan`: ids from the content where there are none, duplicates, warnings."""
    seen: dict[str, list[str]] = {}
    for row in rows:
        digest = str(row.get("source_hash", ""))
        twins = seen.setdefault(digest, [])
        if "track_id" not in row:
            row["track_id"] = digest[:16] + (f"-{len(twins) + 1}" if twins else "")
        twins.append(str(row["track_id"]))
    table = validate(pd.DataFrame(rows), source="the scan")
    sets = tuple(tuple(ids) for digest, ids in seen.items() if digest and len(ids) > 1)
    return Scan(
        table=table,
        failures=failures,
        audio_root=audio_root,
        duplicates=sets,
        warnings=tuple(_warnings(table, sets)),
        ignored=ignored,
    )


def _warnings(table: pd.DataFrame, duplicates: tuple[tuple[str, ...], ...]) -> Iterable[str]:
    labels = sorted(set(table["label"]))
    if len(labels) == 1:
        yield f"there is one label only, {labels[0]!r}; training needs two"
    label_of = dict(zip(table["track_id"], table["label"], strict=True))
    both = [ids for ids in duplicates if len({label_of[i] for i in ids}) > 1]
    if both:
        yield (
            f"{len(both)} recordings come under more than one label, {', '.join(both[0])} first; "
            "remove all but one of each"
        )


def _walk(root: Path) -> _Found:
    """Every audio file below, as a path relative to `root`."""
    found = _Found()
    visited: set[tuple[int, int]] = set()
    # Folders before links to folders: a link never takes the place of what it points to.
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
    found: _Found,
    folders: deque[Path],
    links: deque[Path],
) -> None:
    if entry.name.startswith("."):
        return
    is_folder = _is_folder(entry)
    if not is_folder and path.suffix[1:].lower() not in AUDIO_EXTENSIONS:
        found.ignored += 1
    elif not entry.name.isprintable():
        # A lone byte that is no UTF-8 comes as a surrogate, which is not printable either.
        message = f"{shown(path)} has a name that is not printable UTF-8; rename it"
        found.refuse(path, "bad_name", message)
    elif is_folder:
        (links if entry.is_symlink() else folders).append(path)
    else:
        found.files.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself; as a file it is reported, if its name is that of audio.
        return False

"""Plan, write and restore genre tags.

The tag is written to a copy of the file, which then replaces the file. For MP3, FLAC and WAV, the
audio is compared first.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mutagen
from mutagen.asf import ASFTags
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCON
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4Tags
from mutagen.wave import WAVE

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.audio.file import open_file
from kit.audio.open import open_source
from kit.audio.payload import payload_hash
from kit.catalogue.failures import Failure
from kit.errors import KitError
from kit.files import read_json, write_json
from kit.lock import only_one
from kit.write.labels import STAGE, Track

_HASHED = (MP3, FLAC, WAVE)  # decoding other formats takes seconds per track


@dataclass(frozen=True)
class Change:
    """The genre tag of one file, before and after."""

    path: Path
    before: tuple[str, ...]
    after: tuple[str, ...]


def plan(tracks: Iterable[Track]) -> Iterator[Change | Failure]:
    """Yield a change for each file whose genre is not its label, or a failure."""
    for track in tracks:
        before = _try(track.path, genre_of)
        if isinstance(before, Failure):
            yield before
        elif before != track.labels:
            yield Change(track.path, before, track.labels)


def undo_plan(backup: Path) -> Iterator[Change | Failure]:
    """Yield the reverse of each change in a backup, or a failure.

    Genres that were changed since then stay unchanged.
    """
    for change in _read(backup):
        now = _try(change.path, genre_of)
        if isinstance(now, Failure):
            yield now
        elif now == change.after:
            yield Change(change.path, change.after, change.before)
        elif now != change.before:
            message = f"{shown(change.path)} now has another genre: {'; '.join(now) or 'none'}"
            yield Failure(shown(change.path), STAGE, "changed_since", message)


def write_tags(
    changes: Sequence[Change], backup: Path, *, undo: bool = False, keep_time: bool = False
) -> Iterator[Failure | None]:
    """Write a backup of the old genres, then the new genres.

    Args:
        changes: see `plan` or `undo_plan`.
        backup: JSON file of earlier changes; made if missing.
        undo: remove restored genres from the backup, and delete it once it is empty.
        keep_time: restore the modification time of each file.
    Yields:
        None or a failure for each change.
    Raises:
        KitError: the backup cannot be read or written, or another run uses it.
    """
    with only_one(backup, "changes the files of"):
        known = {c.path: c for c in _read(backup)} if undo or backup.exists() else {}
        for change in () if undo else changes:
            old = known.get(change.path)
            # After several changes, keep the value before the first one.
            first = old.before if old is not None and old.after == change.before else change.before
            known[change.path] = replace(change, before=first)
        if not undo:
            _write(known.values(), backup)
        for change in changes:
            yield _try(change.path, _replace, change.after, keep_time)
        if undo:
            left = [c for c in known.values() if _try(c.path, genre_of) != c.before]
            _write(left, backup)
            if not left:
                backup.unlink()


def genre_of(path: Path) -> tuple[str, ...]:
    """Return the values of a file's genre tag; () for none."""
    tags = _opened(path).tags
    if tags is None or _key(tags) not in tags:
        return ()
    value = tags[_key(tags)]
    return tuple(map(str, value.text if isinstance(tags, ID3) else value))


def _opened(path: Path) -> Any:
    file: Any = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    if file is None:
        raise KitError(
            f"{shown(path)} has a format for which kit does not write tags; use a playlist instead"
        )
    return file


def _key(tags: Any) -> str:
    # Vorbis comments and APE ignore case.
    kinds = ((ID3, "TCON"), (MP4Tags, "\xa9gen"), (ASFTags, "WM/Genre"))
    return next((key for kind, key in kinds if isinstance(tags, kind)), "Genre")


def _set_genre(path: Path, values: tuple[str, ...]) -> None:
    file = _opened(path)
    if file.tags is None:
        file.add_tags()
    tags: Any = file.tags
    if values:
        is_id3 = isinstance(tags, ID3)
        tags[_key(tags)] = TCON(encoding=3, text=list(values)) if is_id3 else list(values)
    elif _key(tags) in tags:
        del tags[_key(tags)]
    if isinstance(tags, ID3) and tags.version < (2, 4, 0):
        # Programs that write ID3v2.3 may not read v2.4. Without a separator, values stay separate.
        tags.update_to_v23()
        file.save(v2_version=3, v23_sep=None)
    else:
        file.save()


def _replace(path: Path, values: tuple[str, ...], keep_time: bool) -> None:
    path = path.resolve()
    # Replacing a file only needs permission for its folder, so check the file's own permission.
    with path.open("r+b"):
        pass
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kit-", suffix=path.suffix)
    os.close(handle)
    copy = Path(name)
    try:
        shutil.copy2(path, copy)
        status, audio = path.stat(), _audio(path)
        _set_genre(copy, values)
        if genre_of(copy) != values:
            raise KitError(f"{shown(path)} does not keep the genre {'; '.join(values)!r}")
        same = False
        with contextlib.suppress(AudioError):
            same = _audio(copy) == audio
        if not same:
            raise KitError(
                f"{shown(path)} would not have the same audio with a new tag; it stays unchanged"
            )
        if keep_time:
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        with copy.open("r+b") as stream:
            os.fsync(stream.fileno())
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)


def _audio(path: Path) -> str:
    if not isinstance(_opened(path), _HASHED):
        return ""
    with open_file(path) as file, open_source(file) as source:
        return payload_hash(file, source)


def _try(path: Path, do: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function of a path, or a failure if it raises."""
    try:
        return do(path, *arguments)
    except KitError as error:
        return Failure(shown(path), STAGE, "not_written", str(error))
    except Exception as error:
        # mutagen raises other errors than its own for damaged files.
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"{shown(path)} cannot be tagged: {shown(what)}"
        return Failure(shown(path), STAGE, "not_written", message)


def _read(backup: Path) -> list[Change]:
    content = read_json(backup)
    try:
        return [
            Change(Path(path), tuple(genre["before"]), tuple(genre["after"]))
            for path, genre in content.items()
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise KitError(f"{backup} is not a backup of kit write ({error!r})") from error


def _write(changes: Iterable[Change], backup: Path) -> None:
    genres = {str(c.path): {"before": c.before, "after": c.after} for c in changes}
    write_json(backup, genres)

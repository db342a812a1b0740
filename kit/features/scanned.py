"""Read a file only if it is the one that was scanned."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kit.audio import AudioError, ChangedFileError, UnreadableError
from kit.audio.errors import shown
from kit.features.plan import Track

T = TypeVar("T")


def read_if_unchanged(track: Track, read: Callable[[Path], T]) -> T:
    """Return `read(track.path)` if the file still has the hash that the scan found.

    Raises:
        ChangedFileError: the file has changed since the scan.
        UnreadableError: the file cannot be opened any more.
        AudioError: raised by `read`.
    """
    try:
        found = read(track.path)
    except AudioError as error:
        # An error in another file than the one that was scanned says nothing about that one.
        if track.path.is_file():
            _require_scanned(track, error)
        raise
    _require_scanned(track)
    return found


def _require_scanned(track: Track, cause: Exception | None = None) -> None:
    try:
        with track.path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{shown(track.path)}: {error.strerror}; scan again") from error
    if found != track.source_hash:
        raise ChangedFileError(
            f"{shown(track.path)} has changed since it was scanned; scan again"
        ) from cause

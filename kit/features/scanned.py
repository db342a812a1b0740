"""Read a file only if it has not changed since the scan."""

from collections.abc import Callable
from typing import TypeVar

from kit.audio import AudioError, ChangedFileError
from kit.audio.errors import shown
from kit.audio.file import File, open_file
from kit.features.schedule import Track

T = TypeVar("T")


def read_if_unchanged(track: Track, read: Callable[[File], T]) -> T:
    """Return `read` of a track's file if its hash has not changed since the scan.

    Raises:
        ChangedFileError: the file has changed.
        UnreadableError: the file cannot be opened.
        AudioError: raised by `read`.
    """
    with open_file(track.path) as file:
        _require_scanned(track, file)
        try:
            found = read(file)
        except AudioError as error:
            # If the file was replaced during reading, the error is not about the scanned file.
            _require_untouched(track, file, error)
            raise
        _require_untouched(track, file)
        return found


def _require_untouched(track: Track, file: File, cause: Exception | None = None) -> None:
    """Raise ChangedFileError if the file changed during reading."""
    if track.path.is_file() and not file.is_still_there():
        with open_file(track.path) as now:
            _require_scanned(track, now, cause)


def _require_scanned(track: Track, file: File, cause: Exception | None = None) -> None:
    if file.sha256() != track.source_hash:
        raise ChangedFileError(
            f"{shown(track.path)} has changed since it was scanned; scan again"
        ) from cause

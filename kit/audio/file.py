"""A file that is opened once, for the decoder, for the checks of its bytes and for its hash."""

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.audio.errors import UnreadableError, shown


@dataclass(frozen=True)
class File:
    """An open regular file. Make one with `open_file`. A decoder moves its position."""

    path: Path
    descriptor: int
    status: os.stat_result

    @property
    def size(self) -> int:
        """Bytes."""
        return self.status.st_size

    @contextlib.contextmanager
    def reading(self) -> Iterator[io.BufferedIOBase]:
        """Yield a stream of the file's bytes from the first one on.

        The decoder must not read meanwhile. Afterwards it finds the position that it left.
        """
        try:
            position = os.lseek(self.descriptor, 0, os.SEEK_CUR)
            try:
                with io.FileIO(self.descriptor, closefd=False) as raw:
                    raw.seek(0)
                    yield io.BufferedReader(raw)
            finally:
                os.lseek(self.descriptor, position, os.SEEK_SET)
        except OSError as error:
            raise UnreadableError(
                f"{shown(self.path)} cannot be read: {error.strerror or error}; check the disk"
            ) from error

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes as hexadecimal digits."""
        with self.reading() as stream:
            # Its annotation wants a memoryview's buffer, which every binary stream fills.
            return hashlib.file_digest(stream, "sha256").hexdigest()  # pyright: ignore

    def is_still_there(self) -> bool:
        """Return whether the path still names this file, and nothing has been written to it."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        return _identity(now) == _identity(self.status)


@contextlib.contextmanager
def open_file(path: Path | str) -> Iterator[File]:
    """Open a regular file for reading.

    Raises:
        UnreadableError: no permission, a folder, a pipe, not there.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # To open a pipe would block until another process writes to it.
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableError(f"{shown(path)} is {kind}; give an audio file")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(
            f"{shown(path)} cannot be read: {why}; check its name and permission"
        ) from error
    try:
        yield File(path, descriptor, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

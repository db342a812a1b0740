"""Atomic writes: a temporary name in the same folder, fsync, rename."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kit.errors import KitError

_ROOM_BLOCK = 1 << 20


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file beside `path`; on success it replaces `path`.

    Args:
        path: file to make or replace; its folder is made if missing.
        mode: "w" for UTF-8 text with "\n" line ends, "wb" for bytes.
    Raises:
        KitError: the file cannot be written (permission, full disk); `path` is unchanged.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        binary = "b" in mode
        with os.fdopen(
            handle, mode, encoding=None if binary else "utf-8", newline=None if binary else "\n"
        ) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files private; give results the default permissions.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        raise KitError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space, or choose a folder that you may write to"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def require_room(folder: Path | str, size: int) -> None:
    """Check that a folder's disk has `size` bytes of free space.

    The folder is made if missing.

    Raises:
        KitError: there is too little space, or the folder is not writable.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            _reserve(stream, size)
    except OSError as error:
        raise KitError(
            f"cannot write {size} bytes in {folder}: {error.strerror or error}; "
            "free some space, or choose a folder that you may write to"
        ) from error


def _reserve(stream: IO[bytes], size: int) -> None:
    if size <= 0:
        return
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
            return
        except OSError as error:
            # Some file systems cannot reserve space: then write the bytes.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
    for start in range(0, size, _ROOM_BLOCK):
        stream.write(bytes(min(_ROOM_BLOCK, size - start)))


def user_folder(variable: str, otherwise: str) -> Path:
    """Return kit's folder below one of the user's: that of an XDG variable, or one in the home."""
    base = Path(os.environ.get(variable, ""))
    # The XDG specification ignores relative paths.
    return (base if base.is_absolute() else Path.home() / otherwise) / "genre-kit"


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_write(path) as stream:
        stream.write(text)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity raise ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        KitError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise KitError(f"cannot read {path}: {error.strerror or error}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise KitError(f"{path} is not valid JSON ({error}); restore it or delete it") from error

"""One run at a time on a catalogue's downloads."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kit.errors import KitError


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the system lets go of it when the process ends, however it ends.

    Raises:
        KitError: another run has it, or its file cannot be made.
    """
    lock = FileLock(f"{folder}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise KitError(
            f"another run downloads into {folder}; wait until it has ended, or stop it"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise KitError(
            f"cannot write {folder}.lock: {getattr(error, 'strerror', None) or error}; "
            "choose a place that you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()

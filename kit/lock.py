"""Locks between processes: one at a time for each file or folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kit.errors import KitError


@contextlib.contextmanager
def only_one(
    path: Path | str,
    doing: str = "is at work on",
    *,
    name: str | None = None,
    wait_s: float = 0.0,
    remove: bool = False,
) -> Iterator[None]:
    """Hold the lock `PATH.lock`; the system releases it when the process ends, however it ends.

    Args:
        path: a file or a folder; its parent folder is made if missing.
        doing: what the holder of the lock does with it, for the error.
        name: what the error calls it; the path if not given.
        wait_s: seconds to wait for another process.
        remove: delete `PATH.lock` at the end.
    Raises:
        KitError: another process holds the lock, or its file cannot be made.
    """
    lock = FileLock(f"{path}.lock", timeout=wait_s)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise KitError(
            f"another run {doing} {name or path}; wait until it has ended, or stop it"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise KitError(
            f"cannot write {path}.lock: {getattr(error, 'strerror', None) or error}; "
            "choose a place that you may write to"
        ) from error
    try:
        yield
    finally:
        if remove:
            # Before the release: a process that waits opens the file anew at each attempt.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
        lock.release()

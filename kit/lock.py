"""Locks between processes, one per file or folder."""

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
    """Hold the lock `PATH.lock`; the system releases it when the process ends.

    Args:
        path: a file or a folder; its parent folder is made if missing.
        doing: predicate of the error's sentence "another run … PATH".
        name: name for the error; the path if None.
        wait_s: seconds to wait for another process.
        remove: delete `PATH.lock` at the end.
    Raises:
        KitError: another process holds the lock, or the lock file cannot be made.
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
            # Before the release, because waiting processes open the file again at each attempt.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
        lock.release()

"""One run at a time on what lies on a disk."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kit.errors import KitError


@contextlib.contextmanager
def only_one(path: Path | str, doing: str = "is at work on") -> Iterator[None]:
    """Hold the lock `PATH.lock`; the system lets go of it when the process ends, however it ends.

    Args:
        path: a file or a folder; what holds it is made if missing.
        doing: what another run does with it, for the error.
    Raises:
        KitError: another run has it, or its file cannot be made.
    """
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise KitError(
            f"another run {doing} {path}; wait until it has ended, or stop it"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise KitError(
            f"cannot write {path}.lock: {getattr(error, 'strerror', None) or error}; "
            "choose a place that you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()

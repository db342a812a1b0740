"""One run at a time on a store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kit.errors import KitError
from kit.features.place import is_url


@contextlib.contextmanager
def only_one(path: Path | str) -> Iterator[None]:
    """Hold a store's lock; the system lets go of it when the process ends, however it ends.

    A store in a bucket has none. Two runs of one catalogue on it do the work twice, and no harm:
    they write the same bytes.

    Raises:
        KitError: another run has it, or its file cannot be made.
    """
    if is_url(path):
        yield
        return
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise KitError(
            f"another run is at work on {path}; wait until it has ended, or stop it"
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

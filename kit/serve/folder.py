"""The folder of a server's uploads, which no server leaves behind."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kit.errors import KitError
from kit.files import user_folder
from kit.lock import only_one


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and delete it at the end.

    The folders of servers that were killed are deleted first.

    Raises:
        KitError: the user's cache cannot be written, or is another user's.
    """
    base = user_folder("XDG_CACHE_HOME", ".cache") / "serve"
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        base.chmod(0o700)
    except OSError as error:
        raise KitError(
            f"{base} cannot be used for uploads ({error.strerror or error}); set XDG_CACHE_HOME to "
            "a folder of yours"
        ) from error
    for lock in base.glob("*.lock"):
        left = lock.with_suffix("")
        with contextlib.suppress(KitError), only_one(left, remove=True):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=base))
    with only_one(folder, remove=True):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def delete_older(uploads: Path, age_s: float) -> int:
    """Delete uploads that nobody waits for any more, and return how many are left."""
    left = 0
    for room in uploads.iterdir():
        with contextlib.suppress(FileNotFoundError):  # answered meanwhile
            if time.time() - room.stat().st_mtime > age_s:
                shutil.rmtree(room, ignore_errors=True)
            else:
                left += 1
    return left

"""C libraries kept from writing to the terminal."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Send what C code writes to file 2 nowhere; what Python writes to stderr goes where it did.

    mpg123, inside libsndfile, writes notes on every odd MP3 file there, and cannot be told not to.
    A child process has to be given `sys.stderr` for its own.
    """
    before = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:
        # There is no file 2, and nothing to keep quiet.
        yield
        return
    with (
        open(kept, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as own,  # noqa: PTH123
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123
    ):
        before.flush()
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = own
        try:
            yield
        finally:
            own.flush()
            sys.stderr = before
            os.dup2(own.fileno(), 2)

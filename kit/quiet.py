"""Keep C libraries from writing to the terminal."""

import contextlib
import faulthandler
import os
import sys
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard messages of C code on file descriptor 2, but not Python's on stderr.

    mpg123, inside libsndfile, prints notes about unusual MP3 files, which cannot be turned off. A
    crash in C code still prints the Python traceback of each thread. The messages of a child
    process appear only with `stderr=sys.stderr`.
    """
    before = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:
        # File descriptor 2 is closed, so C code cannot write to it.
        yield
        return
    with (
        open(kept, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as own,  # noqa: PTH123
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123
        _crashes_told(own),
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


@contextlib.contextmanager
def _crashes_told(stderr: IO[str]) -> Iterator[None]:
    """Write tracebacks to a stream if a signal such as SIGSEGV ends the process."""
    enabled = faulthandler.is_enabled()
    if enabled and not _is_enabled_by_python():
        # It may write to its own file, as pytest's does, which cannot be queried.
        yield
        return
    faulthandler.enable(file=stderr)
    try:
        yield
    finally:
        faulthandler.disable()
        if enabled:
            faulthandler.enable(file=2)


def _is_enabled_by_python() -> bool:
    """Return whether Python's option or variable enabled it; then it writes to descriptor 2."""
    variable = not sys.flags.ignore_environment and os.environ.get("PYTHONFAULTHANDLER")
    return bool(sys.flags.dev_mode or "faulthandler" in sys._xoptions or variable)

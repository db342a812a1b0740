"""C libraries kept from writing to the terminal."""

import contextlib
import faulthandler
import os
import sys
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard the messages of C code on file descriptor 2, but not those of Python on stderr.

    mpg123, inside libsndfile, writes notes on every odd MP3 file there and has no option against
    it. A crash in C code still writes the Python traceback of each thread to stderr. A child
    process needs `stderr=sys.stderr` to be heard.
    """
    before = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:
        # There is no file descriptor 2, so C code has nowhere to write.
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
    """Write tracebacks there if the process dies of a signal such as SIGSEGV."""
    enabled = faulthandler.is_enabled()
    if enabled and not _is_enabled_by_python():
        # It writes to a file of its own, as pytest's does; nobody can ask which.
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
    """Return whether an option or variable of Python asked for it: then it writes to file 2."""
    variable = not sys.flags.ignore_environment and os.environ.get("PYTHONFAULTHANDLER")
    return bool(sys.flags.dev_mode or "faulthandler" in sys._xoptions or variable)

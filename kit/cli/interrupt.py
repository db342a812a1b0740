"""Ctrl-C in two steps: once to finish the files in progress, twice to stop at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from kit import terminal

EXIT_CODE = 128 + signal.SIGINT
_SHOW_CURSOR = "\x1b[?25h"


@contextlib.contextmanager
def in_two_steps() -> Iterator[Callable[[], bool]]:
    """Handle SIGINT: the first one asks the work to stop, the second one ends the process.

    All writes are atomic, so the process may end at any instant. Outside the main thread, which
    alone gets signals, the handler is not changed.

    Yields:
        A function that returns whether there was a first one.
    """
    asked = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            # A normal exit would wait for decoders that hang. A progress bar hides the cursor.
            cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
            sys.stderr.write(f"{cursor}kit: stopped; the same command goes on from here\n")
            sys.stderr.flush()
            os._exit(EXIT_CODE)
        asked.set()
        terminal.say("finishing what is in flight; once more to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)

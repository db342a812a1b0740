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
    """Handle SIGINT: the first signal requests a stop, the second one ends the process.

    All writes are atomic, so the process may end at any time. Only the main thread receives
    signals; in other threads the handler is not changed.

    Yields:
        A function that returns whether a stop was requested.
    """
    asked = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            # A normal exit would wait for decoders that hang. A progress bar hides the cursor.
            cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
            sys.stderr.write(f"{cursor}kit: stopped; run the same command again to resume\n")
            sys.stderr.flush()
            os._exit(EXIT_CODE)
        asked.set()
        terminal.say("finishing the files in progress; press Ctrl-C again to stop immediately")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)

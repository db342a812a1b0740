"""Ctrl-C in two steps: once to finish what is in flight, twice to stop at once."""

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
    """Take over SIGINT: the first one is only noted, the second one ends the process.

    Whatever is written is written atomically, so that an end at any instant harms nothing. In
    another thread than the main one, which alone gets signals, nothing is taken over.

    Yields:
        A function that tells whether there was one.
    """
    asked = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            # Decoders that hang would hold up any other way out; a progress bar hides the cursor.
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

"""Print errors of a command as one line instead of a traceback."""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from kit.errors import KitError, KitWarning
from kit.quiet import quiet_libraries

_LATER_S = 0.05


@contextlib.contextmanager
def in_words(*, debug: bool = False) -> Iterator[None]:
    """Wrap a whole command or script: print errors as one line on stderr, and exit.

    Exit codes: `KitError.exit_code`, 1 for an error of the operating system, 130 for Ctrl-C.

    Args:
        debug: show tracebacks, and the messages of C libraries.
    Raises:
        SystemExit: instead of the error.
    """
    # A full disk also fails other writes, with errors; without its cache JAX compiles again.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")
    if debug:
        with _ctrl_c_kept():
            yield
        return
    try:
        with quiet_libraries(), _ctrl_c_kept(), _warnings_in_a_line():
            yield
    except KitError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end("stopped; run the same command again to resume", 130)
    except BrokenPipeError:
        # The reader of stdout is closed; Python's flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(
            f"{where}{error.strerror or error}; check that it exists, that you have "
            "permission to read and write it, and that the disk is not full",
            1,
        )


@contextlib.contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Raise KeyboardInterrupt again if Python dropped it.

    Python prints and drops exceptions in `__del__` and in callbacks of the garbage collector. JAX
    has such a callback, which lost 5 of 40 Ctrl-C during the start of a command.
    """
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs", /) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            # Raised here, it would be dropped again.
            later = threading.Timer(_LATER_S, os.kill, (os.getpid(), signal.SIGINT))
            later.daemon = True
            later.start()
        else:
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Print kit's warnings without their source location."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def line(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, KitWarning):
                from kit import terminal  # a tenth of a second, which `kit --help` does not need

                terminal.warn(str(message))
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = line
        yield


def _end(words: str, code: int) -> None:
    sys.stderr.write(f"kit: {words}\n")
    sys.exit(code)

"""What a person is told in place of a traceback."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

from kit.errors import KitError
from kit.quiet import quiet_libraries


@contextlib.contextmanager
def in_words(*, debug: bool = False) -> Iterator[None]:
    """The outermost lines of a command or script: an error ends the process with a line of its own.

    Exit codes: those of `KitError`, 1 for what the system refuses, 130 for Ctrl-C.

    Args:
        debug: let the traceback through, and what C libraries have to say.
    Raises:
        SystemExit: in place of such an error.
    """
    # A full disk is told of by what matters; without its cache JAX compiles again.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")
    if debug:
        yield
        return
    try:
        with quiet_libraries():
            yield
    except KitError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end("stopped; the same command goes on from here", 130)
    except BrokenPipeError:
        # Whoever read has gone; Python's own flush at the end must not fail for it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(
            f"{where}{error.strerror or error}; check that it is there, that you may read and "
            "write it, and that the disk is not full",
            1,
        )


def _end(words: str, code: int) -> None:
    sys.stderr.write(f"kit: {words}\n")
    sys.exit(code)

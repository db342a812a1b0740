"""Answers of a run that has not come to its end, so that none is asked for twice."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.files import write_text

FOLDER = ".ingest"

MAX_AGE_S = 24 * 3600.0
"""A playlist may have changed after that: it is read from the start."""

_BEGUN = "begun"


class Kept:
    """A folder of JSON files. What is not whole in it counts as not there."""

    def __init__(self, catalogue: Path, name: str, *, now: Callable[[], float] = time.time) -> None:
        """Take up what is there, unless it is too old. Nothing is written yet.

        Args:
            catalogue: the folder of the catalogue that is made.
            name: of this run's answers; no path.
            now: seconds since 1970.
        """
        self.folder = catalogue / FOLDER / name
        self._now = now
        begun = self.get(_BEGUN)
        self._begun = isinstance(begun, int | float) and 0 <= now() - begun <= MAX_AGE_S
        if not self._begun:
            self.clear()

    def get(self, name: str) -> Any:
        """A value that was put, or None."""
        try:
            return json.loads((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return None

    def put(self, name: str, value: Any) -> None:
        """Keep a value under a name; atomic.

        Raises:
            KitError: it cannot be written.
        """
        if not self._begun:
            self._begun = True
            self.put(_BEGUN, self._now())
        # As ASCII: a title may have half a surrogate pair in it, which is no UTF-8.
        write_text(self.folder / f"{name}.json", json.dumps(value))

    def clear(self) -> None:
        """Drop everything.

        Raises:
            KitError: it cannot be removed.
        """
        self._begun = False
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KitError(
                f"cannot remove {self.folder}: {error.strerror or error}; remove it by hand"
            ) from error
        # Another playlist's answers may be there.
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

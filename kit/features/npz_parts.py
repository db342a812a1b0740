"""Results of audio files on disk, keyed by the SHA-256 of each file, in append-only parts.

    <folder>/000000.npz      arrays of some files, and their SHA-256 in `source`
    <folder>/failures.json   files that cannot be used

Each part is written atomically, so a killed run loses at most one part. All functions raise
`KitError` for a damaged file.
"""

import itertools
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kit.errors import KitError
from kit.files import atomic_write, read_json, write_json

_FAILURES = "failures.json"

Rows = Mapping[str, tuple[Path, int]]
"""Part and row of each file, by SHA-256."""


def rows_of(folder: Path) -> dict[str, tuple[Path, int]]:
    """Return part and row of each file; empty if the folder does not exist."""
    return {
        str(source): (part, row)
        for part in sorted(folder.glob("*.npz"))
        for row, source in enumerate(member(part, "source"))
    }


def by_part(rows: Rows, sources: Sequence[str]) -> Iterator[tuple[Path, list[tuple[int, int]]]]:
    """Yield each part with any of the files, with their indices in `sources` and their rows."""
    places: dict[Path, list[tuple[int, int]]] = {}
    for place, source in enumerate(sources):
        part, row = rows[source]
        places.setdefault(part, []).append((place, row))
    yield from sorted(places.items())


def add_part(folder: Path, sources: Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a part."""
    number = next(n for n in itertools.count() if not (folder / f"{n:06d}.npz").exists())
    with atomic_write(folder / f"{number:06d}.npz", "wb") as stream:
        np.savez(stream, allow_pickle=False, source=np.array(list(sources)), **arrays)


def read_failures(folder: Path) -> dict[str, dict[str, Any]]:
    """Return `reason`, `message` and `length_s` of each failed file, by SHA-256."""
    path = folder / _FAILURES
    found = read_json(path) if path.is_file() else {}
    fields = {"reason", "path", "message", "length_s"}
    if not isinstance(found, dict) or any(
        not isinstance(row, dict) or set(row) != fields for row in found.values()
    ):
        raise KitError(f"{path} does not list failures; delete it, and kit makes a new one")
    return found


def write_failures(folder: Path, failures: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the list that `read_failures` reads."""
    write_json(folder / _FAILURES, dict(sorted(failures.items())))


def member(part: Path, name: str) -> np.ndarray:
    """Return an array of a part."""
    return _read(part, lambda names: [name])[name]


def members(part: Path, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays of a part whose names begin with `prefix`, by the rest of the name."""
    found = _read(part, lambda names: [name for name in names if name.startswith(prefix)])
    return {name.removeprefix(prefix): array for name, array in found.items()}


def _read(part: Path, wanted: Callable[[list[str]], list[str]]) -> dict[str, np.ndarray]:
    try:
        # Without pickle, a file cannot run code.
        with part.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in wanted(file.files)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise KitError(
            f"{part} is damaged ({error}); delete it, and kit makes a new one"
        ) from error

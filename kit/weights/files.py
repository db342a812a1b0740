"""Read and write weights as `.npz` files in the user's data folder."""

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kit.errors import KitError
from kit.files import atomic_write, user_folder

Weights: TypeAlias = dict[str, np.ndarray]
"""Arrays by path in a Flax module, such as "dense/kernel": parameters and batch statistics."""

_BAD = (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


def data_folder() -> Path:
    """Return the folder of weights: $XDG_DATA_HOME/genre-kit/weights, or ~/.local/share/…."""
    return user_folder("XDG_DATA_HOME", ".local/share") / "weights"


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an `.npz`, atomically.

    Raises:
        KitError: the file cannot be written.
    """
    with atomic_write(path, "wb") as stream:
        np.savez(stream, allow_pickle=False, **weights)


def read_weights(path: Path) -> Weights:
    """Return the arrays of an `.npz` without unpickling.

    Raises:
        KitError: the file is missing, damaged, or of another format.
    """
    try:
        # Open it here: NumPy leaves an unreadable file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise KitError(f"{path} is missing; fetch it with `kit weights musicnn`") from error
    except (*_BAD, AttributeError, TypeError) as error:
        raise KitError(
            f"{path} does not hold arrays of NumPy ({' '.join(str(error).split())[:200]}); "
            "delete it and fetch it again"
        ) from error


def digest_of(weights: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the names, dtypes, shapes and values of arrays."""
    total = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()

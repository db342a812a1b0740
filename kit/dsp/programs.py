"""Compiled programs that a process keeps, and constants as parts of their keys."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

# Each program keeps 3 to 800 memory maps, 70 on average, and 4 MB. A process may have 65,530 maps.
MOST_PROGRAMS = 192
_MOST_MAPS = 8000
# Programs kept at any number of maps, because another library may own the maps.
_FEWEST_PROGRAMS = 32


class _Programs:
    """Compiled programs by key; the least recently used are dropped and freed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return the program of a key; make it, and drop old ones, if it is not kept."""
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= MOST_PROGRAMS:
                    self._kept.popitem(last=False)
                while len(self._kept) > _FEWEST_PROGRAMS and _memory_maps() > _MOST_MAPS:
                    for _ in range(len(self._kept) // 8):
                        self._kept.popitem(last=False)
                self._kept[key] = make()
            self._kept.move_to_end(key)
            return self._kept[key]


PROGRAMS = _Programs()


def _memory_maps() -> int:
    """Return the number of memory maps of this process; 0 on systems without /proc."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def constants_of(given: dict[str, Any], arrays: dict[str, Any]) -> tuple[Any, ...]:
    """Return (name, type, value) of each argument that is not in `arrays`, by name."""
    # Key on the type too: 1 == 1.0 would share a program, and 1.0 is not a hop length.
    return tuple((k, type(v), _frozen(v)) for k, v in sorted(given.items()) if k not in arrays)


def as_keys(constants: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return constants that can be hashed; an unhashable value is compared by identity."""
    return tuple((k, t, v if hashable(v) else _ById(v)) for k, t, v in constants)


def thawed(constants: tuple[Any, ...]) -> dict[str, Any]:
    """Return constants by name, with the caller's values."""
    return {name: _value(value) for name, _, value in constants}


def hashable(value: Any) -> bool:
    """Return whether a value can be hashed."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _ArrayConstant:
    """An array as a key of the compilation cache, compared by shape, dtype and bytes."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.copy()
        self._key = (values.shape, values.dtype.str, values.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ArrayConstant) and self._key == other._key


class _ById:
    """An unhashable constant, such as a dictionary, compared by identity."""

    def __init__(self, values: Any) -> None:
        self.values = values


class _List(tuple[Any, ...]):
    """A list as a key of the compilation cache."""


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, Tracer):
        values = np.asarray(value)
        return value if values.dtype.hasobject else _ArrayConstant(values)
    if isinstance(value, list):
        return _List(tuple(_frozen(v) for v in value))
    return value


def _value(value: Any) -> Any:
    if isinstance(value, _List):
        return [_value(v) for v in value]
    return value.values if isinstance(value, _ArrayConstant | _ById) else value

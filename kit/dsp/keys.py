"""Arguments that a program takes as constants, as keys of the compilation cache."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def constants_of(given: dict[str, Any], arrays: dict[str, Any]) -> tuple[Any, ...]:
    """Return (name, type, value) of each argument that is not in `arrays`, by name."""
    # Key on the type too: 1 == 1.0 would share a program, and 1.0 is not a hop length.
    return tuple((k, type(v), _frozen(v)) for k, v in sorted(given.items()) if k not in arrays)


def as_keys(constants: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return constants that can be hashed: those that cannot are equal to themselves alone."""
    return tuple((k, t, v if hashable(v) else _ById(v)) for k, t, v in constants)


def thawed(constants: tuple[Any, ...]) -> dict[str, Any]:
    """Return constants by name, with the values that the caller gave."""
    return {name: _value(value) for name, _, value in constants}


def hashable(value: Any) -> bool:
    """Return whether a value can be a key."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _ArrayConstant:
    """An array as a key of the compilation cache: equal if shape, dtype and bytes are."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.copy()
        self._key = (values.shape, values.dtype.str, values.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ArrayConstant) and self._key == other._key


class _ById:
    """A constant that cannot be hashed, such as a dictionary: equal to itself alone."""

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

"""Checks made while a function is traced: a bad argument fails before any work is done."""

import functools
import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kit.errors import ConfigError

AnyArray = jax.Array | np.ndarray
"""What array arguments may be; everything that comes back is a `jax.Array`."""

Number = int | float
"""A real number that is known while tracing."""


Function = TypeVar("Function", bound=Callable[..., Any])


class ParameterError(ConfigError):
    """An argument of a `kit.dsp` function is out of its range, or arrays do not fit together."""


def require(ok: object, name: str, value: object, rule: str) -> None:
    """Refuses the argument `name` unless `ok`.

    Raises:
        ParameterError: not `ok`; the message has the name, the value and the rule.
    """
    if not ok:
        raise ParameterError(f"{name} is {value!r}; {rule}")


def positive_int(name: str, value: object, *, least: int = 1) -> int:
    """`value` as a Python int.

    Raises:
        ParameterError: not an integer (a bool and 2.0 are none), below `least`, or 2**31 and more.
    """
    rule = f"it must be a whole number of at least {least}"
    require(not isinstance(value, bool | np.bool_), name, value, rule)
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise ParameterError(f"{name} is {value!r}; {rule}") from None
    require(number >= least, name, value, rule)
    # JAX counts in 32 bits, and would wrap around.
    require(number < 2**31, name, value, "it must be below 2**31")
    return number


def as_waveform(y: object, name: str = "y", *, least: int = 1) -> jax.Array:
    """A waveform as floating point: float32 and float64 as they are, float16 and bfloat16 widened
    to float32, int16 divided by 32768.

    float64 stays so only where 64-bit JAX is enabled.

    Raises:
        ParameterError: another dtype, no axis, or fewer than `least` samples.
    """
    array = y if isinstance(y, jax.Array) else np.asarray(y)
    dtype = array.dtype
    if jnp.issubdtype(dtype, jnp.floating):
        if dtype.itemsize < 4:
            array = jnp.asarray(array, jnp.float32)
    elif dtype == np.int16:
        array = jnp.asarray(array, jnp.float32) / 32768
    else:
        raise ParameterError(
            f"{name} has dtype {dtype}; it must be floating point, or int16 of full scale 32768"
        )
    require(array.ndim >= 1, f"{name}.shape", array.shape, "its last axis must be samples")
    require(
        array.shape[-1] >= least,
        f"{name}.shape",
        array.shape,
        f"its last axis must hold at least {least} sample{'s' if least > 1 else ''}",
    )
    return jnp.asarray(array)


def check_values(ok: object, name: str, rule: str) -> None:
    """Refuses values that are known; while tracing none is, and the check is left out.

    Args:
        ok: an array of booleans, or one.
        name: of the argument.
        rule: what holds if `ok`.
    Raises:
        ParameterError: one of them is False.
    """
    if not isinstance(ok, Tracer) and not np.all(np.asarray(ok)):
        raise ParameterError(f"{name} has values out of range; {rule}")


# Kinds of arguments that are checked by their annotation, and their names in messages.
_KINDS = {
    bool: "True or False",
    float: "a number",
    int: "a whole number",
    str: "a name",
    types.NoneType: "None",
}
NUMBER = frozenset({int, float})
# The kinds of a dtype.
_DTYPE = frozenset({np.dtype})
# Values to fill in, which may be NaN.
_FILLS = ("fill", "fill_value")


def checked(function: Function) -> Function:
    """Return `function` with a check of the kind of its arguments, by their annotations.

    Of an argument annotated as a number, whole number, switch or name, or None beside them, it
    refuses values of another kind, and NaN; of `dtype`, types that are not floating point or
    complex. Other annotations are not checked here.

    Raises:
        ParameterError: an argument of another kind.
    """
    signature = inspect.signature(function)
    kinds = kinds_of([function])

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        for name, kind in kinds.items():
            if name in given:
                given[name] = of_kind(name, given[name], kind)
        return function(*bound.args, **bound.kwargs)

    return typing.cast(Function, call)


def kinds_of(functions: Iterable[Callable[..., Any]]) -> dict[str, frozenset[type]]:
    """Return the kinds of those arguments whose annotations are of `_KINDS` alone.

    Of functions that have arguments of one name, the first counts.
    """
    found: dict[str, frozenset[type]] = {}
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            kinds = typing.get_args(parameter.annotation) or (parameter.annotation,)
            if name == "dtype":
                found.setdefault(name, _DTYPE)
            elif all(kind in _KINDS for kind in kinds):
                found.setdefault(name, frozenset(kinds))
    return found


def of_kind(name: str, value: Any, kinds: frozenset[type]) -> Any:
    """Return a value of one of the kinds, as a float where it is too large for JAX's integers.

    Raises:
        ParameterError: it is of another kind, or NaN.
    """
    if kinds is _DTYPE:
        _check_dtype(name, value)
        return value
    kind = _kind_of(value)
    if kind not in kinds and not (kind is int and float in kinds):
        wanted = [words for known, words in _KINDS.items() if known in kinds]
        wanted = [words for words in wanted if words != "a whole number" or float not in kinds]
        raise ParameterError(f"{name} is {value!r}; it must be {' or '.join(wanted)}")
    if kind is float and name not in _FILLS and not isinstance(value, Tracer):
        require(not math.isnan(value), name, value, "it must not be NaN")
    if kind is int and float in kinds and not isinstance(value, Tracer) and abs(value) >= 2**31:
        require(abs(value) < 2**1000, name, value, "it must be below 2**1000")
        return float(value)
    return value


def _check_dtype(name: str, value: Any) -> None:
    """Refuse what is not None, floating point or complex."""
    rule = "it must be a dtype of floating point or complex numbers"
    try:
        known = value is None or (
            not isinstance(value, bool | int | float) and jnp.issubdtype(value, jnp.inexact)
        )
    except TypeError:
        known = False
    require(known, name, value, rule)


def _kind_of(value: Any) -> type:
    """Return the kind of a value; a number may be an array without axes."""
    if isinstance(value, bool | int | float | str):
        return bool if isinstance(value, bool) else next(k for k in _KINDS if isinstance(value, k))
    if isinstance(value, AnyArray | np.generic) and value.ndim == 0:
        return {"b": bool, "i": int, "u": int, "f": float}.get(_letter(value.dtype), object)
    return type(value)


def _letter(dtype: Any) -> str:
    return "f" if jnp.issubdtype(dtype, jnp.floating) else dtype.kind

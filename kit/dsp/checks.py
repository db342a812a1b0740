"""Checks of arguments, made before any work and also while a function is traced."""

import functools
import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import AbstractArray

from kit.errors import ConfigError

AnyArray = jax.Array | np.ndarray
"""Types that array arguments accept; every result is a `jax.Array`."""

Number = int | float
"""A real number, known while tracing."""


Function = TypeVar("Function", bound=Callable[..., Any])


class ParameterError(ConfigError):
    """An argument of a `kit.dsp` function is out of range, or arrays do not fit together.

    Example:
        >>> try:
        ...     kit.dsp.stft(np.zeros(8000), n_fft=0)
        ... except kit.dsp.ParameterError as error:
        ...     print(error)
        n_fft is 0; it must be a whole number of at least 1
    """


# Limits against a wrong unit, which would take all memory: samples of a frame, rows of a table.
_FRAME, _ROWS = 2**24, 2**16
_MOST = {
    "hop_length": 2**26,
    **dict.fromkeys(("n_fft", "win_length", "frame_length", "Nx"), _FRAME),
    **dict.fromkeys(("n_mels", "n_mfcc", "n_bins", "n_chroma", "n_octaves", "n_bands"), _ROWS),
    **dict.fromkeys(("bins_per_octave", "n_input", "kernel_size", "n_steps", "order"), _ROWS),
}

_AUDIO = "it must be floating point, or int16 of full scale 32768"


def require(ok: object, name: str, value: object, rule: str) -> None:
    """Refuse the argument `name` unless `ok`."""
    if not ok:
        raise ParameterError(f"{name} is {value!r}; {rule}")


def one_of(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse a name that is not among the `known`."""
    require(value in [*known], name, value, f"it must be one of {', '.join(known)}")


def positive_int(name: str, value: object, *, least: int = 1, most: int | None = None) -> int:
    """Return `value` as a Python int; refuse True, 2.0, and values out of `least` to `most`.

    By default `most` is the limit for this name, 2**31 - 1 for most.
    """
    rule = f"it must be a whole number of at least {least}"
    require(not isinstance(value, bool | np.bool_), name, value, rule)
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise ParameterError(f"{name} is {value!r}; {rule}") from None
    require(number >= least, name, value, rule)
    # JAX counts in 32 bits and would wrap around.
    most = _MOST.get(name, 2**31 - 1) if most is None else most
    require(number <= most, name, value, f"it must be at most {most}")
    return number


def check_size(name: str, value: object, count: int, *, most: int = 2**26) -> None:
    """Refuse an argument that would make an array of more than `most` numbers."""
    require(count <= most, name, value, f"an array would hold {count} numbers; lower it")


def as_waveform(y: object, name: str = "y", *, least: int = 1) -> jax.Array:
    """Return a waveform as floating point; refuse other dtypes and less than `least` samples.

    float32 and float64 stay as they are, float16 and bfloat16 are widened to float32, int16 is
    divided by 32768. Without 64-bit JAX, float64 becomes float32.
    """
    array = y if isinstance(y, jax.Array) else np.asarray(y)
    dtype = array.dtype
    if jnp.issubdtype(dtype, jnp.floating):
        if dtype.itemsize < 4:
            array = jnp.asarray(array, jnp.float32)
    elif dtype == np.int16:
        array = jnp.asarray(array, jnp.float32) / 32768
    else:
        raise ParameterError(f"{name} has dtype {dtype}; {_AUDIO}")
    require(array.ndim >= 1, f"{name}.shape", array.shape, "its last axis must be samples")
    rule = f"its last axis must hold at least {least} sample{'s' if least > 1 else ''}"
    require(array.shape[-1] >= least, f"{name}.shape", array.shape, rule)
    return jnp.asarray(array)


def known_waveform(y: AnyArray, name: str = "y") -> np.ndarray:
    """Return a known waveform as a NumPy array, with the dtypes of `as_waveform`."""
    values = np.asarray(y)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return values if values.dtype.itemsize >= 4 else values.astype(np.float32)
    if values.dtype == np.int16:
        return values.astype(np.float32) / np.float32(32768)
    raise ParameterError(f"{name} has dtype {values.dtype}; {_AUDIO}")


def check_values(ok: object, name: str, rule: str) -> None:
    """Refuse known values unless all are `ok`; traced values are not checked."""
    if not isinstance(ok, Tracer) and not np.all(np.asarray(ok)):
        raise ParameterError(f"{name} has values out of range; {rule}")


# Kinds of arguments that annotations check, and their names in messages.
_KINDS: dict[Any, str] = {
    bool: "True or False",
    float: "a number",
    int: "a whole number",
    str: "a name",
    Callable: "a function",
    Sequence: "a sequence",
    AbstractArray: "an array",
    types.NoneType: "None",
}
NUMBER: frozenset[Any] = frozenset({int, float})
# The kind of an argument named `dtype`.
_DTYPE: frozenset[Any] = frozenset({np.dtype})
# Values to fill in, which may be NaN.
_FILLS = ("fill", "fill_value", "cval")


def checked(function: Function) -> Function:
    """Return `function` with a check of the kind of its arguments, by their annotations.

    An argument annotated as a number, whole number, switch, name, function, sequence or array (or
    None) refuses values of another kind, and a number refuses NaN. `dtype` refuses types other than
    floating point and complex. Other annotations are not checked.

    Raises:
        ParameterError: an argument of another kind.
        TypeError: an argument is missing or has an unknown name.
    """
    signature = inspect.signature(function)
    kinds = kinds_of([function])

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = bind(function.__name__, signature, args, kwargs)
        given = bound.arguments
        for name, kind in kinds.items():
            if name in given:
                given[name] = of_kind(name, given[name], kind)
        return function(*bound.args, **bound.kwargs)

    return typing.cast(Function, call)


def bind(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    """Bind arguments to a signature; a `TypeError` begins with `name`, as Python's does."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}() {error}") from None


def kinds_of(functions: Iterable[Callable[..., Any]]) -> dict[str, frozenset[Any]]:
    """Return the kinds of all arguments whose annotations name only `_KINDS`.

    If several functions have an argument of one name, the first function counts.
    """
    found: dict[str, frozenset[Any]] = {}
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            kinds = frozenset(_kinds_in(parameter.annotation))
            if name == "dtype":
                found.setdefault(name, _DTYPE)
            elif kinds <= _KINDS.keys():
                found.setdefault(name, kinds)
    return found


def _kinds_in(annotation: Any) -> Iterator[Any]:
    """Yield the parts of an annotation, as kinds where they are one."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _kinds_in(part)
    elif origin in (tuple, list, Sequence):
        yield Sequence
    elif origin is Callable:
        yield Callable
    elif isinstance(annotation, type) and issubclass(annotation, AnyArray | AbstractArray):
        yield AbstractArray
    else:
        yield annotation


def of_kind(name: str, value: Any, kinds: frozenset[Any]) -> Any:
    """Return a value of one of the kinds, in a form that JAX accepts; refuse others, and NaN.

    A list for an array becomes an array. A whole number too large for JAX becomes a float.
    """
    if kinds is _DTYPE:
        _check_dtype(name, value)
        return value
    kind = _kind_of(value)
    if kinds == {bool} and _is_switch(value):
        return bool(value)
    fits = kind in kinds or (kind is int and float in kinds)
    number = isinstance(value, int | float | complex | np.number)
    # A number may replace an array of numbers, but not a list or a name.
    if AbstractArray in kinds and not kinds & {Sequence, str} and not fits and number:
        return np.asarray(value)
    if AbstractArray in kinds and (kind is Sequence or hasattr(value, "shape")):
        if not hasattr(value, "shape") and Sequence in kinds:
            return value
        return _array(name, value)
    if not fits:
        wanted = [words for known, words in _KINDS.items() if known in kinds]
        wanted = [words for words in wanted if words != "a whole number" or float not in kinds]
        raise ParameterError(f"{name} is {value!r}; it must be {' or '.join(wanted)}")
    if isinstance(value, Tracer):
        return value
    if isinstance(value, np.generic | np.ndarray):
        # NumPy's numbers share the program of Python's.
        value = value.item()
    if kind is float and name not in _FILLS:
        require(not math.isnan(value), name, value, "it must not be NaN")
    if kind is int and float in kinds and abs(value) >= 2**31:
        require(abs(value) < 2**1000, name, value, "it must be below 2**1000")
        return float(value)
    return value


def _is_switch(value: Any) -> bool:
    """Return whether a known value is 0 or 1, or an array of one such value."""
    if isinstance(value, Tracer) or np.size(value) != 1 or isinstance(value, tuple | list):
        return False
    known = np.asarray(value).reshape(())
    return known.dtype.kind in "bui" and known.item() in (0, 1)


def _array(name: str, values: Any) -> Any:
    """Return an array or a list as an array; refuse dtypes other than numbers and keys."""
    if not hasattr(values, "shape"):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise ParameterError(f"{name} is not an array: {error}") from None
    known = (jnp.number, jnp.bool_, jax.dtypes.extended)
    if not any(jnp.issubdtype(values.dtype, kind) for kind in known):
        raise ParameterError(f"{name} has dtype {values.dtype}; it must be numbers")
    return values


def numbers(name: str, values: Any) -> np.ndarray:
    """Return known real numbers in float64; refuse other values."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} is {values!r}; it must be numbers") from None


def _check_dtype(name: str, value: Any) -> None:
    """Refuse a dtype that is not None, floating point or complex."""
    rule = "it must be a dtype of floating point or complex numbers"
    try:
        known = value is None or (
            not isinstance(value, bool | int | float) and jnp.issubdtype(value, jnp.inexact)
        )
    except TypeError:
        known = False
    require(known, name, value, rule)


def _kind_of(value: Any) -> Any:
    """Return the kind of a value; an array without axes counts as a number."""
    if isinstance(value, AnyArray | np.generic):
        if value.ndim:
            return Sequence
        if jnp.issubdtype(value.dtype, jnp.floating):
            return float
        return {"b": bool, "i": int, "u": int}.get(getattr(value.dtype, "kind", ""), AbstractArray)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    if isinstance(value, tuple | list | range):
        return Sequence
    return Callable if callable(value) else type(value)

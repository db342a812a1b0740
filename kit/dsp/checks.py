"""Checks made while a function is traced: a bad argument fails before any work is done."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kit.errors import ConfigError

AnyArray = jax.Array | np.ndarray
"""What array arguments may be; everything that comes back is a `jax.Array`."""

Number = int | float
"""A real number that is known while tracing."""


class ParameterError(ConfigError):
    """An argument of a `kit.dsp` function is out of its range, or arrays do not fit together."""


_AUDIO = "it must be floating point, or int16 of full scale 32768"


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
        raise ParameterError(f"{name} has dtype {dtype}; {_AUDIO}")
    require(array.ndim >= 1, f"{name}.shape", array.shape, "its last axis must be samples")
    require(
        array.shape[-1] >= least,
        f"{name}.shape",
        array.shape,
        f"its last axis must hold at least {least} sample{'s' if least > 1 else ''}",
    )
    return jnp.asarray(array)


def known_waveform(y: AnyArray, name: str = "y") -> np.ndarray:
    """Return what `as_waveform` does of known values, in NumPy.

    Raises:
        ParameterError: a dtype that is not audio.
    """
    values = np.asarray(y)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return values if values.dtype.itemsize >= 4 else values.astype(np.float32)
    if values.dtype == np.int16:
        return values.astype(np.float32) / np.float32(32768)
    raise ParameterError(f"{name} has dtype {values.dtype}; {_AUDIO}")


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

"""Known arrays on the host, where an operation needs no program for each shape."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kit.dsp.checks import AnyArray, ParameterError


def known(x: Any) -> Any:
    """Return a traced array as it is, and any other value as a NumPy array."""
    return x if isinstance(x, Tracer) else np.asarray(x)


def axis_moved(x: AnyArray, source: int, target: int) -> AnyArray:
    """Return `x` with an axis moved, as a NumPy array unless it is traced or the axis is there."""
    if source % x.ndim == target % x.ndim:
        return x
    if isinstance(x, Tracer):
        return jnp.moveaxis(x, source, target)
    return np.moveaxis(np.asarray(x), source, target)


def moved_back(x: AnyArray, source: int, target: int) -> jax.Array:
    """Return `axis_moved` as a JAX array."""
    moved = axis_moved(x, source, target)
    return moved if isinstance(moved, jax.Array) else placed(moved)


def array_of(name: str, value: Any) -> Any:
    """Return an array of a dtype that JAX has, in this machine's byte order."""
    if isinstance(value, jax.Array):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "biufc":
        known = array.dtype.newbyteorder("=")
        if known.kind in "fc" and known.itemsize > (8 if known.kind == "f" else 16):
            known = np.dtype(np.float64 if known.kind == "f" else np.complex128)
        return array.astype(jax.dtypes.canonicalize_dtype(known), copy=False)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    raise ParameterError(f"{name} has dtype {array.dtype}; it must be numbers")


def placed(x: np.ndarray) -> jax.Array:
    """Return a NumPy array as a JAX array; `jnp.asarray` would compile a program for each shape."""
    with jax.ensure_compile_time_eval():
        return jax.device_put(x)


def of_numbers(compute: Callable[[Any, Any], Any], values: Any) -> Any:
    """Return `compute(numpy or jax.numpy, values)`: a JAX array for a JAX array, otherwise NumPy.

    Known values are computed on the host in double precision.
    """
    if isinstance(values, Tracer):
        return compute(jnp, values.astype(jnp.result_type(values, jnp.float32)))
    known = compute(np, np.asarray(values, np.float64))[()]
    if not isinstance(values, jax.Array):
        return known
    return placed(np.asarray(known, jnp.result_type(values, jnp.float32)))


def traceable(function: Any) -> Any:
    """Replace a NumPy function by the JAX function of its name, if any, which can be traced."""
    name = getattr(function, "__name__", "")
    return getattr(jnp, name, function) if getattr(np, name, None) is function else function


def of_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replace a JAX function by the NumPy function of the same name, which compiles nothing."""
    name = getattr(function, "__name__", "")
    return getattr(np, name) if getattr(jnp, name, None) is function else function

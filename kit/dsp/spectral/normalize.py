"""Scaling to unit norm."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Num

from kit.dsp.arrays import axis_moved, moved_back, placed
from kit.dsp.checks import AnyArray, Number, require
from kit.dsp.decibel import peak_of, safe_power
from kit.dsp.jit import Length, by_clip


def normalize(
    S: Num[AnyArray, "*shape"],
    *,
    norm: Number | None = np.inf,
    axis: int | None = 0,
    threshold: Number | None = None,
    fill: bool | None = None,
) -> Num[jax.Array, "*shape"]:
    """Scale vectors along `axis` to unit norm, except those with a norm below `threshold`.

    Args:
        S: any shape; complex vectors are scaled by the norm of their magnitude.
        norm: inf, -inf, 0 (number of nonzeros), a positive p, or None for no scaling.
        axis: axis of one vector; None for the whole array.
        threshold: norms below it are small; the smallest normal number of the dtype if not given.
        fill: for small vectors: None keeps them, False sets them to zero, True to a constant of
            unit norm (not for norm 0).
    Returns:
        The dtype of `S`, float32 for integers. A vector that is not finite becomes NaN.
    Raises:
        ParameterError: a threshold not above 0, an unknown norm, fill or axis.
    Source: librosa 0.11 `util.normalize`.

    Example:
        >>> kit.dsp.normalize(np.array([[1.0, -2.0], [4.0, 4.0]]), axis=1)
        Array([[ 0.5, -1. ],
               [ 1. ,  1. ]], dtype=float32)
    """
    S = S if isinstance(S, jax.Array) else np.asarray(S)
    _check(norm, threshold, fill)
    require(axis is None or -S.ndim <= axis < S.ndim, "axis", axis, f"S has {S.ndim} axes")
    options: dict[str, Any] = {"norm": norm, "threshold": threshold, "fill": fill}
    if isinstance(S, Tracer):
        return to_unit_norm(S, axis=axis, **options)
    if S.size == 0 or norm is None:
        return placed(_inexact(np.asarray(S)))
    # On the host, an axis is moved without a program for each shape.
    if axis is None or S.ndim == 1:
        made = _of_clip(S=np.asarray(S).reshape(1, -1), in_time=True, **options)
        return placed(np.asarray(made).reshape(S.shape))
    if axis % S.ndim == S.ndim - 1:
        return _of_clip(S=S, in_time=True, **options)
    return moved_back(_of_clip(S=axis_moved(S, axis, -2), in_time=False, **options), -2, axis)


@by_clip(S="bt")
def _of_clip(
    n: Length, *, S: Any, in_time: bool, **options: Any
) -> tuple[Num[jax.Array, "bands frames"], Length]:
    axis = -1 if in_time else -2
    return to_unit_norm(S, axis=axis, n=n if in_time else None, **options), n


def to_unit_norm(
    S: Num[jax.Array, "*shape"],
    *,
    axis: int | None,
    norm: Number | None = np.inf,
    threshold: Number | None = None,
    fill: bool | None = None,
    n: Length | None = None,
) -> Num[jax.Array, "*shape"]:
    """Normalize an array inside a larger program; arguments as in `normalize`.

    `n` is the number of valid elements along `axis`, which must then be the last axis.
    """
    _check(norm, threshold, fill)
    S = jnp.asarray(S)
    if not jnp.issubdtype(S.dtype, jnp.inexact):
        S = S.astype(jnp.float32)
    if norm is None or S.size == 0:
        return S
    small = float(jnp.finfo(S.dtype).tiny) if threshold is None else threshold
    wide = S.astype(jnp.result_type(S, jnp.float32))
    valid = True if n is None else jnp.arange(S.shape[-1]) < n
    count: Any = n if n is not None else S.size if axis is None else S.shape[axis]
    absolute = _absolute(wide)
    finite = jnp.all(jnp.isfinite(absolute) | ~jnp.asarray(valid), axis=axis, keepdims=True)
    over = tuple(range(S.ndim)) if axis is None else (axis,)
    scale: Any = 1
    if norm == np.inf:
        length, unit = peak_of(jnp.where(valid, absolute, 0), over), 1.0
    elif norm == -np.inf:
        length, unit = -peak_of(jnp.where(valid, -absolute, -jnp.inf), over), 1.0
    elif norm == 0:
        nonzero = (absolute > 0) & valid
        length, unit = jnp.sum(nonzero, axis=axis, keepdims=True).astype(absolute.dtype), 0.0
    else:
        scale = power_of_two(jnp.where(valid, absolute, 0), over)
        absolute, wide = absolute / scale, wide / scale
        total = jnp.sum(jnp.where(valid, safe_power(absolute, norm), 0), axis=axis, keepdims=True)
        # The root has no finite slope at zero.
        length = jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / norm), 0)
        unit = count ** (-1 / norm)
    tiny = length * scale < small
    scaled = wide / jnp.where(tiny, 1, length)
    if fill is None:
        out = jnp.where(tiny, wide * scale, scaled)
    else:
        out = jnp.where(tiny, unit if fill else 0.0, scaled)
    return jnp.where(finite, out, jnp.nan).astype(S.dtype)


def power_of_two(
    absolute: Float[jax.Array, "*shape"], axes: tuple[int, ...]
) -> Float[jax.Array, "..."]:
    """Return the power of two above the greatest finite value along `axes`, kept with length 1.

    Division by it is exact, and the squares of the quotients neither overflow nor vanish.
    """
    known = lax.stop_gradient(jnp.where(jnp.isfinite(absolute), absolute, 0))
    _, exponent = jnp.frexp(jnp.max(known, axis=axes, keepdims=True, initial=0))
    # Beyond this limit, the inverse would be subnormal.
    most = jnp.finfo(absolute.dtype).maxexp - 2
    return jnp.ldexp(jnp.ones((), absolute.dtype), jnp.clip(exponent, -most, most))


def _check(norm: Number | None, threshold: Number | None, fill: bool | None) -> None:
    require(threshold is None or threshold > 0, "threshold", threshold, "it must be above 0")
    require(fill in (None, True, False), "fill", fill, "it must be None, True or False")
    require(not (norm == 0 and fill is True), "fill", fill, "no constant vector has unit norm 0")
    check_norm(norm)


def check_norm(norm: object) -> None:
    """Refuse an order of a norm that is negative (but -inf) or not a number."""
    number = isinstance(norm, int | float | np.number) and (norm >= 0 or norm == -np.inf)
    rule = "it must be inf, -inf, 0, a number above 0, or None"
    require(norm is None or number, "norm", norm, rule)


def _absolute(S: Num[jax.Array, "*shape"]) -> Float[jax.Array, "*shape"]:
    if not jnp.iscomplexobj(S):
        return jnp.abs(S)
    # The slope of the modulus at zero is NaN.
    zero = S == 0
    return jnp.where(zero, 0, jnp.abs(jnp.where(zero, 1, S)))


def _inexact(values: np.ndarray) -> np.ndarray:
    known = jnp.issubdtype(values.dtype, jnp.inexact)
    kind = jax.dtypes.canonicalize_dtype(values.dtype) if known else np.dtype(np.float32)
    return values.astype(kind.newbyteorder("="), copy=False)


def normalize_values(values: np.ndarray, norm: Any) -> np.ndarray:
    """Scale a constant vector to unit p-norm; keep a vector of zeros."""
    if norm is None:
        return values
    size = np.linalg.norm(values, ord=norm)
    return values / size if size >= np.finfo(np.float64).tiny else values

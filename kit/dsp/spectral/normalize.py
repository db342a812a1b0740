"""Scaling to unit norm."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from kit.dsp.checks import AnyArray, Number, ParameterError, require
from kit.dsp.jit import compiled


@compiled("S")
def normalize(
    S: Num[AnyArray, "*shape"],
    *,
    norm: Number | None = np.inf,
    axis: int | None = 0,
    threshold: Number | None = None,
    fill: bool | None = None,
) -> Num[jax.Array, "*shape"]:
    """Scales vectors along `axis` to unit norm; those below `threshold` are treated apart.

    Args:
        S: any shape; complex vectors are scaled by the norm of their magnitude.
        norm: inf, -inf, 0 (number of nonzeros), a positive p, or None (nothing is done).
        axis: of one vector; None takes the whole array as one.
        threshold: norms below it are small; the smallest normal number of the dtype if not given.
        fill: what becomes of small vectors: None leaves them, False makes them zero, True makes
            them constant with unit norm (not possible for norm 0).
    Raises:
        ParameterError: a threshold not above 0, an unknown norm or fill.
    Source: librosa 0.11 `util.normalize`.
    """
    S = jnp.asarray(S)
    if not jnp.issubdtype(S.dtype, jnp.inexact):
        S = S.astype(jnp.float32)
    require(threshold is None or threshold > 0, "threshold", threshold, "it must be above 0")
    require(fill in (None, True, False), "fill", fill, "it must be None, True or False")
    if norm is None:
        return S
    small = float(np.finfo(S.dtype).tiny) if threshold is None else threshold
    mag = jnp.abs(S)
    if norm == np.inf:
        length, unit = jnp.max(mag, axis=axis, keepdims=True), 1.0
    elif norm == -np.inf:
        length, unit = jnp.min(mag, axis=axis, keepdims=True), 1.0
    elif norm == 0:
        require(fill is not True, "fill", fill, "no constant vector has unit norm 0")
        length = jnp.sum(mag > 0, axis=axis, keepdims=True).astype(mag.dtype)
        unit = 0.0
    elif isinstance(norm, int | float) and norm > 0:
        powers = _power(mag, norm)
        size = S.size if axis is None else S.shape[axis]
        total = jnp.sum(powers, axis=axis, keepdims=True)
        # A root has no slope at zero.
        length = jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / norm), 0)
        unit = float(size) ** (-1 / norm)
    else:
        raise ParameterError(
            f"norm is {norm!r}; it must be inf, -inf, 0, a number above 0, or None"
        )
    tiny = length < small
    safe = jnp.where(tiny, 1, length)
    if fill is None:
        return S / safe
    return jnp.where(tiny, unit if fill else 0.0, S / safe)


def _power(mag: Float[jax.Array, "..."], norm: Number) -> Float[jax.Array, "..."]:
    if norm == 1:
        return mag
    return jnp.square(mag) if norm == 2 else mag**norm


def normalize_values(values: np.ndarray, norm: Any) -> np.ndarray:
    """A constant vector scaled to unit p-norm; zeros stay."""
    if norm is None:
        return values
    size = np.linalg.norm(values, ord=norm)
    return values / size if size >= np.finfo(np.float64).tiny else values

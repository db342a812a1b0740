"""Maxima that keep what is not a number.

On CPU, XLA's own maximum of a NaN and a number may be the number, and its maximum over an array
with a NaN in it may be anything, -inf included (jax 0.10, arrays of some thousand elements).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float


def at_least(
    x: Float[jax.Array, "..."], floor: Float[jax.Array, "..."] | float
) -> Float[jax.Array, "..."]:
    """The greater of the two; NaN where `x` is NaN."""
    return jnp.where(x < floor, jnp.asarray(floor, x.dtype), x)


def peak_of(x: Float[jax.Array, "..."], axes: tuple[int, ...]) -> Float[jax.Array, "..."]:
    """The maximum over `axes`, which are kept with length 1; NaN where one of them is NaN."""
    nans = jnp.isnan(x)
    peak = jnp.max(jnp.where(nans, -jnp.inf, x), axis=axes, keepdims=True)
    return jnp.where(jnp.any(nans, axis=axes, keepdims=True), jnp.nan, peak)

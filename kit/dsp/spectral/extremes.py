"""Means of the greatest and of the smallest values."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def means_of_extremes(
    x: Float[jax.Array, "values others"], count: int
) -> Float[jax.Array, "2 others"]:
    """Return the means of the `count` greatest and `count` smallest values along the first axis.

    A loop over the first axis inserts values into sorted lists, for all columns at once, which uses
    vector units. Means are NaN where a value is not finite.
    """
    return _means(*_extremes(x, count))


@means_of_extremes.defjvp
def _slope(count: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple:
    (x,), (dx,) = primals, tangents
    greatest, least, spoilt = _extremes(x, count)

    def mean_of(values: jax.Array, last: jax.Array) -> jax.Array:
        above, equal = values > last, values == last
        # Values equal to the last of the list share its weight.
        share = (count - above.sum(axis=0)) / jnp.maximum(equal.sum(axis=0), 1)
        weight = jnp.where(above, 1, jnp.where(equal, share.astype(x.dtype), 0))
        return jnp.sum(weight / count * dx, axis=0)

    slopes = jnp.stack([mean_of(x, greatest[-1]), mean_of(-x, least[-1])])
    return _means(greatest, least, spoilt), slopes


Lists = Float[jax.Array, "count others"]


def _means(
    greatest: Lists, least: Lists, spoilt: Float[jax.Array, "others"]
) -> Float[jax.Array, "2 others"]:
    return jnp.stack([greatest.mean(axis=0), -least.mean(axis=0)]) + spoilt


def _extremes(
    x: Float[jax.Array, "values others"], count: int
) -> tuple[Lists, Lists, Float[jax.Array, "others"]]:
    """Return the greatest values of `x` and of `-x`, and 0, or NaN where a value is not finite."""
    if count == 1:
        return x.max(axis=0)[None], -x.min(axis=0)[None], jnp.sum(0 * x, axis=0)
    first = jnp.full_like(x[:1], jnp.inf)

    def add(kept: Lists, value: Float[jax.Array, "others"]) -> Lists:
        before = jnp.concatenate([first, kept[:-1]])
        return jnp.maximum(kept, jnp.minimum(before, value))

    def step(kept: tuple[Lists, Lists, jax.Array], value: jax.Array) -> tuple[Any, None]:
        greatest, least, spoilt = kept
        return (add(greatest, value), add(least, -value), spoilt + 0 * value), None

    none = jnp.full((count, x.shape[1]), -jnp.inf, x.dtype)
    return lax.scan(step, (none, none, jnp.zeros_like(x[0])), x)[0]

"""Measurements of any range as numbers between 0 and 1."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.dsp.checks import AnyArray, Number


def unit(x: Float[AnyArray, "..."], low: Number, high: Number) -> Float[jax.Array, "..."]:
    """A logistic curve that is 0.1 at `low` and 0.9 at `high`: it never stops to rise.

    Args:
        x: what was measured.
        low, high: in its unit; `low` above `high` for a curve that falls.
    """
    place = 2 * (x - low) / (high - low) - 1
    return jax.nn.sigmoid(math.log(9) * place)


def decibels(power: Float[AnyArray, "..."]) -> Float[jax.Array, "..."]:
    """10 log10, of a power that may be 0."""
    return 10 * jnp.log10(jnp.maximum(power, 1e-20))

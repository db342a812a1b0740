"""Averages of weights, which evaluation uses in place of the weights that are trained."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array

from kit.models import Tree
from kit.training.optimiser import Number, floats, long


class Averaged(NamedTuple):
    """An optimiser's state, and the averaged weights and batch statistics.

    They are in float32 where the network's own are shorter.
    """

    inner: Any
    params: Tree
    buffers: Tree


def begun(inner: Any, params: Tree, buffers: Tree) -> Averaged:
    """Return the averages before the first step."""
    # Copies in any case, since the step is given both and donates them.
    return Averaged(inner, *jax.tree.map(jnp.copy, long((params, buffers))))


def followed(
    averaged: Averaged, decay: Number, step: Array, params: Tree, buffers: Tree
) -> Averaged:
    """Return exponential moving averages after a step; what is no float is copied.

    At step t, from 0, the decay is at most (1 + t) / (10 + t).

    Source: TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """
    at = step.astype(jnp.float32)
    keep = jnp.minimum(jnp.asarray(decay), (1 + at) / (10 + at))

    def mixed(old: Array, new: Array) -> Array:
        return old + (1 - keep) * (new.astype(old.dtype) - old) if floats(old) else new

    return averaged._replace(
        params=jax.tree.map(mixed, averaged.params, params),
        buffers=jax.tree.map(mixed, averaged.buffers, buffers),
    )


def schedule_free(averaged: Averaged, params: Tree) -> Averaged:
    """Return schedule-free's averaged weights in their place; batch statistics stay."""
    kind = optax.contrib.ScheduleFreeState
    leaves = jax.tree.leaves(averaged.inner, is_leaf=lambda node: isinstance(node, kind))
    (state,) = (leaf for leaf in leaves if isinstance(leaf, kind))
    found = optax.contrib.schedule_free_eval_params(state, cast(optax.Params, params))
    return averaged._replace(
        params=jax.tree.map(lambda new, old: new.astype(old.dtype), found, averaged.params)
    )

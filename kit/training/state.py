"""State of a training as one pytree, with the averaged weights that evaluation uses."""

from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jaxtyping import Array, Int

from kit.config import TrainConfig
from kit.models import Network, Tree
from kit.training.optimiser import Hyperparameters, Number, Recipe, floats, long, optimiser


class Averaged(NamedTuple):
    """An optimiser's state, and averaged weights and batch statistics, float32 or wider."""

    inner: Any
    params: Tree
    buffers: Tree


class TrainState(NamedTuple):
    """Arrays that a step reads and writes. Keys come from the seed and the step, so none is kept.

    `opt_state` is `Averaged` if the recipe averages weights.
    """

    step: Int[Array, ""]
    params: Tree
    buffers: Tree
    opt_state: Any

    def evaluated(self) -> tuple[Tree, Tree]:
        """Return parameters and buffers for evaluation: the averages, if the recipe has them."""
        own = (self.params, self.buffers)
        averaged = self.opt_state
        found = (averaged.params, averaged.buffers) if isinstance(averaged, Averaged) else own
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), found, own)


def init_state(network: Network, config: TrainConfig) -> TrainState:
    """Return the state before the first step; it depends on the configuration alone."""
    return begin(config, *network.init(jax.random.key(config.seed)))


def begin(config: TrainConfig, params: Tree, buffers: Tree) -> TrainState:
    """Return the state before the first step with these parameters and buffers."""
    step = jnp.zeros((), jnp.int32)
    return TrainState(step, params, buffers, _first(Recipe.of(config), params, buffers))


@lru_cache(maxsize=8)
def template(network: Network, config: TrainConfig) -> TrainState:
    """Return the shapes and dtypes of `init_state` without computing it; cached, for folds."""
    params, buffers = network.shapes()
    step = cast(Any, jax.ShapeDtypeStruct((), jnp.int32))
    first = jax.eval_shape(lambda p, b: _first(Recipe.of(config), p, b), params, buffers)
    return TrainState(step, params, buffers, first)


def _first(recipe: Recipe, params: Tree, buffers: Tree) -> Any:
    one = np.float32(1.0)
    rule = optimiser(recipe, Hyperparameters(one, one), one)
    inner = rule.init(cast(optax.Params, params))
    if not recipe.averages:
        return inner
    # Copy: a step donates both the weights and their averages.
    return Averaged(inner, *jax.tree.map(jnp.copy, long((params, buffers))))


def moving_average(
    averaged: Averaged, decay: Number, step: Array, params: Tree, buffers: Tree
) -> Averaged:
    """Return exponential moving averages after a step; copy arrays that hold no floats.

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


def schedule_free_average(averaged: Averaged, params: Tree) -> Averaged:
    """Replace the averaged parameters with those that schedule-free's state gives."""
    kind = optax.contrib.ScheduleFreeState
    leaves = jax.tree.leaves(averaged.inner, is_leaf=lambda node: isinstance(node, kind))
    (state,) = (leaf for leaf in leaves if isinstance(leaf, kind))
    found = optax.contrib.schedule_free_eval_params(state, cast(optax.Params, params))
    return averaged._replace(
        params=jax.tree.map(lambda new, old: new.astype(old.dtype), found, averaged.params)
    )

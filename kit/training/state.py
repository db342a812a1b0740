"""State of a training as one pytree."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from kit.config import TrainConfig
from kit.models import Network, Tree
from kit.training.average import Averaged, begun
from kit.training.optimiser import Hyperparameters, Recipe, optimiser


class TrainState(NamedTuple):
    """Everything that a step reads and writes; no RNG: keys come from the seed and the step."""

    step: Int[Array, ""]
    params: Tree
    buffers: Tree
    opt_state: Any

    def evaluated(self) -> tuple[Tree, Tree]:
        """Return the parameters and buffers of evaluation: the averaged ones if there are any."""
        own = (self.params, self.buffers)
        averaged = self.opt_state
        found = (averaged.params, averaged.buffers) if isinstance(averaged, Averaged) else own
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), found, own)


def init_state(network: Network, config: TrainConfig) -> TrainState:
    """Return the state before the first step; a function of the configuration alone."""
    return begin(config, *network.init(jax.random.key(config.seed)))


def begin(config: TrainConfig, params: Tree, buffers: Tree) -> TrainState:
    """Return the state before the first step, with these parameters and buffers."""
    return TrainState(
        jnp.zeros((), jnp.int32), params, buffers, _begun(Recipe.of(config), params, buffers)
    )


def template(network: Network, config: TrainConfig) -> TrainState:
    """Return the shapes and dtypes of `init_state`; nothing is computed."""
    params, buffers = network.shapes()
    step = cast(Any, jax.ShapeDtypeStruct((), jnp.int32))
    first = jax.eval_shape(lambda p, b: _begun(Recipe.of(config), p, b), params, buffers)
    return TrainState(step, params, buffers, first)


def _begun(recipe: Recipe, params: Tree, buffers: Tree) -> Any:
    one = np.float32(1.0)
    rule = optimiser(recipe, Hyperparameters(one, one), one)
    inner = rule.init(cast(optax.Params, params))
    return begun(inner, params, buffers) if recipe.averages else inner

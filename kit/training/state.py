"""What changes in training, as one pytree."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from kit.config import TrainConfig
from kit.models import Network, Tree

ADAM = optax.scale_by_adam()
"""Adam without its step size, which is an argument of the training step."""


class TrainState(NamedTuple):
    """Everything that a step reads and writes; no RNG: keys come from the seed and the step."""

    step: Int[Array, ""]
    params: Tree
    buffers: Tree
    opt_state: Any


def init_state(network: Network, config: TrainConfig) -> TrainState:
    """Return the state before the first step; a function of the configuration's seed alone."""
    params, buffers = network.init(jax.random.key(config.seed))
    return TrainState(jnp.zeros((), jnp.int32), params, buffers, ADAM.init(params))


def template(network: Network) -> TrainState:
    """Return the shapes and dtypes of `init_state`; nothing is computed."""
    params, buffers = network.shapes()
    step = jax.ShapeDtypeStruct((), jnp.int32)
    return TrainState(step, params, buffers, jax.eval_shape(ADAM.init, params))  # pyright: ignore

"""What changes in training, as one pytree."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from kit.config import TrainConfig
from kit.models import Network, Tree


class TrainState(NamedTuple):
    """Everything that a step reads and writes; no RNG: keys come from the seed and the step."""

    step: Int[Array, ""]
    params: Tree
    batch_stats: Tree
    opt_state: Any


def optimiser(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with a constant step size, as in the original project."""
    return optax.adam(config.learning_rate)


def init_state(network: Network, config: TrainConfig) -> TrainState:
    """The state before the first step; a function of the configuration's seed alone."""
    params, batch_stats = network.init(jax.random.key(config.seed))
    opt_state = optimiser(config).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats, opt_state)

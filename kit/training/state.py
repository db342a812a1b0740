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


def optimiser(config: TrainConfig, total_steps: int) -> optax.GradientTransformation:
    """Adam, its step size along the configuration's schedule."""
    if config.schedule == "constant":
        return optax.adam(config.learning_rate)
    return optax.adam(optax.cosine_decay_schedule(config.learning_rate, total_steps))


def init_state(network: Network, config: TrainConfig) -> TrainState:
    """The state before the first step; a function of the configuration's seed alone."""
    params, batch_stats = network.init(jax.random.key(config.seed))
    # The schedule's length leaves no trace in the state.
    opt_state = optimiser(config, 1).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, batch_stats, opt_state)

"""Bring the averaged weights of a training state up to date before an evaluation."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from kit.models import Network
from kit.training.average import schedule_free
from kit.training.optimiser import Hyperparameters, Recipe, floats
from kit.training.scaling import Scaling
from kit.training.state import TrainState
from kit.training.step import Batch, make_statistics_step

BATCHES = 50
"""Batches from which batch statistics are estimated anew, at most: with a momentum of 0.9 the old
statistics then weigh 0.005."""


def settled(
    network: Network,
    recipe: Recipe,
    state: TrainState,
    batches: Iterable[Batch],
    key: Array,
    scaling: Scaling,
    numbers: Hyperparameters,
) -> TrainState:
    """Return the state at the end of an epoch, ready to be evaluated and saved.

    The weights that schedule-free averages are computed, and their batch statistics are estimated
    on training batches, which the network sees in training mode. Other recipes change nothing, and
    no batch is taken.

    Args:
        network: its functions.
        recipe: of the training.
        state: after the last step of the epoch.
        batches: training batches, the same after a resume; `BATCHES` are enough.
        key: PRNG key of augmentation and dropout.
        scaling: of the training.
        numbers: of the training.
    """
    if recipe.optimiser != "schedule_free":
        return state
    averaged = schedule_free(state.opt_state, state.params)
    found = state._replace(opt_state=averaged)
    buffers = state.buffers
    if any(map(floats, buffers.values())):
        params, _ = found.evaluated()
        step = make_statistics_step(network, recipe)
        for number, batch in enumerate(batches):
            here = jax.random.fold_in(key, number)
            buffers = step(params, buffers, batch, here, scaling, numbers)
    # Counters are those of the training: a copy, since a step is given both and donates them.
    new = {
        path: jnp.array(buffers[path] if floats(old) else state.buffers[path], old.dtype, copy=True)
        for path, old in averaged.buffers.items()
    }
    return found._replace(opt_state=averaged._replace(buffers=new))

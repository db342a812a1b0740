"""One step of training, of evaluation and of prediction: pure functions, jitted.

What differs from run to run without changing the program (scaling, step size, length of the
schedule, weight decay and the other `Hyperparameters`) is an argument, so that the runs of a sweep
share one compiled program.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from kit.models import Network, Tree
from kit.training.augment import Augmentations, Mixture, in_decibels, masked
from kit.training.average import followed
from kit.training.losses import Batch, Metrics, answers, objective, sums
from kit.training.optimiser import Hyperparameters, Recipe, optimiser, step_size
from kit.training.samples import changed
from kit.training.scaling import Scaling
from kit.training.state import TrainState

PROGRAMS = 16
"""Networks whose compiled steps a process keeps, so that a sweep compiles once."""


TrainStep = Callable[
    [TrainState, Batch, Array, Scaling, Hyperparameters], tuple[TrainState, Metrics]
]
EvalStep = Callable[[Tree, Tree, Batch, Scaling], Metrics]
PredictStep = Callable[[Tree, Tree, Array, Scaling], Array]
StatisticsStep = Callable[[Tree, Tree, Batch, Array, Scaling, Hyperparameters], Tree]

_AUGMENTATION, _OF_SAMPLES = 2**31, 2**31 + 1
"""Folded into a step's key for augmentation; a network's dropouts fold in 0, 1 …"""


@lru_cache(maxsize=PROGRAMS)
def make_train_step(network: Network, recipe: Recipe = Recipe()) -> TrainStep:
    """Return `train_step(state, batch, key, scaling, numbers) -> (state, metrics)`, jitted.

    The old state is donated. The loss that is minimised is the mean cross-entropy of the batch's
    segments or tracks, with the recipe's smoothing and weights; the loss in the metrics is without
    them. Where they are mixed, both are losses of the mixed labels, and "correct" counts those
    whose larger part is recognised. The norm of the gradients is taken before clipping, that of the
    parameters after the update.
    """

    @partial(jax.jit, donate_argnums=0)
    def train_step(
        state: TrainState, batch: Batch, key: Array, scaling: Scaling, numbers: Hyperparameters
    ) -> tuple[TrainState, Metrics]:
        def loss_fn(params: Tree) -> tuple[Array, tuple[Tree, Metrics]]:
            x, mixture = _augmented(recipe, batch, key, scaling, numbers)
            outputs, buffers = _in_training(network, recipe, params, state.buffers, x, key)
            logits, answered = answers(outputs, batch, recipe.loss, recipe.several)
            summed = sums(logits, answered, mixture, recipe.several)
            loss = objective(logits, answered, numbers, recipe, mixture)
            return loss / jnp.maximum(summed["weight"], 1.0), (buffers, summed)

        grads, (buffers, metrics) = jax.grad(loss_fn, has_aux=True)(state.params)
        averaged = state.opt_state if recipe.averages else None
        size = step_size(state.step, numbers, recipe)
        updates, opt_state = optimiser(recipe, numbers, size).update(
            cast(optax.Updates, grads),
            state.opt_state if averaged is None else averaged.inner,
            cast(optax.Params, state.params),
        )
        params = cast(Tree, optax.apply_updates(cast(optax.Params, state.params), updates))
        if averaged is not None:
            opt_state = averaged._replace(inner=opt_state)
            if recipe.optimiser != "schedule_free":
                decay = numbers.ema_decay
                opt_state = followed(opt_state, decay, state.step, params, buffers)
        metrics |= {
            "learning_rate": size,
            "grad_norm": optax.tree.norm(grads),
            "param_norm": optax.tree.norm(params),
            "update_norm": optax.tree.norm(updates),
            "steps": jnp.ones(()),
        }
        return TrainState(state.step + 1, params, buffers, opt_state), metrics

    return train_step


@lru_cache(maxsize=PROGRAMS)
def make_statistics_step(network: Network, recipe: Recipe) -> StatisticsStep:
    """Return `statistics_step(params, buffers, batch, key, scaling, numbers) -> buffers`, jitted.

    It updates the batch statistics as training does, by augmented segments, and no parameters.
    """

    @jax.jit
    def statistics_step(
        params: Tree,
        buffers: Tree,
        batch: Batch,
        key: Array,
        scaling: Scaling,
        numbers: Hyperparameters,
    ) -> Tree:
        x, _ = _augmented(recipe, batch, key, scaling, numbers)
        return _in_training(network, recipe, params, buffers, x, key)[1]

    return statistics_step


def _augmented(
    recipe: Recipe, batch: Batch, key: Array, scaling: Scaling, numbers: Hyperparameters
) -> tuple[Array, Mixture | None]:
    """Return the network's input in training, and the labels of mixed segments if they are."""
    which, by = recipe.augment, numbers.augment
    if which == Augmentations():
        return scaling.apply(batch.x), None
    in_db, of_masks = jax.random.split(jax.random.fold_in(key, _AUGMENTATION))
    y, real = jnp.asarray(batch.y), jnp.asarray(batch.weight) > 0
    if recipe.several:
        # Each segment or track stands for its labels.
        y = jnp.arange(len(y))
    stored = scaling.widened(batch.x)
    if which.speeds or which.noises:
        stored = changed(jax.random.fold_in(key, _OF_SAMPLES), stored, real, which, by)
    x, mixture = in_decibels(in_db, scaling.decibels(stored), y, real, which, by)
    if mixture is not None and recipe.several:
        mixture = Mixture(jnp.asarray(batch.y)[mixture.other], mixture.share)
    return masked(of_masks, scaling.standardise(x), real, which, by), mixture


def _in_training(
    network: Network, recipe: Recipe, params: Tree, buffers: Tree, x: Array, key: Array
) -> tuple[Array, Tree]:
    """Return outputs and buffers; parameters and input are cast to the recipe's precision.

    Buffers are not: a network's batch statistics stay in float32.
    """
    if recipe.precision == "bfloat16":
        params = {path: _short(leaf) for path, leaf in params.items()}
        x = _short(x)
    return network.apply(params, buffers, x, train=True, key=key)


def _short(leaf: Array) -> Array:
    return leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf


@lru_cache(maxsize=PROGRAMS)
def make_eval_step(network: Network, loss: str = "segments", several: bool = False) -> EvalStep:
    """Return `eval_step(params, buffers, batch, scaling) -> metrics`, jitted.

    Args:
        network: its functions.
        loss: `TrainConfig.loss`, which says whether segments or tracks are scored.
        several: a track may have several labels.
    """

    @jax.jit
    def eval_step(params: Tree, buffers: Tree, batch: Batch, scaling: Scaling) -> Metrics:
        outputs, _ = network.apply(params, buffers, scaling.apply(batch.x))
        return sums(*answers(outputs, batch, loss, several), several=several)

    return eval_step


@lru_cache(maxsize=PROGRAMS)
def make_predict_step(
    network: Network, attends: bool = False, several: bool = False
) -> PredictStep:
    """Return `predict_step(params, buffers, x, scaling) -> log-probabilities`, jitted.

    The log-probabilities are `(batch, n_classes)`, float32. If the network's last output is the
    score of attention, it stays as it is in one more column.

    Args:
        network: its functions.
        attends: it has an output of attention.
        several: each label has a probability of its own.
    """

    @jax.jit
    def predict_step(params: Tree, buffers: Tree, x: Array, scaling: Scaling) -> Array:
        outputs, _ = network.apply(params, buffers, scaling.apply(x))
        outputs = outputs.astype(jnp.float32)
        log_p = jax.nn.log_sigmoid if several else jax.nn.log_softmax
        if not attends:
            return log_p(outputs)
        return jnp.concatenate([log_p(outputs[:, :-1]), outputs[:, -1:]], axis=1)

    return predict_step

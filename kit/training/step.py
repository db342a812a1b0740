"""Steps of training, evaluation and prediction: pure, jitted functions.

Scaling, step size, weight decay and the other `Hyperparameters` are arguments, so that the runs of
a sweep share one compiled program.
"""

import itertools
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from kit.models import Network, Tree
from kit.training.augment import Augmentations, Mixture, in_decibels, in_samples, masked
from kit.training.losses import Batch, Metrics, answers, objective, sums
from kit.training.optimiser import Hyperparameters, Recipe, floats, optimiser, step_size
from kit.training.scaling import Scaling
from kit.training.state import TrainState, moving_average, schedule_free_average

PROGRAMS = 16
"""Compiled steps that a process keeps, so that a sweep compiles once."""
_REFRESH = 50
"""Batches that `refresh_averages` takes at most: with a momentum of 0.9, the old statistics then
weigh 0.005."""

TrainStep = Callable[
    [TrainState, Batch, Array, Scaling, Hyperparameters], tuple[TrainState, Metrics]
]
EvalStep = Callable[[Tree, Tree, Batch, Scaling], Metrics]
PredictStep = Callable[[Tree, Tree, Array, Scaling], Array]

_AUGMENTATION, _OF_SAMPLES = 2**31, 2**31 + 1
"""Numbers folded into a step's key for augmentation; dropout layers fold in 0, 1 …"""


@lru_cache(maxsize=PROGRAMS)
def make_train_step(network: Network, recipe: Recipe = Recipe()) -> TrainStep:
    """Return `train_step(state, batch, key, scaling, numbers) -> (state, metrics)`, jitted.

    The step donates the old state. It minimises the mean cross-entropy of the batch's segments or
    tracks, with the recipe's label smoothing and class weights; the metrics hold the loss without
    both. With mixtures, both are losses of the mixed labels, and "correct" counts predictions of
    the label with the larger share. The gradient norm is taken before clipping, the parameter norm
    after the update.
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
                opt_state = moving_average(opt_state, decay, state.step, params, buffers)
        metrics |= {
            "learning_rate": size,
            "grad_norm": optax.tree.norm(grads),
            "param_norm": optax.tree.norm(params),
            "update_norm": optax.tree.norm(updates),
            "steps": jnp.ones(()),
        }
        return TrainState(state.step + 1, params, buffers, opt_state), metrics

    return train_step


def refresh_averages(
    network: Network,
    recipe: Recipe,
    state: TrainState,
    batches: Iterable[Batch],
    key: Array,
    scaling: Scaling,
    numbers: Hyperparameters,
) -> TrainState:
    """Compute schedule-free's averaged weights and their batch statistics before an evaluation.

    The batch statistics are estimated on training batches in training mode. States of other
    recipes are returned unchanged, without a batch.

    Args:
        batches: training batches of the epoch; the first 50 are used.
        key: PRNG key of augmentation and dropout.
        The others: as for a training step.
    """
    if recipe.optimiser != "schedule_free":
        return state
    averaged = schedule_free_average(state.opt_state, state.params)
    found = state._replace(opt_state=averaged)
    buffers = state.buffers
    if any(map(floats, buffers.values())):
        params, _ = found.evaluated()
        step = make_statistics_step(network, recipe)
        for number, batch in enumerate(itertools.islice(batches, _REFRESH)):
            here = jax.random.fold_in(key, number)
            buffers = step(params, buffers, batch, here, scaling, numbers)
    # Counters keep the training's values; copy them, since a step donates both trees.
    new = {
        path: jnp.array(buffers[path] if floats(old) else state.buffers[path], old.dtype, copy=True)
        for path, old in averaged.buffers.items()
    }
    return found._replace(opt_state=averaged._replace(buffers=new))


@lru_cache(maxsize=PROGRAMS)
def make_statistics_step(network: Network, recipe: Recipe) -> Callable[..., Tree]:
    """Return a jitted step that updates the batch statistics as training does."""

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
    """Return the network's input in training, and the labels of a mixture, if any."""
    which, by = recipe.augment, numbers.augment
    if which == Augmentations():
        return scaling.apply(batch.x), None
    in_db, of_masks = jax.random.split(jax.random.fold_in(key, _AUGMENTATION))
    y, real = jnp.asarray(batch.y), jnp.asarray(batch.weight) > 0
    if recipe.several:
        # Mix indices in place of labels.
        y = jnp.arange(len(y))
    stored = scaling.widened(batch.x)
    if which.speeds or which.noises:
        stored = in_samples(jax.random.fold_in(key, _OF_SAMPLES), stored, real, which, by)
    x, mixture = in_decibels(in_db, scaling.decibels(stored), y, real, which, by)
    if mixture is not None and recipe.several:
        mixture = Mixture(jnp.asarray(batch.y)[mixture.other], mixture.share)
    return masked(of_masks, scaling.standardise(x), real, which, by), mixture


def _in_training(
    network: Network, recipe: Recipe, params: Tree, buffers: Tree, x: Array, key: Array
) -> tuple[Array, Tree]:
    """Return outputs and buffers, computed in the recipe's precision; buffers stay in float32."""
    if recipe.precision == "bfloat16":
        params = {path: _short(leaf) for path, leaf in params.items()}
        x = _short(x)
    return network.apply(params, buffers, x, train=True, key=key)


def _short(leaf: Array) -> Array:
    return leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf


@lru_cache(maxsize=PROGRAMS)
def make_eval_step(network: Network, loss: str = "segments", several: bool = False) -> EvalStep:
    """Return `eval_step(params, buffers, batch, scaling) -> metrics`, jitted.

    `loss` is `TrainConfig.loss`: it decides whether segments or tracks are scored.
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

    The log-probabilities are `(batch, n_classes)`, float32. If `attends`, the network's last output
    is the attention score, which follows them unchanged in one more column.
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

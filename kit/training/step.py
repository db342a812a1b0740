"""One step of training, of evaluation and of prediction: pure functions, jitted.

What differs from run to run without changing the program (scaling, step size, length of the
schedule, weight decay and the other `Hyperparameters`) is an argument, so that the runs of a sweep
share one compiled program.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

from kit.models import Network, Tree
from kit.training.augment import Augmentations, Mixture, in_decibels, masked
from kit.training.average import followed
from kit.training.optimiser import Hyperparameters, Number, Recipe, optimiser, step_size
from kit.training.pooling import pooled
from kit.training.state import TrainState

PROGRAMS = 16
"""Networks whose compiled steps a process keeps, so that a sweep compiles once."""


class Batch(NamedTuple):
    """Segments as stored, and their classes. `weight` is 1 for a segment, 0 for padding.

    Where the loss is of whole tracks, `y` has one class for each track, and equally many segments
    of each track stand side by side.
    """

    x: Num[Array | np.ndarray, "batch frames n_mels"]
    y: Int[Array | np.ndarray, " labels"]
    weight: Float[Array | np.ndarray, " batch"]


class Scaling(NamedTuple):
    """Stored values to the network's input: `(x * gain + offset - mean) / deviation`.

    `gain` and `offset` turn stored values into dB; `mean` and `deviation` are in dB, one number
    each or one for each mel band. Without a mean, each segment's own mean of each band is taken.
    """

    gain: Number = np.float32(1.0)
    offset: Number = np.float32(0.0)
    mean: Number | None = np.float32(0.0)
    deviation: Number = np.float32(1.0)

    def apply(self, x: Array | np.ndarray) -> Array:
        """Return the network's input, float32, `(…, frames, n_mels)` as `x` is."""
        return self.standardise(self.decibels(x))

    def decibels(self, x: Array | np.ndarray) -> Array:
        """Return stored values in dB, float32."""
        return jnp.asarray(x).astype(jnp.float32) * self.gain + self.offset

    def standardise(self, decibels: Array) -> Array:
        """Return the network's input of values in dB."""
        mean = decibels.mean(axis=-2, keepdims=True) if self.mean is None else self.mean
        return (decibels - mean) / self.deviation


Metrics = dict[str, Array]
"""Sums over a batch, to be added up: "loss", "correct", "weight", over segments or, where the loss
is of whole tracks, over tracks. A training step adds
"learning_rate", the norms "grad_norm", "param_norm" and "update_norm", and "steps", which is 1."""

TrainStep = Callable[
    [TrainState, Batch, Array, Scaling, Hyperparameters], tuple[TrainState, Metrics]
]
EvalStep = Callable[[Tree, Tree, Batch, Scaling], Metrics]
PredictStep = Callable[[Tree, Tree, Array, Scaling], Array]
StatisticsStep = Callable[[Tree, Tree, Batch, Array, Scaling, Hyperparameters], Tree]

_AUGMENTATION = 2**31
"""Folded into a step's key for augmentation; a network's dropouts fold in 0, 1 …"""


@lru_cache(maxsize=PROGRAMS)
def make_train_step(network: Network, recipe: Recipe = Recipe()) -> TrainStep:
    """Return `train_step(state, batch, key, scaling, numbers) -> (state, metrics)`, jitted.

    The old state is donated. The loss that is minimised is the mean cross-entropy of the batch's
    segments or tracks, with the recipe's smoothing and weights; the loss in the metrics is without
    them. Where segments
    are mixed, both are losses of the mixed labels, and "correct" counts the segments whose larger
    part is recognised. The norm of the gradients is taken before clipping, that of the parameters
    after the update.
    """

    @partial(jax.jit, donate_argnums=0)
    def train_step(
        state: TrainState, batch: Batch, key: Array, scaling: Scaling, numbers: Hyperparameters
    ) -> tuple[TrainState, Metrics]:
        def loss_fn(params: Tree) -> tuple[Array, tuple[Tree, Metrics]]:
            x, mixture = _augmented(recipe, batch, key, scaling, numbers)
            outputs, buffers = _in_training(network, recipe, params, state.buffers, x, key)
            logits, answered = _answers(outputs, batch, recipe.loss)
            sums = _sums(logits, answered, mixture)
            loss = objective(logits, answered, numbers, recipe, mixture)
            return loss / jnp.maximum(sums["weight"], 1.0), (buffers, sums)

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
    if recipe.loss != "segments":
        y = jnp.repeat(y, len(real) // len(y))
    x, mixture = in_decibels(in_db, scaling.decibels(batch.x), y, real, which, by)
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


def _answers(
    outputs: Float[Array, "batch outputs"], batch: Batch, loss: str
) -> tuple[Float[Array, "labels n_classes"], Batch]:
    """Return logits for each label of a batch, and the batch with the weights of its labels."""
    if loss == "segments":
        return outputs, batch
    tracks = len(batch.y)
    by_track = outputs.reshape(tracks, -1, outputs.shape[-1])
    logits, weight = pooled(by_track, jnp.asarray(batch.weight).reshape(tracks, -1), loss)
    return logits, batch._replace(weight=weight)


def objective(
    logits: Float[Array, "batch n_classes"],
    batch: Batch,
    numbers: Hyperparameters,
    recipe: Recipe = Recipe(),
    mixture: Mixture | None = None,
) -> Array:
    """Return the sum over a batch of the cross-entropies, smoothed and weighed by the recipe.

    Each label of a mixed segment has its own weight, and its share of the loss.

    Args:
        logits: of each label of the batch, so of each segment or of each track.
        batch: its labels, and their weights.
        numbers: of the training.
        recipe: of the training.
        mixture: the labels of mixed segments.
    """
    logits = logits.astype(jnp.float32)

    def losses_of(y: Array | np.ndarray) -> Array:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        if recipe.smooths:
            # Of a uniform label: the mean over the labels.
            uniform = -jax.nn.log_softmax(logits).mean(axis=-1)
            losses = losses + numbers.label_smoothing * (uniform - losses)
        if recipe.weighs:
            losses = losses * jnp.asarray(numbers.class_weights)[y]
        return losses

    return (_shared(losses_of, batch, mixture) * batch.weight).sum()


def _shared(
    losses_of: Callable[[Any], Array], batch: Batch, mixture: Mixture | None
) -> Float[Array, " batch"]:
    """Return the loss of each segment by its label, or by both labels of its mixture."""
    own = losses_of(batch.y)
    if mixture is None:
        return own
    return mixture.share * own + (1 - mixture.share) * losses_of(mixture.other)


@lru_cache(maxsize=PROGRAMS)
def make_eval_step(network: Network, loss: str = "segments") -> EvalStep:
    """Return `eval_step(params, buffers, batch, scaling) -> metrics`, jitted.

    Args:
        network: its functions.
        loss: `TrainConfig.loss`, which says whether segments or tracks are scored.
    """

    @jax.jit
    def eval_step(params: Tree, buffers: Tree, batch: Batch, scaling: Scaling) -> Metrics:
        outputs, _ = network.apply(params, buffers, scaling.apply(batch.x))
        return _sums(*_answers(outputs, batch, loss))

    return eval_step


@lru_cache(maxsize=PROGRAMS)
def make_predict_step(network: Network, attends: bool = False) -> PredictStep:
    """Return `predict_step(params, buffers, x, scaling) -> log-probabilities`, jitted.

    The log-probabilities are `(batch, n_classes)`, float32. If the network's last output is the
    score of attention, it stays as it is in one more column.
    """

    @jax.jit
    def predict_step(params: Tree, buffers: Tree, x: Array, scaling: Scaling) -> Array:
        outputs, _ = network.apply(params, buffers, scaling.apply(x))
        outputs = outputs.astype(jnp.float32)
        if not attends:
            return jax.nn.log_softmax(outputs)
        return jnp.concatenate([jax.nn.log_softmax(outputs[:, :-1]), outputs[:, -1:]], axis=1)

    return predict_step


def _sums(
    logits: Float[Array, "batch n_classes"], batch: Batch, mixture: Mixture | None = None
) -> Metrics:
    logits = logits.astype(jnp.float32)
    losses_of = partial(optax.softmax_cross_entropy_with_integer_labels, logits)
    loss = _shared(losses_of, batch, mixture)
    correct = (logits.argmax(-1) == batch.y).astype(jnp.float32)
    return {
        "loss": (loss * batch.weight).sum(),
        "correct": (correct * batch.weight).sum(),
        "weight": batch.weight.sum(),
    }

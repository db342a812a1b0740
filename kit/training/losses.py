"""The loss of a batch: a network's outputs and the labels of segments or tracks to one number."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Num

from kit.training.augment import Mixture
from kit.training.optimiser import Hyperparameters, Recipe
from kit.training.pooling import pooled


class Batch(NamedTuple):
    """Segments as stored, and their classes. `weight` is 1 for a segment, 0 for padding.

    Where the loss is of whole tracks, `y` has one class for each track, and equally many segments
    of each track stand side by side. Where a track may have several labels, `y` has a 1 for each of
    them and a 0 for the others in place of a class, float32.
    """

    x: Num[Array | np.ndarray, "batch frames width"]
    y: Num[Array | np.ndarray, "labels *n_labels"]
    weight: Float[Array | np.ndarray, " batch"]


Metrics = dict[str, Array]
"""Sums over a batch, to be added up: "loss", "weight" and, where a track has one label, "correct",
over segments or, where the loss is of whole tracks, over tracks. A training step adds
"learning_rate", the norms "grad_norm", "param_norm" and "update_norm", and "steps", which is 1."""


def answers(
    outputs: Float[Array, "batch outputs"], batch: Batch, loss: str, several: bool
) -> tuple[Float[Array, "labels n_classes"], Batch]:
    """Return logits for each label of a batch, and the batch with the weights of its labels."""
    if loss == "segments":
        return outputs, batch
    tracks = len(batch.y)
    by_track = outputs.reshape(tracks, -1, outputs.shape[-1])
    logits, weight = pooled(by_track, jnp.asarray(batch.weight).reshape(tracks, -1), loss, several)
    return logits, batch._replace(weight=weight)


def objective(
    logits: Float[Array, "batch n_classes"],
    batch: Batch,
    numbers: Hyperparameters,
    recipe: Recipe = Recipe(),
    mixture: Mixture | None = None,
) -> Array:
    """Return the sum over a batch of the cross-entropies, smoothed and weighed by the recipe.

    Each label of a mixture has its own weight, and its share of the loss.

    Args:
        logits: of each label of the batch, so of each segment or of each track.
        batch: its labels, and their weights.
        numbers: of the training.
        recipe: of the training.
        mixture: the labels of mixed segments or tracks.
    """
    logits = logits.astype(jnp.float32)

    def losses_of(y: Array | np.ndarray) -> Array:
        if recipe.several:
            smoothed = y + numbers.label_smoothing * (0.5 - y) if recipe.smooths else y
            return _several_losses(logits, smoothed)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        if recipe.smooths:
            # Of a uniform label: the mean over the labels.
            uniform = -jax.nn.log_softmax(logits).mean(axis=-1)
            losses = losses + numbers.label_smoothing * (uniform - losses)
        if recipe.weighs:
            losses = losses * jnp.asarray(numbers.class_weights)[y]
        return losses

    return (_shared(losses_of, batch, mixture) * batch.weight).sum()


def _several_losses(
    logits: Float[Array, "batch n_labels"], y: Array | np.ndarray
) -> Float[Array, " batch"]:
    """Return the binary cross-entropies of labels that are 1 or 0 or between, their mean."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.asarray(y)).mean(axis=-1)


def _shared(
    losses_of: Callable[[Any], Array], batch: Batch, mixture: Mixture | None
) -> Float[Array, " batch"]:
    """Return each loss by its own label, or by both labels of a mixture."""
    own = losses_of(batch.y)
    if mixture is None:
        return own
    return mixture.share * own + (1 - mixture.share) * losses_of(mixture.other)


def sums(
    logits: Float[Array, "batch n_classes"],
    batch: Batch,
    mixture: Mixture | None = None,
    several: bool = False,
) -> Metrics:
    """Return the sums of a batch, without smoothing and weights.

    Args:
        logits: of each label of the batch, so of each segment or of each track.
        batch: its labels, and their weights.
        mixture: the labels of mixed segments or tracks.
        several: a track may have several labels.
    """
    logits = logits.astype(jnp.float32)
    if several:
        loss = _shared(partial(_several_losses, logits), batch, mixture)
        return {"loss": (loss * batch.weight).sum(), "weight": batch.weight.sum()}
    losses_of = partial(optax.softmax_cross_entropy_with_integer_labels, logits)
    loss = _shared(losses_of, batch, mixture)
    correct = (logits.argmax(-1) == batch.y).astype(jnp.float32)
    return {
        "loss": (loss * batch.weight).sum(),
        "correct": (correct * batch.weight).sum(),
        "weight": batch.weight.sum(),
    }

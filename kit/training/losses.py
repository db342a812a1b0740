"""Losses and metrics of a batch, from a network's outputs and the labels of segments or tracks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Num

from kit.training.augment import Mixture
from kit.training.optimiser import Hyperparameters, Recipe

_NEVER = -1e9  # a masked attention score: its exponential and its gradient are 0


class Batch(NamedTuple):
    """Stored segments and their labels.

    Attributes:
        x: segments, as stored.
        y: class of each segment; or of each track, if the loss is of whole tracks, whose segments
            are then adjacent and equally many. With several labels, a row of float32 ones and
            zeros in place of a class.
        weight: 1 for a segment, 0 for padding.
    """

    x: Num[Array | np.ndarray, "batch frames width"]
    y: Num[Array | np.ndarray, "labels *n_labels"]
    weight: Float[Array | np.ndarray, " batch"]


Metrics = dict[str, Array]
"""Sums over a batch: "loss", "weight" and, with one label a track, "correct", over segments or
tracks. A training step adds "learning_rate", the norms "grad_norm", "param_norm" and "update_norm",
and "steps", which is 1."""


def answers(
    outputs: Float[Array, "batch outputs"], batch: Batch, loss: str, several: bool
) -> tuple[Float[Array, "labels n_classes"], Batch]:
    """Return logits for each row of `batch.y`, and the batch with one weight for each of them."""
    if loss == "segments":
        return outputs, batch
    tracks = len(batch.y)
    by_track = outputs.reshape(tracks, -1, outputs.shape[-1])
    logits, weight = pooled(by_track, jnp.asarray(batch.weight).reshape(tracks, -1), loss, several)
    return logits, batch._replace(weight=weight)


def pooled(
    outputs: Float[Array, "tracks segments outputs"],
    weight: Float[Array, "tracks segments"],
    loss: str,
    several: bool = False,
) -> tuple[Float[Array, "tracks n_classes"], Float[Array, " tracks"]]:
    """Pool segments to the logits of tracks, float32; return 1 for each track, 0 for padding.

    `kit.training.scores` does the same in NumPy, for evaluation and prediction.

    Args:
        outputs: of a network for the segments of each track.
        weight: 1 for a segment, 0 for padding.
        loss: "mean" averages the logits of segments; the softmax of that is the normalised
            geometric mean of their probabilities. "attention" takes the logarithm of the mean of
            their probabilities, weighted by the softmax of the last output.
        several: each label has a sigmoid of its own.
    Source: Kong et al. 2019, "Weakly labelled AudioSet tagging with attention neural networks"
        (decision-level single attention), with one weight for all classes as in Ilse et al. 2018.
    """
    outputs, real = outputs.astype(jnp.float32), weight > 0
    there = real.any(axis=1).astype(jnp.float32)
    if loss == "mean":
        count = jnp.maximum(weight.sum(axis=1, keepdims=True), 1)
        return (outputs * weight[..., None]).sum(axis=1) / count, there
    logits, log_weights = outputs[..., :-1], log_attention(outputs[..., -1], real)[..., None]
    if not several:
        return jax.nn.logsumexp(jax.nn.log_softmax(logits) + log_weights, axis=1), there
    yes, no = (
        jax.nn.logsumexp(jax.nn.log_sigmoid(each) + log_weights, axis=1)
        for each in (logits, -logits)
    )
    return yes - no, there


def log_attention(
    scores: Float[Array, "tracks segments"], real: Bool[Array, "tracks segments"]
) -> Float[Array, "tracks segments"]:
    """Return log-softmax of a track's attention scores, with weights of 0 for padding."""
    return jax.nn.log_softmax(jnp.where(real, scores, _NEVER))


def objective(
    logits: Float[Array, "labels n_classes"],
    batch: Batch,
    numbers: Hyperparameters,
    recipe: Recipe = Recipe(),
    mixture: Mixture | None = None,
) -> Array:
    """Return the sum of a batch's cross-entropies with the recipe's smoothing and class weights.

    Each label of a mixture has its own class weight, and its share of the loss.
    """
    logits = logits.astype(jnp.float32)

    def losses_of(y: Array | np.ndarray) -> Array:
        if recipe.several:
            smoothed = y + numbers.label_smoothing * (0.5 - y) if recipe.smooths else y
            return _binary_losses(logits, smoothed)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        if recipe.smooths:
            # The loss of a uniform label is the mean over the labels.
            uniform = -jax.nn.log_softmax(logits).mean(axis=-1)
            losses = losses + numbers.label_smoothing * (uniform - losses)
        if recipe.weighs:
            losses = losses * jnp.asarray(numbers.class_weights)[y]
        return losses

    return (_shared(losses_of, batch, mixture) * batch.weight).sum()


def _binary_losses(
    logits: Float[Array, "labels n_classes"], y: Array | np.ndarray
) -> Float[Array, " labels"]:
    """Return the mean over the labels of binary cross-entropies; `y` lies between 0 and 1."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.asarray(y)).mean(axis=-1)


def _shared(
    losses_of: Callable[[Any], Array], batch: Batch, mixture: Mixture | None
) -> Float[Array, " labels"]:
    """Return the losses of the batch's labels, or of both labels of a mixture by their shares."""
    own = losses_of(batch.y)
    if mixture is None:
        return own
    return mixture.share * own + (1 - mixture.share) * losses_of(mixture.other)


def sums(
    logits: Float[Array, "labels n_classes"],
    batch: Batch,
    mixture: Mixture | None = None,
    several: bool = False,
) -> Metrics:
    """Return the sums of a batch without label smoothing and class weights."""
    logits = logits.astype(jnp.float32)
    losses_of = optax.softmax_cross_entropy_with_integer_labels if not several else _binary_losses
    loss = _shared(partial(losses_of, logits), batch, mixture)
    summed = {"loss": (loss * batch.weight).sum(), "weight": batch.weight.sum()}
    if not several:
        correct = (logits.argmax(-1) == batch.y).astype(jnp.float32)
        summed["correct"] = (correct * batch.weight).sum()
    return summed

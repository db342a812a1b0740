"""One step of training and one of evaluation: pure functions, jitted."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from kit.models import Network, Tree
from kit.training.state import TrainState


class Batch(NamedTuple):
    """Segments and what they are. `weight` is 1 for a segment that counts, 0 for padding."""

    x: Float[Array | np.ndarray, "batch frames n_mels"]
    y: Int[Array | np.ndarray, " batch"]
    weight: Float[Array | np.ndarray, " batch"]


class Scaling(NamedTuple):
    """What the input is shifted and scaled by, in dB: `(x - mean) / deviation`."""

    mean: float = 0.0
    deviation: float = 1.0

    def apply(self, x: Array | np.ndarray) -> Array:
        """The network's input."""
        return (jnp.asarray(x) - self.mean) / self.deviation


Metrics = dict[str, Array]
"""Sums over a batch, to be added up: "loss", "correct", "weight"; a training step gives
"grad_norm" as well, which is a value, not a sum."""

TrainStep = Callable[[TrainState, Batch, Array], tuple[TrainState, Metrics]]
EvalStep = Callable[[Tree, Tree, Batch], Metrics]


def make_train_step(
    network: Network, tx: optax.GradientTransformation, scaling: Scaling = Scaling()
) -> TrainStep:
    """`train_step(state, batch, key) -> (state, metrics)`, jitted; the old state is donated."""

    @partial(jax.jit, donate_argnums=0)
    def train_step(state: TrainState, batch: Batch, key: Array) -> tuple[TrainState, Metrics]:
        def loss_fn(params: Tree) -> tuple[Array, tuple[Tree, Metrics]]:
            x = scaling.apply(batch.x)
            logits, stats = network.apply(params, state.batch_stats, x, train=True, key=key)
            sums = _sums(logits, batch)
            return sums["loss"] / jnp.maximum(sums["weight"], 1.0), (stats, sums)

        grads, (batch_stats, metrics) = jax.grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = cast(Tree, optax.apply_updates(state.params, updates))
        metrics["grad_norm"] = optax.tree.norm(grads)
        return TrainState(state.step + 1, params, batch_stats, opt_state), metrics

    return train_step


def make_eval_step(network: Network, scaling: Scaling = Scaling()) -> EvalStep:
    """`eval_step(params, batch_stats, batch) -> metrics`, jitted."""

    @jax.jit
    def eval_step(params: Tree, batch_stats: Tree, batch: Batch) -> Metrics:
        logits, _ = network.apply(params, batch_stats, scaling.apply(batch.x))
        return _sums(logits, batch)

    return eval_step


def make_predict_step(
    network: Network, scaling: Scaling = Scaling()
) -> Callable[[Tree, Tree, Array], Array]:
    """`predict_step(params, batch_stats, x) -> log-probabilities (batch, n_classes)`, jitted."""

    @jax.jit
    def predict_step(params: Tree, batch_stats: Tree, x: Array) -> Array:
        logits, _ = network.apply(params, batch_stats, scaling.apply(x))
        return jax.nn.log_softmax(logits)

    return predict_step


def _sums(logits: Float[Array, "batch n_classes"], batch: Batch) -> Metrics:
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
    correct = (logits.argmax(-1) == batch.y).astype(logits.dtype)
    return {
        "loss": (loss * batch.weight).sum(),
        "correct": (correct * batch.weight).sum(),
        "weight": batch.weight.sum(),
    }

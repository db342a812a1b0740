"""One step of training, of evaluation and of prediction: pure functions, jitted.

What differs from run to run without changing a shape (scaling, step size, length of the schedule)
is an argument, so that the runs of a sweep share one compiled program.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

from kit.models import Network, Tree
from kit.training.state import ADAM, TrainState

PROGRAMS = 16
"""Networks whose compiled steps a process keeps, so that a sweep compiles once."""

Number = Array | np.ndarray | np.floating
"""A float32 scalar."""


class Batch(NamedTuple):
    """Segments as stored, and their classes. `weight` is 1 for a segment, 0 for padding."""

    x: Num[Array | np.ndarray, "batch frames n_mels"]
    y: Int[Array | np.ndarray, " batch"]
    weight: Float[Array | np.ndarray, " batch"]


class Scaling(NamedTuple):
    """Stored values to the network's input: `(x * gain + offset - mean) / deviation`.

    `gain` and `offset` turn stored values into dB; `mean` and `deviation` are in dB.
    """

    gain: Number = np.float32(1.0)
    offset: Number = np.float32(0.0)
    mean: Number = np.float32(0.0)
    deviation: Number = np.float32(1.0)

    def apply(self, x: Array | np.ndarray) -> Array:
        """Return the network's input, float32."""
        decibels = jnp.asarray(x).astype(jnp.float32) * self.gain + self.offset
        return (decibels - self.mean) / self.deviation


class Rate(NamedTuple):
    """The step size at the start, and the number of steps after which the cosine is zero."""

    learning_rate: Number
    total_steps: Number


Metrics = dict[str, Array]
"""Sums over a batch, to be added up: "loss", "correct", "weight"; a training step adds
"grad_norm" and "steps"."""

TrainStep = Callable[[TrainState, Batch, Array, Scaling, Rate], tuple[TrainState, Metrics]]
EvalStep = Callable[[Tree, Tree, Batch, Scaling], Metrics]
PredictStep = Callable[[Tree, Tree, Array, Scaling], Array]


@lru_cache(maxsize=PROGRAMS)
def make_train_step(
    network: Network, schedule: Literal["cosine", "constant"] = "cosine"
) -> TrainStep:
    """Return `train_step(state, batch, key, scaling, rate) -> (state, metrics)`, jitted.

    The old state is donated. Loss: the mean cross-entropy of the batch. Optimiser: Adam.
    """

    @partial(jax.jit, donate_argnums=0)
    def train_step(
        state: TrainState, batch: Batch, key: Array, scaling: Scaling, rate: Rate
    ) -> tuple[TrainState, Metrics]:
        def loss_fn(params: Tree) -> tuple[Array, tuple[Tree, Metrics]]:
            x = scaling.apply(batch.x)
            logits, buffers = network.apply(params, state.buffers, x, train=True, key=key)
            sums = _sums(logits, batch)
            return sums["loss"] / jnp.maximum(sums["weight"], 1.0), (buffers, sums)

        grads, (buffers, metrics) = jax.grad(loss_fn, has_aux=True)(state.params)
        directions, opt_state = ADAM.update(grads, state.opt_state, state.params)
        size = step_size(state.step, rate, schedule)
        updates = jax.tree.map(lambda d: (-size * d).astype(d.dtype), directions)
        params = cast(Tree, optax.apply_updates(cast(optax.Params, state.params), updates))
        metrics |= {"grad_norm": optax.tree.norm(grads), "steps": jnp.ones(())}
        return TrainState(state.step + 1, params, buffers, opt_state), metrics

    return train_step


def step_size(step: Array, rate: Rate, schedule: Literal["cosine", "constant"]) -> Array:
    """Return Adam's step size at a step: constant, or along a cosine from the start to zero."""
    start = jnp.asarray(rate.learning_rate)
    if schedule == "constant":
        return start
    done = jnp.minimum(step.astype(jnp.float32) / rate.total_steps, 1.0)
    return start * 0.5 * (1 + jnp.cos(jnp.pi * done))


@lru_cache(maxsize=PROGRAMS)
def make_eval_step(network: Network) -> EvalStep:
    """Return `eval_step(params, buffers, batch, scaling) -> metrics`, jitted."""

    @jax.jit
    def eval_step(params: Tree, buffers: Tree, batch: Batch, scaling: Scaling) -> Metrics:
        logits, _ = network.apply(params, buffers, scaling.apply(batch.x))
        return _sums(logits, batch)

    return eval_step


@lru_cache(maxsize=PROGRAMS)
def make_predict_step(network: Network) -> PredictStep:
    """Return `predict_step(params, buffers, x, scaling) -> log-probabilities`, jitted.

    The log-probabilities are `(batch, n_classes)`, float32.
    """

    @jax.jit
    def predict_step(params: Tree, buffers: Tree, x: Array, scaling: Scaling) -> Array:
        logits, _ = network.apply(params, buffers, scaling.apply(x))
        return jax.nn.log_softmax(logits.astype(jnp.float32))

    return predict_step


def _sums(logits: Float[Array, "batch n_classes"], batch: Batch) -> Metrics:
    logits = logits.astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
    correct = (logits.argmax(-1) == batch.y).astype(jnp.float32)
    return {
        "loss": (loss * batch.weight).sum(),
        "correct": (correct * batch.weight).sum(),
        "weight": batch.weight.sum(),
    }

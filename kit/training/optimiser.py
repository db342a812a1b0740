"""Optimiser: step sizes, weight decay, clipping and accumulation.

A `Recipe` holds the options that change the compiled program. The `Hyperparameters` are arguments
of the program, so that a sweep over them compiles once.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jaxtyping import Array, Float

from kit.config import MusicnnConfig, TrainConfig
from kit.models import Tree
from kit.training.augment import Augmentations, Strengths

ADAM = optax.scale_by_adam()
"""Adam without its step size, which is an argument of the training step."""

Number = Array | np.ndarray | np.floating
"""A float32 scalar."""

_NOT_DECAYED = ("bias", "scale")


@dataclass(frozen=True)
class Recipe:
    """Options of a training that change the compiled program.

    Attributes:
        optimiser: "adam", "adamw" or "schedule_free".
        schedule: "cosine" or "constant"; always constant for schedule_free.
        warms: the step size has a warm-up.
        clips: gradients are clipped.
        accumulate: batches of an update.
        averages: evaluation uses averaged weights, of a moving average or of schedule_free.
        smooths: labels are smoothed.
        weighs: the loss has class weights.
        loss: "segments", "mean" or "attention".
        several: a track may have several labels.
        precision: "float32" or "bfloat16".
        augment: enabled augmentations.
        rates: factors of the step size by prefix of a parameter's path; 1 for others.
    """

    optimiser: str = "adam"
    schedule: str = "cosine"
    warms: bool = False
    clips: bool = False
    accumulate: int = 1
    averages: bool = False
    smooths: bool = False
    weighs: bool = False
    loss: str = "segments"
    several: bool = False
    precision: str = "float32"
    augment: Augmentations = field(default_factory=Augmentations)
    rates: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, config: TrainConfig, model: Any = None) -> "Recipe":
        """Return the recipe of a configuration and a network's options."""
        how = config.optimiser
        return cls(
            optimiser=how.name,
            schedule="constant" if how.name == "schedule_free" else config.schedule,
            warms=how.warmup > 0,
            clips=how.clip_norm is not None,
            accumulate=how.accumulate,
            averages=how.ema_decay is not None or how.name == "schedule_free",
            smooths=config.label_smoothing > 0,
            weighs=config.balance == "weights",
            loss=config.loss,
            several=config.several,
            precision=config.precision,
            augment=Augmentations.of(config.augment),
            rates=model.rates if isinstance(model, MusicnnConfig) else (),
        )


class Hyperparameters(NamedTuple):
    """Numbers of a training, float32; its recipe decides which ones are used.

    Attributes:
        learning_rate: step size at the start, or after the warm-up.
        total_steps: steps until the cosine is zero.
        warmup_steps: steps of the warm-up.
        weight_decay: share of a weight that is subtracted, times the step size.
        clip_norm: largest norm of the gradient.
        label_smoothing: share of a label that is spread over all labels.
        ema_decay: decay of the moving average of the weights.
        class_weights: weight of each class in the loss, `(n_classes,)`.
        augment: strengths of augmentations.
    """

    learning_rate: Number
    total_steps: Number
    warmup_steps: Number = np.float32(0.0)
    weight_decay: Number = np.float32(0.0)
    clip_norm: Number = np.float32(np.inf)
    label_smoothing: Number = np.float32(0.0)
    ema_decay: Number = np.float32(0.0)
    class_weights: Number = np.float32(1.0)
    augment: Strengths = Strengths()


def hyperparameters(
    config: TrainConfig, total_steps: int, class_counts: Float[np.ndarray, " n_classes"]
) -> Hyperparameters:
    """Return the numbers of a configuration.

    Args:
        config: configuration of the training.
        total_steps: steps of all epochs.
        class_counts: training segments, or whole tracks, of each class in an epoch.
    """
    how = config.optimiser
    warmup = how.warmup if how.warmup >= 1 else how.warmup * total_steps
    numbers = Hyperparameters(
        learning_rate=np.float32(config.learning_rate),
        total_steps=np.float32(total_steps),
        warmup_steps=np.float32(np.ceil(warmup)),
        weight_decay=np.float32(how.decay),
        clip_norm=np.float32(np.inf if how.clip_norm is None else how.clip_norm),
        label_smoothing=np.float32(config.label_smoothing),
        ema_decay=np.float32(how.ema_decay or 0.0),
        augment=Strengths.of(config.augment),
    )
    # As scikit-learn's "balanced": the mean over the segments is 1.
    balanced = class_counts.sum() / (len(class_counts) * np.maximum(class_counts, 1))
    return numbers._replace(class_weights=balanced.astype(np.float32))


def step_size(step: Array, numbers: Hyperparameters, recipe: Recipe = Recipe()) -> Array:
    """Return the step size at a step, from 0: a warm-up, then a cosine to zero or a constant.

    Step t of a warm-up of w steps has (t + 1) / w of the learning rate.
    """
    start = jnp.asarray(numbers.learning_rate)
    at, total = step.astype(jnp.float32), numbers.total_steps
    if recipe.warms:
        warmup = jnp.asarray(numbers.warmup_steps)
        start = start * jnp.minimum((at + 1) / jnp.maximum(warmup, 1), 1.0)
        at, total = jnp.maximum(at - warmup, 0.0), jnp.maximum(total - warmup, 1.0)
    if recipe.schedule == "constant":
        return start
    done = jnp.minimum(at / total, 1.0)
    return start * 0.5 * (1 + jnp.cos(jnp.pi * done))


def decayed(params: Tree) -> dict[str, bool]:
    """Return which parameters decay: arrays of two or more axes, except biases and norm scales.

    Flax names the latter "bias" and "scale"; in attention and stacked layers they have more axes.
    """
    return {
        path: leaf.ndim >= 2 and path.rpartition("/")[2] not in _NOT_DECAYED
        for path, leaf in params.items()
    }


def optimiser(recipe: Recipe, numbers: Hyperparameters, size: Any) -> optax.GradientTransformation:
    """Return the optax transformation of a recipe; `numbers` and the step `size` may be traced."""
    decay = optax.add_decayed_weights(cast(float, numbers.weight_decay), decayed)
    clip = optax.clip_by_global_norm(numbers.clip_norm)
    if recipe.optimiser == "schedule_free":
        # `optax.contrib.schedule_free_adamw`, with a mask for the decay.
        rms = optax.scale_by_rms(0.999, eps_in_sqrt=False, bias_correction=True)
        base = optax.chain(rms, decay, optax.scale_by_learning_rate(size))
        base = _by_block(base, recipe.rates)
        free = optax.contrib.schedule_free(base, size, b1=0.9)
        # Without `long` it would sum squared step sizes in the shortest dtype of the parameters.
        inner = optax.GradientTransformation(lambda params: free.init(long(params)), free.update)
    else:
        inner = optax.chain(ADAM, decay) if recipe.optimiser == "adamw" else ADAM
        inner = _by_block(_descending(inner, size), recipe.rates)
    if recipe.clips:
        inner = optax.chain(clip, inner)
    if recipe.accumulate > 1:
        return optax.MultiSteps(inner, recipe.accumulate).gradient_transformation()
    return inner


def long(tree: Any) -> Any:
    """Return a pytree with its floats in float32 or wider."""

    def lengthened(leaf: Array) -> Array:
        return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) if floats(leaf) else leaf

    return jax.tree.map(lengthened, tree)


def floats(leaf: Any) -> bool:
    """Return whether an array holds floats."""
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _descending(inner: optax.GradientTransformation, size: Any) -> optax.GradientTransformation:
    """Multiply by the step size in float32, then round to the parameters' dtype."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        directions, state = inner.update(updates, state, params)
        return jax.tree.map(lambda d: (-size * d).astype(d.dtype), directions), state

    return optax.GradientTransformation(inner.init, update)


def _by_block(
    inner: optax.GradientTransformation, rates: tuple[tuple[str, float], ...]
) -> optax.GradientTransformation:
    """Multiply updates by the factors of `Recipe.rates`."""

    def scaled(path: str, change: Array) -> Array:
        factor = next((by for start, by in rates if path.startswith(start)), 1.0)
        return (factor * change).astype(change.dtype)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        changes, state = inner.update(updates, state, params)
        flat = cast(Tree, changes)
        return {path: scaled(path, change) for path, change in flat.items()}, state

    return optax.GradientTransformation(inner.init, update) if rates else inner

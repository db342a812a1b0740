"""A network of one's own, as a file beside an experiment has it."""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx


class Steps(nnx.Variable):
    """A kind of variable of its own."""


class Mine(nnx.Module):
    def __init__(self, width, n_mels, n_classes, *, rngs):
        self.norm = nnx.BatchNorm(n_mels, momentum=0.9, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(n_mels, width, rngs=rngs)])
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.steps = Steps(jnp.zeros((), jnp.int32))
        self.head = nnx.Einsum("bf,fc->bc", (width, n_classes), param_dtype=jnp.bfloat16, rngs=rngs)

    def __call__(self, x):
        x = self.norm(x)
        for layer in self.layers:
            x = self.dropout(nnx.relu(layer(x)))
        self.steps[...] += 1
        return self.head(x.mean(axis=1))


@dataclass(frozen=True)
class MineConfig:
    width: int = 8

    def build(self, n_mels, n_classes, *, rngs):
        return Mine(self.width, n_mels, n_classes, rngs=rngs)


class Plain(nnx.Module):
    """One layer, without batch norm and dropout."""

    def __init__(self, n_mels, n_classes, *, rngs):
        self.head = nnx.Linear(n_mels, n_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(x.mean(axis=1))


@dataclass(frozen=True)
class PlainConfig:
    def build(self, n_mels, n_classes, *, rngs):
        return Plain(n_mels, n_classes, rngs=rngs)

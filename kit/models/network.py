"""A module as pure functions over plain dictionaries of arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

Tree = dict[str, Any]
"""Nested dictionaries of arrays, with string keys: what a checkpoint holds."""


@dataclass(frozen=True)
class Network:
    """What a network is, without its weights.

    The Flax module is split once; everything after is a function of plain pytrees, so that jit,
    optax and checkpoints see no object with state of its own.
    """

    _graph: nnx.GraphDef
    _create: Callable[[nnx.Rngs], nnx.Module]

    @classmethod
    def of(cls, create: Callable[[nnx.Rngs], nnx.Module]) -> "Network":
        """The network of a module's constructor; no weights are drawn."""
        abstract = nnx.eval_shape(lambda: create(nnx.Rngs(0)))
        graph, _, _ = nnx.split(abstract, nnx.Param, nnx.BatchStat)
        return cls(graph, create)

    def init(self, key: Array) -> tuple[Tree, Tree]:
        """First weights from a PRNG key: `(params, batch_stats)`, float32."""
        _, params, batch_stats = nnx.split(self._create(nnx.Rngs(key)), nnx.Param, nnx.BatchStat)
        return nnx.to_pure_dict(params), nnx.to_pure_dict(batch_stats)

    def apply(
        self,
        params: Tree,
        batch_stats: Tree,
        x: Float[Array | np.ndarray, "batch frames n_mels"],
        *,
        train: bool = False,
        key: Array | None = None,
    ) -> tuple[Float[Array, "batch n_classes"], Tree]:
        """Logits, and the batch statistics after this batch (the same ones if not `train`)."""
        module = nnx.merge(self._graph, nnx.State(params), nnx.State(batch_stats))
        logits = module(x, train=train, key=key)
        if not train:
            return logits, batch_stats
        _, _, after = nnx.split(module, nnx.Param, nnx.BatchStat)
        return logits, nnx.to_pure_dict(after)


def size(tree: Tree) -> int:
    """How many numbers a tree holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))

"""Trained networks as differentiable functions of decibels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kit.models import Network, Tree
from kit.training.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Differentiable:
    """A trained network and its arrays, as a pytree.

    Attributes:
        network: its functions.
        attends: its last output is the attention score.
        params: parameters for evaluation.
        buffers: buffers for evaluation.
        scaling: scaling of its input.
    """

    network: Network
    attends: bool
    params: Tree
    buffers: Tree
    scaling: Scaling

    def log_probabilities(
        self, decibels: Float[Array | np.ndarray, "batch frames n_mels"]
    ) -> Float[Array, "batch n_classes"]:
        """Return the log-softmax of the logits of segments in dB."""
        return jax.nn.log_softmax(self.logits(decibels))

    def logits(
        self, decibels: Float[Array | np.ndarray, "batch frames n_mels"]
    ) -> Float[Array, "batch n_classes"]:
        """Return the logits of segments in dB, float32."""
        outputs, _ = self.network.apply(
            self.params, self.buffers, self.scaling.standardise(jnp.asarray(decibels))
        )
        logits = outputs.astype(jnp.float32)
        return logits[:, :-1] if self.attends else logits

    def untrained(self, key: Array) -> "Differentiable":
        """Return the network with random parameters and buffers, drawn from a PRNG key."""
        params, buffers = self.network.init(key)
        return replace(self, params=params, buffers=buffers)


jax.tree_util.register_dataclass(
    Differentiable,
    data_fields=["params", "buffers", "scaling"],
    meta_fields=["network", "attends"],
)


def log_odds(
    networks: Sequence[Differentiable], decibels: Float[Array | np.ndarray, "batch frames n_mels"]
) -> Float[Array, "batch n_classes"]:
    """Return the log-odds of each label from the mean of several networks' probabilities.

    Unlike log-probabilities, they do not saturate at 0.
    """
    each = jnp.stack([one.log_probabilities(decibels) for one in networks])
    # The constant factor of the mean cancels in the odds.
    log_p = jax.nn.logsumexp(each, axis=0)
    others = ~jnp.eye(log_p.shape[1], dtype=bool)
    return log_p - jax.nn.logsumexp(log_p[:, None], axis=2, where=others)

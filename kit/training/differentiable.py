"""A trained network as a pure function of decibels, which can be differentiated."""

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
    """A trained network and its arrays.

    Attributes:
        network: its functions.
        attends: its last output is the score of attention.
        params: its parameters of evaluation.
        buffers: its buffers of evaluation.
        scaling: stored values to its input.
    """

    network: Network
    attends: bool
    params: Tree
    buffers: Tree
    scaling: Scaling

    def log_probabilities(
        self, decibels: Float[Array | np.ndarray, "batch frames n_mels"]
    ) -> Float[Array, "batch n_classes"]:
        """Return the log-probability of each label, of which a segment has one."""
        outputs, _ = self.network.apply(
            self.params, self.buffers, self.scaling.standardise(jnp.asarray(decibels))
        )
        logits = outputs.astype(jnp.float32)
        return jax.nn.log_softmax(logits[:, :-1] if self.attends else logits)

    def untrained(self, key: Array) -> "Differentiable":
        """Return the network with its first parameters and buffers, drawn from a PRNG key."""
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
    """Return the log-odds of each label by the mean of several networks' probabilities.

    Unlike a log-probability, which ends at 0, they still differ where a network is sure.
    """
    each = jnp.stack([one.log_probabilities(decibels) for one in networks])
    # The mean's constant factor is in the label and in all others, and cancels.
    log_p = jax.nn.logsumexp(each, axis=0)
    others = ~jnp.eye(log_p.shape[1], dtype=bool)
    return log_p - jax.nn.logsumexp(log_p[:, None], axis=2, where=others)

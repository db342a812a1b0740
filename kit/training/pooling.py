"""Outputs of a network for the segments of a track to one answer for the track.

`kit.training.scores` has the same for evaluation and prediction, in NumPy.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_NEVER = -1e9  # its exponential is 0 beside that of any score, and its gradient too


def pooled(
    outputs: Float[Array, "tracks segments outputs"],
    weight: Float[Array, "tracks segments"],
    loss: str,
) -> tuple[Float[Array, "tracks n_classes"], Float[Array, " tracks"]]:
    """Return the logits of each track, float32, and 1 for a track, 0 for padding.

    Args:
        outputs: of a network, for the segments of each track.
        weight: 1 for a segment, 0 for padding.
        loss: "mean" takes the mean of the segments' logits. The softmax of that is the geometric
            mean of their probabilities, normalised: the answer of
            `kit.training.scores.track_log_probabilities`. "attention" takes the logarithms of the
            mean of their probabilities, by weights that are the softmax of the last output.
    Source: Kong et al. 2019, "Weakly labelled AudioSet tagging with attention neural networks"
        (decision-level single attention), with one weight for all classes as in Ilse et al. 2018.
    """
    outputs, real = outputs.astype(jnp.float32), weight > 0
    there = real.any(axis=1).astype(jnp.float32)
    if loss == "mean":
        count = jnp.maximum(weight.sum(axis=1, keepdims=True), 1)
        return (outputs * weight[..., None]).sum(axis=1) / count, there
    log_p = jax.nn.log_softmax(outputs[..., :-1])
    log_weights = log_attention(outputs[..., -1], real)
    return jax.nn.logsumexp(log_p + log_weights[..., None], axis=1), there


def log_attention(
    scores: Float[Array, "tracks segments"], real: Bool[Array, "tracks segments"]
) -> Float[Array, "tracks segments"]:
    """Return the logarithms of the weights of a track's segments: their softmax, 0 for padding."""
    return jax.nn.log_softmax(jnp.where(real, scores, _NEVER))

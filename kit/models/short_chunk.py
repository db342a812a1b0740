"""Short-chunk CNN: residual blocks of 3x3 convolutions over time and mel bands.

Source: Won, Ferraro, Bogdanov, Serra, "Evaluation of CNN-based automatic music tagging models"
(SMC 2020, arXiv 2006.00751), and the authors' `ShortChunkCNN_Res`.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kit.config import ShortChunkConfig
from kit.models.conv import Conv

# Added to variances: the gradient of a standard deviation of 0 is not finite.
LEAST_VARIANCE = 1e-5


class ResidualBlock(nnx.Module):
    """Residual block of two 3x3 convolutions, with a 3x3 convolution as shortcut; strides of 2."""

    def __init__(self, before: int, after: int, momentum: float, *, rngs: nnx.Rngs) -> None:
        # Pad by one on both sides, as PyTorch does; "SAME" would pad an even axis at its end.
        self.first = Conv(before, after, (3, 3), strides=2, padding=1, rngs=rngs)
        self.second = Conv(after, after, (3, 3), padding=1, rngs=rngs)
        self.shortcut = Conv(before, after, (3, 3), strides=2, padding=1, rngs=rngs)
        self.norms = nnx.List(nnx.BatchNorm(after, momentum=momentum, rngs=rngs) for _ in range(3))

    def __call__(
        self, x: Float[Array, "batch frames bands before"]
    ) -> Float[Array, "batch frames2 bands2 after"]:
        """Return half as many frames and bands, rounded up."""
        first, second, shortcut = self.norms
        residual = second(self.second(nnx.relu(first(self.first(x)))))
        return nnx.relu(shortcut(self.shortcut(x)) + residual)


class ShortChunk(nnx.Module):
    """Batch norm, residual blocks, pooling over frames and bands, two dense layers, logits.

    With the default configuration and five classes it has 85,671 parameters and a receptive field
    of 187 frames; with the paper's sizes (width 128, depth 7, 50 classes) 12,104,244 parameters.

    Args:
        config: width, depth, pooling and the dropout rate.
        n_classes: number of outputs.
        rngs: random streams of the first weights (LeCun normal; biases zero) and of dropout.
    """

    def __init__(self, config: ShortChunkConfig, n_classes: int, *, rngs: nnx.Rngs) -> None:
        momentum, width = config.norm_momentum, config.channels[-1]
        self.least_frames = config.least_frames
        self.pooling = config.pooling
        self.norm_input = nnx.BatchNorm(1, momentum=momentum, rngs=rngs)
        self.blocks = nnx.List(
            ResidualBlock(before, after, momentum, rngs=rngs)
            for before, after in itertools.pairwise((1, *config.channels))
        )
        if config.pooling == "attention":
            # The first weights are equal.
            self.attention = nnx.Linear(
                width, 1, kernel_init=nnx.initializers.zeros, use_bias=False, rngs=rngs
            )
        pooled = 2 * width if config.pooling == "statistics" else width
        self.dense = nnx.Linear(pooled, width, rngs=rngs)
        self.norm_dense = nnx.BatchNorm(width, momentum=momentum, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.head = nnx.Linear(width, n_classes, rngs=rngs)

    def __call__(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch n_classes"]:
        """Return the logits of a batch of segments, time first.

        Raises:
            ValueError: the segments are shorter than `ShortChunkConfig.least_frames`.
        """
        h = self.pool(self.trunk(x))
        h = nnx.relu(self.norm_dense(self.dense(h)))
        return self.head(self.dropout(h))

    def trunk(
        self, x: Float[Array, "batch frames n_mels"]
    ) -> Float[Array, "batch frames2 bands2 width"]:
        """Return the outputs of the last block, with `2**depth` times fewer frames and bands."""
        if x.shape[1] < self.least_frames:
            raise ValueError(f"it needs at least {self.least_frames} frames")
        h = self.norm_input(x[..., None])
        for block in self.blocks:
            h = block(h)
        return h

    def pool(self, h: Float[Array, "batch frames bands width"]) -> Float[Array, "batch pooled"]:
        """Pool a segment to its maximum, mean, weighted mean, or mean and deviation."""
        h = h.reshape(h.shape[0], -1, h.shape[-1])
        if self.pooling == "max":
            return h.max(axis=1)
        if self.pooling == "mean":
            return h.mean(axis=1)
        if self.pooling == "attention":
            return (h * jax.nn.softmax(self.attention(h), axis=1)).sum(axis=1)
        deviation = jnp.sqrt(h.var(axis=1) + LEAST_VARIANCE)
        return jnp.concatenate([h.mean(axis=1), deviation], axis=1)

"""The original project's network: convolutions over time with mel bands as channels."""

import itertools

import jax
from flax import nnx
from jaxtyping import Array, Float

from kit.config import Conv1DConfig
from kit.models.conv import Conv, max_pool_by_two

# Keras's default, as in the original; Flax's is 1e-5.
BATCH_NORM_EPSILON = 1e-3


class Conv1D(nnx.Module):
    """Convolutions (each with ReLU, batch norm and max-pooling by two), two dense layers, logits.

    With the default configuration, 128 mel bands and five classes it has 265,925 numbers, including
    the moving averages of batch normalisation, as Keras counts.

    Args:
        config: widths and the dropout rate.
        n_mels: mel bands of the input.
        n_classes: number of outputs.
        rngs: random streams of the first weights (Glorot uniform; biases zero) and of dropout.
    """

    def __init__(
        self, config: Conv1DConfig, n_mels: int, n_classes: int, *, rngs: nnx.Rngs
    ) -> None:
        glorot = jax.nn.initializers.glorot_uniform()
        self.least_frames = config.receptive_field
        widths = (n_mels, *config.channels)
        self.convs = nnx.List(
            Conv(
                before,
                after,
                kernel_size=(config.kernel_size,),
                padding="VALID",
                kernel_init=glorot,
                rngs=rngs,
            )
            for before, after in itertools.pairwise(widths)
        )
        self.norms = nnx.List(
            nnx.BatchNorm(
                width, momentum=config.norm_momentum, epsilon=BATCH_NORM_EPSILON, rngs=rngs
            )
            for width in config.channels
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.dense = nnx.Linear(widths[-1], config.dense, kernel_init=glorot, rngs=rngs)
        self.head = nnx.Linear(config.dense, n_classes, kernel_init=glorot, rngs=rngs)

    def __call__(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch n_classes"]:
        """Return the logits of a batch of segments, time first.

        Raises:
            ValueError: the segments are shorter than the receptive field.
        """
        if x.shape[1] < self.least_frames:
            raise ValueError(f"it needs at least {self.least_frames} frames")
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = max_pool_by_two(norm(nnx.relu(conv(x))))
        x = self.dropout(x.max(axis=1))
        x = self.dropout(nnx.relu(self.dense(x)))
        return self.head(x)

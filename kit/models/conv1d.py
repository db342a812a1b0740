"""The original project's network: convolutions over time, mel bands as channels."""

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from kit.config import Conv1DConfig

# Keras's batch normalisation, which the original used, differs from Flax's default of 1e-5.
BATCH_NORM_EPSILON = 1e-3


class Conv1D(nnx.Module):
    """Conv1D, ReLU, batch norm and max-pool by two, thrice; global max-pool; dense; logits.

    With the default configuration, 128 mel bands and five classes it has 265,925 numbers, the
    moving averages of batch normalisation among them, as Keras counts.

    Args:
        config: widths and the dropout rate.
        n_mels: mel bands of the input.
        n_classes: labels to tell apart.
        rngs: draws the first weights (Glorot uniform; biases zero).
    """

    def __init__(
        self, config: Conv1DConfig, n_mels: int, n_classes: int, *, rngs: nnx.Rngs
    ) -> None:
        glorot = jax.nn.initializers.glorot_uniform()
        self.depth = len(config.channels)
        self.rate = config.dropout
        width = n_mels
        for i, channels in enumerate(config.channels):
            conv = nnx.Conv(
                width,
                channels,
                kernel_size=(config.kernel_size,),
                padding="VALID",
                kernel_init=glorot,
                rngs=rngs,
            )
            norm = nnx.BatchNorm(
                channels, momentum=config.norm_momentum, epsilon=BATCH_NORM_EPSILON, rngs=rngs
            )
            setattr(self, f"conv_{i}", conv)
            setattr(self, f"norm_{i}", norm)
            width = channels
        self.dense = nnx.Linear(width, config.dense, kernel_init=glorot, rngs=rngs)
        self.head = nnx.Linear(config.dense, n_classes, kernel_init=glorot, rngs=rngs)

    def __call__(
        self,
        x: Float[Array | np.ndarray, "batch frames n_mels"],
        *,
        train: bool,
        key: Array | None = None,
    ) -> Float[Array, "batch n_classes"]:
        """Logits of a batch of segments.

        Args:
            x: log-mel segments in dB, time first.
            train: use the batch's own statistics and drop units.
            key: PRNG key of dropout; needed when `train`.
        """
        for i in range(self.depth):
            x = nnx.relu(getattr(self, f"conv_{i}")(x))
            x = getattr(self, f"norm_{i}")(x, use_running_average=not train)
            x = nnx.max_pool(x, window_shape=(2,), strides=(2,))
        x = x.max(axis=1)
        first, second = jax.random.split(key) if key is not None else (None, None)
        dropout = nnx.Dropout(self.rate)
        x = dropout(x, deterministic=not train, rngs=first)
        x = nnx.relu(self.dense(x))
        x = dropout(x, deterministic=not train, rngs=second)
        return self.head(x)

"""musicnn's architecture: tall filters for timbre, long filters for time, dense layers over both.

Source: Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging"
(ISMIR 2019 late-breaking, arXiv 1909.06654), and the authors' package `musicnn`, whose published
weights fit `MusicnnConfig()` at 96 mel bands and 50 classes.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import Conv
from jaxtyping import Array, Float

from kit.config import MusicnnConfig

# TensorFlow's, with which the published weights were trained; Flax's default is 1e-5.
BATCH_NORM_EPSILON = 1e-3

GLOROT = jax.nn.initializers.glorot_uniform()


class Layer(nnx.Module):
    """Convolution, ReLU, batch norm, in this order.

    Args:
        before: channels of the input.
        after: filters.
        kernel_size: frames, or frames and bands, of a filter.
        padding: as `flax.nnx.Conv` takes it.
        momentum: of the moving averages of batch normalisation.
        rngs: draws the first weights.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel_size: tuple[int, ...],
        padding: str | tuple[tuple[int, int], ...],
        momentum: float,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = Conv(
            before, after, kernel_size, padding=padding, kernel_init=GLOROT, rngs=rngs
        )
        self.norm = _norm(after, momentum, rngs)

    def __call__(self, x: Float[Array, "batch *frames before"]) -> Float[Array, "batch *f after"]:
        """Return the outputs of the filters."""
        return self.norm(nnx.relu(self.conv(x)))


class Musicnn(nnx.Module):
    """Timbral and temporal filters, three convolutions over both, pooling, two dense layers.

    With the default configuration, 96 mel bands and 50 classes it has 787,159 parameters and,
    with the moving averages of batch normalisation, 792,079 numbers. One output of the last
    convolution sees 146 frames.

    Args:
        config: widths, sizes of the filters and the dropout rate.
        n_mels: mel bands of the input.
        n_classes: labels to tell apart.
        rngs: draws the first weights (Glorot uniform; biases zero) and dropout.
    """

    def __init__(
        self, config: MusicnnConfig, n_mels: int, n_classes: int, *, rngs: nnx.Rngs
    ) -> None:
        momentum = config.norm_momentum
        self.least_frames = config.least_frames
        self.norm_input = _norm(1, momentum, rngs)
        self.timbral = nnx.List(
            Layer(
                1,
                config.timbral,
                (7, max(1, int(height * n_mels))),
                ((3, 3), (0, 0)),
                momentum,
                rngs=rngs,
            )
            for height in config.heights
        )
        self.temporal = nnx.List(
            Layer(1, config.temporal, (length, 1), "SAME", momentum, rngs=rngs)
            for length in config.lengths
        )
        front = len(config.heights) * config.timbral + len(config.lengths) * config.temporal
        self.middle = nnx.List(
            Layer(before, config.middle, (7,), ((3, 3),), momentum, rngs=rngs)
            for before in (front, config.middle, config.middle)
        )
        pooled = 2 * (front + 3 * config.middle)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.norm_pooled = _norm(pooled, momentum, rngs)
        self.dense = nnx.Linear(pooled, config.dense, kernel_init=GLOROT, rngs=rngs)
        self.norm_dense = _norm(config.dense, momentum, rngs)
        self.head = nnx.Linear(config.dense, n_classes, kernel_init=GLOROT, rngs=rngs)

    def __call__(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch n_classes"]:
        """Return the logits of a batch of segments, time first.

        Raises:
            ValueError: the segments are shorter than `MusicnnConfig.least_frames`.
        """
        return self.head(self.dropout(self.penultimate(self.pool(self.trunk(x)))))

    def trunk(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch frames width"]:
        """Return the outputs of both kinds of filters and of the three convolutions, side by side.

        By default the width is `2 * 204 + 3 * 51 + 3 * 64 = 753`.

        Raises:
            ValueError: the segments are shorter than `MusicnnConfig.least_frames`.
        """
        if x.shape[1] < self.least_frames:
            raise ValueError(f"it needs at least {self.least_frames} frames")
        x = self.norm_input(x[..., None])
        front = [layer(x).max(axis=2) for layer in (*self.timbral, *self.temporal)]
        first, second, third = self.middle
        one = first(jnp.concatenate(front, axis=-1))
        two = one + second(one)
        three = two + third(two)
        return jnp.concatenate([*front, one, two, three], axis=-1)

    def pool(self, h: Float[Array, "batch frames width"]) -> Float[Array, "batch pooled"]:
        """Return maximum and mean over time, in turn for each unit: `pooled = 2 * width`."""
        return jnp.stack([h.max(axis=1), h.mean(axis=1)], axis=-1).reshape(len(h), -1)

    def penultimate(self, pooled: Float[Array, "batch pooled"]) -> Float[Array, "batch dense"]:
        """Return the hidden dense layer's outputs after batch norm."""
        return self.norm_dense(nnx.relu(self.dense(self.dropout(self.norm_pooled(pooled)))))


def _norm(width: int, momentum: float, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(width, momentum=momentum, epsilon=BATCH_NORM_EPSILON, rngs=rngs)

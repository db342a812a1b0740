"""musicnn's architecture: tall filters for timbre, long filters for time, dense layers over both.

Source: Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging"
(ISMIR 2019 late-breaking, arXiv 1909.06654), and the authors' package `musicnn`, whose published
weights fit `MusicnnConfig()` at 96 mel bands and 50 classes.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kit.config import MusicnnConfig
from kit.models.conv import Conv, conv_general_dilated

# TensorFlow's default, with which the published weights were trained; Flax's is 1e-5.
BATCH_NORM_EPSILON = 1e-3

GLOROT = jax.nn.initializers.glorot_uniform()


class Filters(nnx.Module):
    """Filters over time and mel bands, ReLU, batch norm, and the maximum over the bands.

    Scale and shift of the input are applied after the filters: the result is the same, and training
    needs no gradient of the input, which would take two thirds of a step on CPU.
    """

    def __init__(
        self,
        count: int,
        kernel_size: tuple[int, int],
        padding: tuple[int, int],
        momentum: float,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.padding = (padding, (0, 0))
        self.conv = Conv(
            1,
            count,
            kernel_size,
            padding=self.padding,
            use_bias=False,
            kernel_init=GLOROT,
            rngs=rngs,
        )
        self.height = kernel_size[1]
        self.bias = nnx.Param(jnp.zeros(count))
        self.norm = _norm(count, momentum, rngs)

    def __call__(
        self,
        x: Float[Array, "batch frames n_mels 1"],
        scale: Float[Array, "1"],
        shift: Float[Array, "1"],
    ) -> Float[Array, "batch frames filters"]:
        """Return the filters' outputs for `scale * x + shift`."""
        # Zeros pad the shifted input, so the shift has less effect at both ends of a segment.
        ones = jnp.ones((1, x.shape[1], self.height, 1), x.dtype)
        at_rest = shift * self.conv(ones) + self.bias[...]
        if not self.norm.use_running_average:
            return self.norm(nnx.relu(scale * self.conv(x) + at_rest)).max(axis=2)
        # With fixed statistics, the result is monotonic in a filter's output, and `at_rest` is
        # equal for all bands: take the extreme band first, and compute the rest for it alone.
        assert self.norm.scale is not None
        sign = jnp.where(scale * self.norm.scale[...] < 0, -1, 1).astype(x.dtype)
        kernel = (self.conv.kernel[...] * sign).astype(x.dtype)
        layout = ("NHWC", "HWIO", "NHWC")
        outputs = conv_general_dilated(x, kernel, (1, 1), self.padding, dimension_numbers=layout)
        top = outputs.max(axis=2)
        return self.norm(nnx.relu(scale * sign * top + at_rest[:, :, 0]))


class Middle(nnx.Module):
    """Convolution over seven frames from `before` to `after` units, ReLU, batch norm."""

    def __init__(self, before: int, after: int, momentum: float, *, rngs: nnx.Rngs) -> None:
        self.conv = Conv(before, after, (7,), padding=3, kernel_init=GLOROT, rngs=rngs)
        self.norm = _norm(after, momentum, rngs)

    def __call__(
        self, x: Float[Array, "batch frames before"]
    ) -> Float[Array, "batch frames after"]:
        """Return the outputs for as many frames."""
        return self.norm(nnx.relu(self.conv(x)))


class Musicnn(nnx.Module):
    """Timbral and temporal filters, three convolutions over both, pooling, two dense layers.

    With the default configuration, 96 mel bands and 50 classes it has 787,159 parameters, and
    792,079 numbers with the moving averages of batch normalisation. The receptive field of the last
    convolution is 146 frames.

    Args:
        config: widths, sizes of the filters and the dropout rate.
        n_mels: mel bands of the input.
        n_classes: number of outputs.
        rngs: random streams of the first weights (Glorot uniform; biases zero) and of dropout.
    """

    def __init__(
        self, config: MusicnnConfig, n_mels: int, n_classes: int, *, rngs: nnx.Rngs
    ) -> None:
        momentum = config.norm_momentum
        self.least_frames = config.least_frames
        self.norm_input = nnx.BatchNorm(
            1,
            momentum=momentum,
            epsilon=BATCH_NORM_EPSILON,
            use_scale=False,
            use_bias=False,
            rngs=rngs,
        )
        self.scale_input = nnx.Param(jnp.ones(1))
        self.shift_input = nnx.Param(jnp.zeros(1))
        sizes = [(7, max(1, int(height * n_mels))) for height in config.heights]
        self.timbral = nnx.List(
            Filters(config.timbral, size, (3, 3), momentum, rngs=rngs) for size in sizes
        )
        self.temporal = nnx.List(
            Filters(
                config.temporal, (length, 1), ((length - 1) // 2, length // 2), momentum, rngs=rngs
            )
            for length in config.lengths
        )
        front = len(config.heights) * config.timbral + len(config.lengths) * config.temporal
        self.middle = nnx.List(
            Middle(before, config.middle, momentum, rngs=rngs)
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
        """Concatenate the outputs of the filters and of the three convolutions.

        The default width is `2 * 204 + 3 * 51 + 3 * 64 = 753`.

        Raises:
            ValueError: the segments are shorter than `MusicnnConfig.least_frames`.
        """
        return self.above(self.front(x))

    def front(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch frames front"]:
        """Concatenate the outputs of both kinds of filters."""
        if x.shape[1] < self.least_frames:
            raise ValueError(f"it needs at least {self.least_frames} frames")
        x = self.norm_input(x[..., None])
        scale, shift = self.scale_input[...], self.shift_input[...]
        filters = (*self.timbral, *self.temporal)
        return jnp.concatenate([each(x, scale, shift) for each in filters], axis=-1)

    def above(
        self, front: Float[Array, "batch frames front"]
    ) -> Float[Array, "batch frames width"]:
        """Concatenate the input and the outputs of the three convolutions."""
        first, second, third = self.middle
        one = first(front)
        two = one + second(one)
        three = two + third(two)
        return jnp.concatenate([front, one, two, three], axis=-1)

    def pool(self, h: Float[Array, "batch frames width"]) -> Float[Array, "batch pooled"]:
        """Return maximum and mean over time, interleaved by unit: `pooled = 2 * width`."""
        return jnp.stack([h.max(axis=1), h.mean(axis=1)], axis=-1).reshape(h.shape[0], -1)

    def penultimate(self, pooled: Float[Array, "batch pooled"]) -> Float[Array, "batch dense"]:
        """Return the hidden dense layer's outputs after batch norm."""
        return self.norm_dense(nnx.relu(self.dense(self.dropout(self.norm_pooled(pooled)))))


def _norm(width: int, momentum: float, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(width, momentum=momentum, epsilon=BATCH_NORM_EPSILON, rngs=rngs)

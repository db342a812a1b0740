import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kit.config import ShortChunkConfig
from kit.errors import ConfigError
from kit.models import build
from kit.models.short_chunk import ShortChunk


def parameters(options, n_classes):
    shapes, _ = build(options, n_mels=128, n_classes=n_classes).shapes()
    return sum(math.prod(value.shape) for value in shapes.values())


def test_parameters():
    assert parameters(ShortChunkConfig(), 5) == 85_671
    # The paper's: three convolutions a block with biases, and scale and bias of three norms.
    widths = (1, 128, 128, 256, 256, 256, 256, 512)
    blocks = sum(9 * (2 * a * b + b * b) + 3 * b + 6 * b for a, b in itertools.pairwise(widths))
    dense = 512 * 512 + 512 + 2 * 512 + 512 * 50 + 50
    paper = ShortChunkConfig(width=128, depth=7)
    assert parameters(paper, 50) == 2 + blocks + dense == 12_104_244
    assert paper.receptive_field == 763


def test_the_receptive_field():
    options = ShortChunkConfig(width=4, depth=2)
    module = ShortChunk(options, 2, rngs=nnx.Rngs(0))
    module.eval()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 128, 8)), jnp.float32)

    def middle(x):
        h = module.trunk(x)
        return h[:, h.shape[1] // 2].sum()

    (seen,) = np.nonzero(np.abs(jax.jit(jax.grad(middle))(x)).sum(axis=(0, 2)))
    assert seen[-1] - seen[0] + 1 == options.receptive_field


def convolve(x, kernel, bias, stride):
    """A 3x3 convolution, padded by one on all sides, in float64."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("btfchw,hwcd->btfd", windows[:, ::stride, ::stride], kernel) + bias


def test_inference_equals_a_numpy_reference():
    network = build(ShortChunkConfig(width=3, depth=2), n_mels=9, n_classes=2)
    params, buffers = network.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    # Other numbers than those at the start, where scales are one and biases zero.
    params = {
        k: jnp.asarray(v + 0.3 * rng.normal(size=v.shape), v.dtype) for k, v in params.items()
    }
    buffers = {k: jnp.asarray(rng.uniform(0.5, 2, v.shape), v.dtype) for k, v in buffers.items()}
    x = rng.normal(size=(3, 11, 9)).astype(np.float32)

    p = {k: np.asarray(v, np.float64) for k, v in (params | buffers).items()}

    def norm(h, path):
        h = (h - p[f"{path}/mean"]) / np.sqrt(p[f"{path}/var"] + 1e-5)
        return h * p[f"{path}/scale"] + p[f"{path}/bias"]

    h = norm(np.float64(x)[..., None], "norm_input")
    for i in range(2):
        conv = {
            name: (p[f"blocks/{i}/{name}/kernel"], p[f"blocks/{i}/{name}/bias"])
            for name in ("first", "second", "shortcut")
        }
        inner = np.maximum(norm(convolve(h, *conv["first"], 2), f"blocks/{i}/norms/0"), 0)
        inner = norm(convolve(inner, *conv["second"], 1), f"blocks/{i}/norms/1")
        outer = norm(convolve(h, *conv["shortcut"], 2), f"blocks/{i}/norms/2")
        h = np.maximum(inner + outer, 0)
    assert h.shape == (3, 3, 3, 3)
    h = h.max((1, 2))
    h = np.maximum(norm(h @ p["dense/kernel"] + p["dense/bias"], "norm_dense"), 0)
    expected = h @ p["head/kernel"] + p["head/bias"]
    # Measured: 2e-7 of the peak.
    logits, _ = jax.jit(network.apply)(params, buffers, x)
    np.testing.assert_allclose(logits, expected, atol=2e-6 * np.abs(expected).max())


def test_pooling():
    h = np.random.default_rng(0).normal(size=(2, 3, 2, 4)).astype(np.float32)
    flat = h.reshape(2, 6, 4)

    def pooled(pooling, kernel=None):
        options = ShortChunkConfig(width=4, depth=1, pooling=pooling)
        module = ShortChunk(options, 2, rngs=nnx.Rngs(0))
        if kernel is not None:
            module.attention.kernel[...] = jnp.asarray(kernel)
        return module.pool(jnp.asarray(h))

    np.testing.assert_array_equal(pooled("max"), flat.max(1))
    np.testing.assert_allclose(pooled("mean"), flat.mean(1), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(pooled("attention"), flat.mean(1), rtol=1e-6, atol=1e-7)
    kernel = np.array([[3.0], [0.0], [0.0], [-1.0]], np.float32)
    weights = np.exp(flat @ kernel)
    expected = (flat * weights / weights.sum(1, keepdims=True)).sum(1)
    np.testing.assert_allclose(pooled("attention", kernel), expected, rtol=1e-5, atol=1e-6)
    expected = np.concatenate([flat.mean(1), flat.std(1)], axis=1)
    np.testing.assert_allclose(pooled("statistics"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention", "statistics"])
def test_the_gradient_of_pooling_is_finite_where_all_outputs_are_equal(pooling):
    options = ShortChunkConfig(width=4, depth=1, pooling=pooling)
    module = ShortChunk(options, 2, rngs=nnx.Rngs(0))
    assert np.isfinite(
        jax.jit(jax.grad(lambda h: module.pool(h).sum()))(jnp.ones((2, 3, 2, 4)))
    ).all()


def test_bad_options_are_refused():
    for options, words in (
        ({"width": 0}, "ShortChunkConfig.width is 0; it must be at least 1"),
        ({"depth": 8}, "ShortChunkConfig.depth is 8; it must lie between 1 and 7"),
        ({"dropout": 1.0}, "ShortChunkConfig.dropout is 1.0"),
    ):
        with pytest.raises(ConfigError, match=words):
            ShortChunkConfig(**options)

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kit.config import MusicnnConfig
from kit.errors import ConfigError
from kit.models import build
from kit.models.musicnn import Musicnn
from kit.weights.musicnn import published_name

# The arrays of `MSD_musicnn` and `MTT_musicnn` in the package musicnn 0.1.0, Adam's left out.
KERNELS = {
    "conv2d": (7, 38, 1, 204),
    "conv2d_1": (7, 67, 1, 204),
    "conv2d_2": (128, 1, 1, 51),
    "conv2d_3": (64, 1, 1, 51),
    "conv2d_4": (32, 1, 1, 51),
    "conv2d_5": (7, 561, 1, 64),
    "conv2d_6": (7, 64, 1, 64),
    "conv2d_7": (7, 64, 1, 64),
    "dense": (1506, 200),
    "dense_1": (200, 50),
}
NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)
PUBLISHED = (
    {f"{name}/kernel": shape for name, shape in KERNELS.items()}
    | {f"{name}/bias": shape[-1:] for name, shape in KERNELS.items()}
    | {
        f"{'_'.join(['batch_normalization', *([str(i)] if i else [])])}/{kind}": (width,)
        for i, width in enumerate(NORMS)
        for kind in ("gamma", "beta", "moving_mean", "moving_variance")
    }
)


def test_the_published_weights_fit():
    params, buffers = build(MusicnnConfig(), n_mels=96, n_classes=50).shapes()
    ours = params | buffers
    numbers = {path: math.prod(value.shape) for path, value in ours.items()}
    assert sum(numbers[path] for path in params) == 787_159
    assert sum(numbers.values()) == sum(map(math.prod, PUBLISHED.values())) == 792_079
    assert len(ours) == len(PUBLISHED) == 64
    assert sorted(map(published_name, ours)) == sorted(PUBLISHED)
    for path, value in ours.items():
        shape = PUBLISHED[published_name(path)]
        # The same order of numbers; the convolutions over all units have no axis of length one.
        assert [n for n in value.shape if n > 1] == [n for n in shape if n > 1], path


def test_the_receptive_field():
    options = MusicnnConfig(heights=(0.4,), timbral=4, temporal=4, lengths=(16,), middle=4, dense=4)
    module = Musicnn(options, 8, 2, rngs=nnx.Rngs(0))
    module.eval()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 64, 8)), jnp.float32)
    grad = jax.jit(jax.grad(lambda x: module.trunk(x)[:, 32].sum()))(x)
    (seen,) = np.nonzero(np.abs(grad).sum(axis=(0, 2)))
    assert seen[-1] - seen[0] + 1 == options.receptive_field == 16 + 3 * 6
    assert MusicnnConfig().receptive_field == 146
    assert MusicnnConfig(lengths=(3,)).receptive_field == 7 + 3 * 6


def reference(p, x, timbral, temporal):
    """The package's inference pass in NumPy float64, its arrays by their names there."""

    def norm(h, number):
        name = f"batch_normalization{f'_{number}' if number else ''}"
        h = (h - p[f"{name}/moving_mean"]) / np.sqrt(p[f"{name}/moving_variance"] + 1e-3)
        return h * p[f"{name}/gamma"] + p[f"{name}/beta"]

    def layer(h, number, before, after):
        """Convolution (batch, time, bands, 1), ReLU, batch norm; zeros before and after."""
        name = f"conv2d{f'_{number}' if number else ''}"
        kernel = p[f"{name}/kernel"]
        h = np.pad(h, ((0, 0), (before, after), (0, 0), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(h, kernel.shape[:2], axis=(1, 2))
        h = np.einsum("btfchw,hwcd->btfd", windows, kernel) + p[f"{name}/bias"]
        return norm(np.maximum(h, 0), number + 1)

    x = norm(x[..., None], 0)
    front = [layer(x, i, 3, 3).max(2) for i in range(timbral)]
    for i in range(timbral, timbral + temporal):
        frames = len(p[f"conv2d_{i}/kernel"]) - 1
        front.append(layer(x, i, frames // 2, frames - frames // 2).max(2))
    h = [np.concatenate(front, axis=2)[..., None]]
    for i in range(timbral + temporal, timbral + temporal + 3):
        h.append(layer(h[-1], i, 3, 3).transpose(0, 1, 3, 2))
        if len(h) > 2:
            h[-1] = h[-1] + h[-2]
    h = np.concatenate(h, axis=2)
    h = np.concatenate([h.max(1), h.mean(1)], axis=2).reshape(len(x), -1)
    h = np.maximum(norm(h, 9) @ p["dense/kernel"] + p["dense/bias"], 0)
    return norm(h, 10) @ p["dense_1/kernel"] + p["dense_1/bias"]


def test_inference_equals_a_numpy_reference():
    options = MusicnnConfig(timbral=3, temporal=2, lengths=(8, 5, 4), middle=4, dense=6)
    network = build(options, n_mels=10, n_classes=3)
    params, buffers = network.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    params = {
        k: jnp.asarray(v + 0.3 * rng.normal(size=v.shape), v.dtype) for k, v in params.items()
    }
    buffers = {k: jnp.asarray(rng.uniform(0.5, 2, v.shape), v.dtype) for k, v in buffers.items()}
    published = {published_name(k): np.float64(v) for k, v in (params | buffers).items()}
    for i in (5, 6, 7):
        published[f"conv2d_{i}/kernel"] = published[f"conv2d_{i}/kernel"][:, :, None]
    x = rng.normal(size=(2, 13, 10)).astype(np.float32)
    expected = reference(published, np.float64(x), timbral=2, temporal=3)
    logits, _ = jax.jit(network.apply)(params, buffers, x)
    # Measured: 3e-7 of the peak.
    np.testing.assert_allclose(logits, expected, atol=3e-6 * np.abs(expected).max())


def test_training_normalises_the_shifted_input():
    # The scale and shift of the input have the gradients of the plain formulation.
    options = MusicnnConfig(timbral=2, temporal=2, lengths=(4,), middle=2, dense=2)
    module = Musicnn(options, 6, 2, rngs=nnx.Rngs(0))
    filters = module.temporal[0]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 6, 1)), jnp.float32)

    def split(scale, shift):
        return filters(x, scale, shift).sum()

    def plain(scale, shift):
        h = filters.conv(scale * x + shift) + filters.bias[...]
        return filters.norm(nnx.relu(h)).max(axis=2).sum()

    filters.eval()
    at = jnp.asarray([1.3]), jnp.asarray([-0.4])
    for got, expected in zip(
        *(jax.jit(jax.grad(f, (0, 1)))(*at) for f in (split, plain)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_bad_options_are_refused():
    for options, words in (
        ({"heights": ()}, r"MusicnnConfig.heights is \(\); give one share of the mel bands"),
        ({"heights": (0.4, 1.1)}, "above 0 and up to 1"),
        ({"lengths": (8, 0)}, "MusicnnConfig.lengths"),
        ({"middle": 0}, "MusicnnConfig.middle is 0; it must be at least 1"),
    ):
        with pytest.raises(ConfigError, match=words):
            MusicnnConfig(**options)

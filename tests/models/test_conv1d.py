import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.config import ModelConfig
from kit.errors import ConfigError
from kit.models import build, names, size
from kit.models.conv1d import least_frames


@pytest.fixture(scope="module")
def original():
    network = build(ModelConfig(norm_momentum=0.99), n_mels=128, n_classes=5)
    return network, *network.init(jax.random.key(0))


def test_the_original_has_265925_numbers(original):
    _, params, batch_stats = original
    assert size(params) + size(batch_stats) == 265_925
    # What Keras calls trainable: all but the moving averages, two for each channel.
    assert size(params) == 265_925 - 2 * (64 + 128 + 256)


def test_names():
    assert names() == ("conv1d",)


def reference(params, stats, x):
    """The inference pass, written out in NumPy float64."""
    x = np.asarray(x, np.float64)
    for i in range(3):
        conv = params[f"conv_{i}"]
        kernel, bias = np.float64(conv["kernel"]), np.float64(conv["bias"])
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[0], axis=1)
        x = np.maximum(np.einsum("btck,kcd->btd", windows, kernel) + bias, 0)
        norm, moving = params[f"norm_{i}"], stats[f"norm_{i}"]
        x = (x - moving["mean"]) / np.sqrt(moving["var"] + 1e-3) * norm["scale"] + norm["bias"]
        even = x[:, : x.shape[1] // 2 * 2]
        x = even.reshape(len(x), -1, 2, x.shape[2]).max(2)
    x = x.max(1)
    x = np.maximum(x @ np.float64(params["dense"]["kernel"]) + params["dense"]["bias"], 0)
    return x @ np.float64(params["head"]["kernel"]) + params["head"]["bias"]


def test_inference_equals_a_numpy_reference(original):
    network, params, _ = original
    rng = np.random.default_rng(0)
    stats = {
        f"norm_{i}": {
            "mean": jnp.asarray(rng.normal(size=c), jnp.float32),
            "var": jnp.asarray(rng.uniform(0.5, 2, c), jnp.float32),
        }
        for i, c in enumerate((64, 128, 256))
    }
    x = rng.uniform(-80, 0, (3, 128, 128)).astype(np.float32)
    logits, after = network.apply(params, stats, jnp.asarray(x))
    assert after is stats
    expected = reference(params, stats, x)
    # Measured: 2e-6 of the peak.
    np.testing.assert_allclose(logits, expected, atol=2e-5 * np.abs(expected).max())


def test_training_moves_the_averages_as_keras_does(original):
    network, params, stats = original
    x = np.random.default_rng(1).normal(size=(4, 128, 128)).astype(np.float32)
    _, after = network.apply(params, stats, jnp.asarray(x), train=True, key=jax.random.key(0))
    kernel, bias = (np.float64(params["conv_0"][k]) for k in ("kernel", "bias"))
    windows = np.lib.stride_tricks.sliding_window_view(np.float64(x), 4, axis=1)
    hidden = np.maximum(np.einsum("btck,kcd->btd", windows, kernel) + bias, 0)
    np.testing.assert_allclose(after["norm_0"]["mean"], 0.01 * hidden.mean((0, 1)), rtol=1e-4)
    expected = 0.99 + 0.01 * hidden.var((0, 1))
    np.testing.assert_allclose(after["norm_0"]["var"], expected, rtol=1e-4)


def test_dropout_follows_its_key(original):
    network, params, stats = original
    x = np.random.default_rng(2).normal(size=(2, 128, 128)).astype(np.float32)
    one, again, other = (
        network.apply(params, stats, jnp.asarray(x), train=True, key=jax.random.key(k))[0]
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_init_follows_its_key():
    network = build(ModelConfig(channels=(4,), dense=3), n_mels=8, n_classes=2)
    one, again, other = (network.init(jax.random.key(k))[0] for k in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert not np.array_equal(one["head"]["kernel"], other["head"]["kernel"])


def test_the_shortest_segment():
    config = ModelConfig(channels=(4, 4), dense=3, kernel_size=3)
    frames = least_frames(config)
    network = build(
        ModelConfig(channels=(4, 4), dense=3, kernel_size=3, segment_frames=frames),
        n_mels=8,
        n_classes=2,
    )
    params, stats = network.init(jax.random.key(0))
    assert np.isfinite(network.apply(params, stats, jnp.ones((1, frames, 8)))[0]).all()
    with pytest.raises(ConfigError, match=rf"segment_frames is {frames - 1}; .* needs {frames}"):
        build(
            ModelConfig(channels=(4, 4), dense=3, kernel_size=3, segment_frames=frames - 1),
            n_mels=8,
            n_classes=2,
        )


def test_unknown_name():
    with pytest.raises(ConfigError, match="'resnet'; there is conv1d to choose from"):
        build(ModelConfig(name="resnet"), n_mels=8, n_classes=2)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.config import Conv1DConfig
from kit.errors import ConfigError
from kit.models import build, check, size


@pytest.fixture(scope="module")
def original():
    network = build(Conv1DConfig(norm_momentum=0.99), n_mels=128, n_classes=5)
    return network, *network.init(jax.random.key(0))


def test_the_original_has_265925_numbers(original):
    _, params, buffers = original
    assert size(params) + size(buffers) == 265_925
    # What Keras calls trainable: all but the moving averages, two for each channel.
    assert size(params) == 265_925 - 2 * (64 + 128 + 256)


def reference(params, buffers, x):
    """The inference pass, written out in NumPy float64."""
    x = np.asarray(x, np.float64)
    for i in range(3):
        kernel, bias = (np.float64(params[f"convs/{i}/{name}"]) for name in ("kernel", "bias"))
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[0], axis=1)
        x = np.maximum(np.einsum("btck,kcd->btd", windows, kernel) + bias, 0)
        mean, var = (buffers[f"norms/{i}/{name}"] for name in ("mean", "var"))
        x = (x - mean) / np.sqrt(var + 1e-3)
        x = x * params[f"norms/{i}/scale"] + params[f"norms/{i}/bias"]
        even = x[:, : x.shape[1] // 2 * 2]
        x = even.reshape(len(x), -1, 2, x.shape[2]).max(2)
    x = x.max(1)
    x = np.maximum(x @ np.float64(params["dense/kernel"]) + params["dense/bias"], 0)
    return x @ np.float64(params["head/kernel"]) + params["head/bias"]


def test_inference_equals_a_numpy_reference(original):
    network, params, _ = original
    rng = np.random.default_rng(0)
    buffers = {}
    for i, channels in enumerate((64, 128, 256)):
        buffers[f"norms/{i}/mean"] = jnp.asarray(rng.normal(size=channels), jnp.float32)
        buffers[f"norms/{i}/var"] = jnp.asarray(rng.uniform(0.5, 2, channels), jnp.float32)
    x = rng.uniform(-80, 0, (3, 128, 128)).astype(np.float32)
    logits, after = network.apply(params, buffers, jnp.asarray(x))
    assert after is buffers
    expected = reference(params, buffers, x)
    # Measured: 2e-6 of the peak.
    np.testing.assert_allclose(logits, expected, atol=2e-5 * np.abs(expected).max())


def test_training_moves_the_averages_as_keras_does(original):
    network, params, buffers = original
    x = np.random.default_rng(1).normal(size=(4, 128, 128)).astype(np.float32)
    _, after = network.apply(params, buffers, jnp.asarray(x), train=True, key=jax.random.key(0))
    kernel, bias = (np.float64(params[f"convs/0/{k}"]) for k in ("kernel", "bias"))
    windows = np.lib.stride_tricks.sliding_window_view(np.float64(x), 4, axis=1)
    hidden = np.maximum(np.einsum("btck,kcd->btd", windows, kernel) + bias, 0)
    np.testing.assert_allclose(after["norms/0/mean"], 0.01 * hidden.mean((0, 1)), rtol=1e-4)
    expected = 0.99 + 0.01 * hidden.var((0, 1))
    np.testing.assert_allclose(after["norms/0/var"], expected, rtol=1e-4)


def test_dropout_follows_its_key(original):
    network, params, buffers = original
    x = np.random.default_rng(2).normal(size=(2, 128, 128)).astype(np.float32)
    one, again, other = (
        network.apply(params, buffers, jnp.asarray(x), train=True, key=jax.random.key(k))[0]
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_init_follows_its_key():
    network = build(Conv1DConfig(channels=(4,), dense=3), n_mels=8, n_classes=2)
    one, again, other = (network.init(jax.random.key(k))[0] for k in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert not np.array_equal(one["head/kernel"], other["head/kernel"])


def test_the_shortest_segment():
    config = Conv1DConfig(channels=(4, 4), dense=3, kernel_size=3)
    frames = config.receptive_field
    network = check(config, frames, 8)
    params, buffers = network.init(jax.random.key(0))
    assert np.isfinite(network.apply(params, buffers, jnp.ones((1, frames, 8)))[0]).all()
    with pytest.raises(
        ConfigError, match=rf"of {frames - 1} frames \(SegmentConfig.frames\).*least {frames} frame"
    ):
        check(config, frames - 1, 8)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.config import Conv1DConfig, TrainConfig
from kit.models import build
from kit.training.optimiser import Hyperparameters
from kit.training.scaling import make_scaling
from kit.training.state import init_state
from kit.training.step import Batch, make_eval_step, make_predict_step, make_train_step

MODEL = Conv1DConfig(channels=(8, 8), dense=8, kernel_size=3, dropout=0.1)
TRAIN = TrainConfig()
PLAIN = make_scaling()


def rate(learning_rate=1e-2, steps=100):
    return Hyperparameters(np.float32(learning_rate), np.float32(steps))


@pytest.fixture(scope="module")
def network():
    return build(MODEL, n_mels=4, n_classes=2)


@pytest.fixture(scope="module")
def train_step(network):
    return make_train_step(network)


def batch(seed=0, size=16):
    """Two classes that differ in the level of one band."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, size).astype(np.int32)
    x = rng.normal(size=(size, 16, 4)).astype(np.float32)
    x[:, :, 2] += 2 * y[:, None]
    return Batch(jnp.asarray(x), jnp.asarray(y), jnp.ones(size, jnp.float32))


def test_the_loss_falls(network, train_step):
    state = init_state(network, TRAIN)
    losses = []
    for i in range(40):
        state, metrics = train_step(state, batch(i), jax.random.key(i), PLAIN, rate())
        losses.append(float(metrics["loss"]) / 16)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert int(state.step) == 40


def test_a_step_is_a_function_of_its_arguments(network, train_step):
    results = [
        train_step(init_state(network, TRAIN), batch(), jax.random.key(seed), PLAIN, rate())
        for seed in (7, 7, 8)
    ]
    first, again, other = (jax.tree.leaves(state) for state, _ in results)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, c) for a, c in zip(first, other, strict=True))


def test_it_donates_its_state(network, train_step):
    before = init_state(network, TRAIN)
    train_step(before, batch(), jax.random.key(0), PLAIN, rate())
    assert before.params["head/kernel"].is_deleted()


def test_another_scaling_or_step_size_is_the_same_program(network):
    """Splits, seeds and learning rates share one compilation, in this process and in the cache."""
    step = make_train_step.__wrapped__(network)  # one that no other test has used
    state = init_state(network, TRAIN)
    programs = set()
    for mean, learning_rate, steps in ((-40.0, 1e-3, 10), (-40.1, 3e-4, 12)):
        given = (make_scaling(mean=mean, deviation=mean / -3), rate(learning_rate, steps))
        programs.add(step.lower(state, batch(), jax.random.key(0), *given).as_text())
        state, _ = step(state, batch(), jax.random.key(0), *given)
    assert step._cache_size() == 1
    assert len(programs) == 1


def test_stored_bytes_are_the_same_as_their_decibels(network):
    state = init_state(network, TRAIN)
    step = make_predict_step(network)
    stored = np.random.default_rng(0).integers(-127, 128, (5, 16, 4)).astype(np.int8)
    gain, offset = 80 / 254, -40.0
    decibels = (stored * np.float32(gain) + np.float32(offset)).astype(np.float32)
    scaled = {"mean": -35.0, "deviation": 12.0}
    one = step(state.params, state.buffers, stored, make_scaling(gain, offset, **scaled))
    two = step(state.params, state.buffers, decibels, make_scaling(**scaled))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_padding_does_not_count(network):
    state = init_state(network, TRAIN)
    step = make_eval_step(network)
    whole = step(state.params, state.buffers, batch(), PLAIN)
    padded = batch()._replace(weight=jnp.concatenate([jnp.ones(5), jnp.zeros(11)]))
    part = step(state.params, state.buffers, padded, PLAIN)
    five = Batch(*(a[:5] for a in batch()))
    alone = step(state.params, state.buffers, five, PLAIN)
    assert float(part["weight"]) == 5
    np.testing.assert_allclose(part["loss"], alone["loss"], rtol=1e-6)
    assert float(part["correct"]) == float(alone["correct"])
    assert float(whole["weight"]) == 16


def test_the_loss_is_the_cross_entropy(network):
    state = init_state(network, TRAIN)
    b = batch()
    logits, _ = network.apply(state.params, state.buffers, b.x)
    p = np.exp(np.float64(logits))
    p /= p.sum(1, keepdims=True)
    expected = -np.log(p[np.arange(16), b.y]).sum()
    metrics = make_eval_step(network)(state.params, state.buffers, b, PLAIN)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    assert float(metrics["correct"]) == (p.argmax(1) == np.asarray(b.y)).sum()


def test_the_first_update_of_adam_is_the_step_size(network, train_step):
    before = init_state(network, TRAIN)
    bias = np.array(before.params["head/bias"])
    after, _ = train_step(before, batch(), jax.random.key(0), PLAIN, rate(1e-3))
    np.testing.assert_allclose(np.abs(after.params["head/bias"] - bias), 1e-3, rtol=1e-2)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.config import Conv1DConfig, TrainConfig
from kit.models import build
from kit.training.state import init_state, optimiser
from kit.training.step import Batch, make_eval_step, make_train_step

MODEL = Conv1DConfig(channels=(8, 8), dense=8, kernel_size=3, dropout=0.1)
TRAIN = TrainConfig(learning_rate=1e-2)


@pytest.fixture(scope="module")
def network():
    return build(MODEL, n_mels=4, n_classes=2)


def batch(seed=0, size=16):
    """Two classes that differ in the level of one band."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, size).astype(np.int32)
    x = rng.normal(size=(size, 16, 4)).astype(np.float32)
    x[:, :, 2] += 2 * y[:, None]
    return Batch(jnp.asarray(x), jnp.asarray(y), jnp.ones(size, jnp.float32))


def test_the_loss_falls(network):
    step = make_train_step(network, optimiser(TRAIN, 100))
    state = init_state(network, TRAIN)
    losses = []
    for i in range(40):
        state, metrics = step(state, batch(i), jax.random.key(i))
        losses.append(float(metrics["loss"]) / 16)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert int(state.step) == 40


def test_a_step_is_a_function_of_its_arguments(network):
    step = make_train_step(network, optimiser(TRAIN, 100))
    results = [
        step(init_state(network, TRAIN), batch(), jax.random.key(seed)) for seed in (7, 7, 8)
    ]
    first, again, other = (jax.tree.leaves(state) for state, _ in results)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, c) for a, c in zip(first, other, strict=True))


def test_it_compiles_once_and_donates_its_state(network):
    step = make_train_step(network, optimiser(TRAIN, 100))
    state = init_state(network, TRAIN)
    for i in range(3):
        before = state
        state, _ = step(state, batch(i), jax.random.key(i))
    assert step._cache_size() == 1
    assert before.params["head"]["kernel"].is_deleted()


def test_padding_does_not_count(network):
    state = init_state(network, TRAIN)
    step = make_eval_step(network)
    whole = step(state.params, state.batch_stats, batch())
    padded = batch()._replace(weight=jnp.concatenate([jnp.ones(5), jnp.zeros(11)]))
    part = step(state.params, state.batch_stats, padded)
    five = Batch(*(a[:5] for a in batch()))
    alone = step(state.params, state.batch_stats, five)
    assert float(part["weight"]) == 5
    np.testing.assert_allclose(part["loss"], alone["loss"], rtol=1e-6)
    assert float(part["correct"]) == float(alone["correct"])
    assert float(whole["weight"]) == 16


def test_the_loss_is_the_cross_entropy(network):
    state = init_state(network, TRAIN)
    b = batch()
    logits, _ = network.apply(state.params, state.batch_stats, b.x)
    p = np.exp(np.float64(logits))
    p /= p.sum(1, keepdims=True)
    expected = -np.log(p[np.arange(16), b.y]).sum()
    metrics = make_eval_step(network)(state.params, state.batch_stats, b)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    assert float(metrics["correct"]) == (p.argmax(1) == np.asarray(b.y)).sum()


def test_the_schedules():
    """Adam's first update is the step size in every element, whatever the gradient."""
    grads = {"a": jnp.array([3.0, -0.1])}
    for schedule, last in (("cosine", 0.0), ("constant", 1e-2)):
        tx = optimiser(TrainConfig(learning_rate=1e-2, schedule=schedule), total_steps=3)
        state, sizes = tx.init(grads), []
        for _ in range(4):
            updates, state = tx.update(grads, state, grads)
            sizes.append(float(jnp.abs(updates["a"]).max()))
        np.testing.assert_allclose((sizes[0], sizes[3]), (1e-2, last), rtol=1e-3, atol=1e-9)

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kit.config import OptimiserConfig, TrainConfig, replaced
from kit.errors import ConfigError
from kit.training.optimiser import (
    Hyperparameters,
    Recipe,
    decayed,
    hyperparameters,
    optimiser,
    step_size,
)
from kit.training.step import Batch, objective

COUNTS = np.array([10.0, 30.0])
KERNELS = {"a/kernel": (3, 4), "b/kernel": (4, 2)}
ALL = {**KERNELS, "a/bias": (4,), "norm/scale": (4,), "attention/bias": (2, 4)}


def made(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in shapes.items()}


def numbers(total=100, **optimiser):
    config = TrainConfig(learning_rate=1e-2, optimiser=OptimiserConfig(**optimiser))
    return Recipe.of(config), hyperparameters(config, total, COUNTS)


def followed(rule, shapes, steps=6):
    """Parameters after steps by gradients that a seed draws."""
    params = made(shapes)
    state, update = rule.init(params), jax.jit(rule.update)
    for seed in range(1, steps + 1):
        updates, state = update(made(shapes, seed), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def assert_close(one, two, rtol=1e-5):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=rtol, atol=1e-7, err_msg=name)


MASK = {"a/kernel": True, "b/kernel": True, "a/bias": False, "norm/scale": False} | {
    "attention/bias": False
}


def test_norms_and_biases_do_not_decay():
    assert decayed(made(ALL)) == MASK


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({}, optax.adam(1e-2)),
        ({"name": "adamw"}, optax.adamw(1e-2, weight_decay=0.01, mask=MASK)),
        (
            {"name": "adamw", "weight_decay": 0.3, "clip_norm": 2.0},
            optax.chain(
                optax.clip_by_global_norm(2.0), optax.adamw(1e-2, weight_decay=0.3, mask=MASK)
            ),
        ),
        (
            {"clip_norm": 2.0, "accumulate": 3},
            optax.MultiSteps(
                optax.chain(optax.clip_by_global_norm(2.0), optax.adam(1e-2)), 3
            ).gradient_transformation(),
        ),
    ],
)
def test_updates_are_those_of_optax(given, same):
    assert_close(followed(optimiser(*numbers(**given), 1e-2), ALL)[0], followed(same, ALL)[0])


def test_schedule_free_is_that_of_optax():
    rule = optimiser(*numbers(name="schedule_free", weight_decay=0.3), 1e-2)
    same = optax.contrib.schedule_free_adamw(1e-2, weight_decay=0.3)
    (one, state), (two, known) = followed(rule, KERNELS), followed(same, KERNELS)
    assert_close(one, two)
    evaluate = optax.contrib.schedule_free_eval_params
    assert_close(evaluate(state, one), evaluate(known, two))
    plain = optimiser(*numbers(name="schedule_free", weight_decay=0.0), 1e-2)
    np.testing.assert_array_equal(
        followed(rule, ALL)[0]["a/bias"], followed(plain, ALL)[0]["a/bias"]
    )


def sizes(schedule, warmup, steps, total=100):
    config = TrainConfig(
        learning_rate=1e-2, schedule=schedule, optimiser=OptimiserConfig(warmup=warmup)
    )
    given = hyperparameters(config, total, COUNTS)
    return [float(step_size(jnp.array(i), given, Recipe.of(config))) for i in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("cosine", [1e-2, 0.75e-2, 0.25e-2, 0.0, 0.0]), ("constant", [1e-2] * 5)],
)
def test_the_schedules(schedule, expected):
    np.testing.assert_allclose(sizes(schedule, 0.0, 5, total=3), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("warmup", [10.0, 0.1])
def test_a_warmup_in_steps_or_as_a_share(warmup):
    rise = optax.linear_schedule(1e-3, 1e-2, 9)
    same = optax.join_schedules([rise, optax.cosine_decay_schedule(1e-2, 90)], [10])
    np.testing.assert_allclose(
        sizes("cosine", warmup, 101), [same(i) for i in range(101)], rtol=1e-4, atol=1e-9
    )
    flat = optax.join_schedules([rise, optax.constant_schedule(1e-2)], [10])
    np.testing.assert_allclose(
        sizes("constant", warmup, 30), [flat(i) for i in range(30)], rtol=1e-5
    )


def test_schedule_free_has_no_cosine():
    assert Recipe.of(TrainConfig(optimiser=OptimiserConfig("schedule_free"))).schedule == "constant"


def logits(n=12, classes=3):
    rng = np.random.default_rng(0)
    y = jnp.asarray(rng.integers(0, classes, n), jnp.int32)
    weight = jnp.asarray(np.arange(n) < 9, jnp.float32)
    return jnp.asarray(rng.normal(size=(n, classes)), jnp.float32), Batch(
        jnp.zeros((n, 1, 1)), y, weight
    )


def test_smoothed_labels_are_those_of_optax():
    scores, batch = logits()
    labels = optax.smooth_labels(jax.nn.one_hot(batch.y, 3), 0.1)
    expected = (optax.softmax_cross_entropy(scores, labels) * batch.weight).sum()
    config = TrainConfig(label_smoothing=0.1)
    given = hyperparameters(config, 10, np.ones(3))
    np.testing.assert_allclose(
        objective(scores, batch, given, Recipe.of(config)), expected, rtol=1e-6
    )


def test_balanced_weights_are_those_of_scikit_learn():
    y = np.repeat([0, 1, 2], [5, 10, 45])
    config = TrainConfig(balance="weights")
    given = hyperparameters(config, 10, np.bincount(y).astype(float))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(given.class_weights, expected, rtol=1e-6)
    scores, batch = logits()
    each = optax.softmax_cross_entropy_with_integer_labels(scores, batch.y)
    np.testing.assert_allclose(
        objective(scores, batch, given, Recipe.of(config)),
        (np.asarray(each) * expected[np.asarray(batch.y)] * np.asarray(batch.weight)).sum(),
        rtol=1e-5,
    )


def test_numbers_do_not_change_the_recipe():
    """A sweep over them shares one program."""
    config = TrainConfig(
        label_smoothing=0.1,
        optimiser=OptimiserConfig("adamw", warmup=5.0, clip_norm=1.0, ema_decay=0.9),
    )
    for path, value in (
        *(("learning_rate", 1e-4), ("epochs", 3), ("seed", 1), ("label_smoothing", 0.2)),
        *(("optimiser.weight_decay", 0.1), ("optimiser.warmup", 0.2)),
        *(("optimiser.clip_norm", 3.0), ("optimiser.ema_decay", 0.99)),
    ):
        assert Recipe.of(replaced(config, path, value)) == Recipe.of(config), path
    before, after = (hyperparameters(c, 10, COUNTS) for c in (config, TrainConfig()))
    types = [[v.dtype for v in jax.tree.leaves(given)] for given in (before, after)]
    strengths = [np.float32] * 2 + [np.int32] * 3 + [np.float32] * 3
    assert types[0] == types[1] == [np.float32] * (len(Hyperparameters._fields) - 1) + strengths


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weight_decay": 0.1}, "adam has no weight decay.* to adamw"),
        ({"name": "schedule_free", "ema_decay": 0.9}, "averages the weights itself"),
        ({"ema_decay": 1.0}, "between 0 and 1"),
        ({"clip_norm": 0.0}, "above 0"),
        ({"accumulate": 0}, "at least 1"),
        ({"warmup": -1.0}, "at least 0"),
        ({"name": "adamw", "weight_decay": -0.1}, "at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        dataclasses.replace(OptimiserConfig(), **given)

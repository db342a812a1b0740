import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.catalogue import load
from kit.errors import UsageError
from kit.evaluation import figures
from kit.plots.style import svg
from kit.training.lr_find import RangeTest, lr_find, range_test
from kit.training.optimiser import Hyperparameters
from kit.training.scaling import make_scaling
from kit.training.state import TrainState
from kit.training.step import Batch

RATES = np.geomspace(1e-5, 10.0, 121)
ONE = np.float32(1.0)


def outcome(loss, rates=RATES):
    """A range test of a step whose loss is a function of the rate alone."""
    batch = Batch(np.zeros((1, 1, 1), np.float32), np.zeros(1, np.int32), np.ones(1, np.float32))

    def step(state, batch, key, scaling, numbers):
        rate = float(numbers.learning_rate)
        return state, {"loss": jnp.float32(2 * loss(rate)), "weight": jnp.float32(2.0)}

    state = TrainState(jnp.int32(0), {}, {}, None)
    numbers = Hyperparameters(ONE, ONE)
    batches = [batch] * len(rates)
    return range_test(step, state, batches, rates, jax.random.key(0), make_scaling(), numbers)


def falling(rate):
    """A bowl over the logarithm of the rate, lowest at 1e-1; it explodes above 1."""
    bowl = 0.2 + 0.1 * np.log10(rate / 1e-1) ** 2
    return bowl + (100 * (rate - 1) if rate > 1 else 0.0)


def test_the_suggestion_is_a_tenth_of_the_best_rate():
    found = outcome(falling)
    assert found.diverged
    assert found.rates[-1] < 3
    np.testing.assert_allclose(found.losses, [falling(r) for r in found.rates], rtol=1e-5)
    # Smoothing delays the minimum by ten steps.
    assert found.suggestion is not None
    step = RATES[1] / RATES[0]
    assert 1e-2 < found.suggestion < 1e-2 * step**11
    noise = np.random.default_rng(0)
    noisy = outcome(lambda rate: falling(rate) + noise.uniform(0, 0.2))
    assert noisy.suggestion is not None
    assert 3e-3 < noisy.suggestion < 1e-1


def test_smoothing_by_hand():
    rng = np.random.default_rng(0)
    losses = rng.uniform(1, 2, 20)
    values = iter(losses)
    found = outcome(lambda _: next(values), RATES[:20])
    assert not found.diverged
    weights = 0.9 ** np.arange(20)[::-1]
    np.testing.assert_allclose(
        found.smoothed[-1], (weights * losses).sum() / weights.sum(), rtol=1e-5
    )


def test_it_ends_at_a_loss_that_is_not_finite():
    found = outcome(lambda rate: 1.0 if rate < 1e-3 else float("nan"))
    assert found.diverged
    assert np.isnan(found.losses[-1])
    assert np.isfinite(found.losses[:-1]).all()
    assert found.suggestion is None  # it never falls
    assert svg(figures.range_test(found)).startswith(b"<?xml")


def test_a_real_one_makes_no_run(experiment, catalogue):
    before = sorted(catalogue.rglob("*"))
    config = dataclasses.replace(experiment(), catalogue=str(catalogue))
    seen = []
    found = lr_find(
        config, load(catalogue), steps=60, highest=10.0, progress=lambda *p: seen.append(p)
    )
    assert isinstance(found, RangeTest)
    assert seen == [(n, 60) for n in range(1, len(found.rates) + 1)]
    np.testing.assert_allclose(found.rates, np.geomspace(1e-6, 10, 60)[: len(found.rates)])
    assert np.isfinite(found.losses[0])
    assert found.smoothed.min() < 0.8 * found.smoothed[0]
    assert found.suggestion is not None
    assert 1e-5 < found.suggestion < 1
    again = lr_find(config, load(catalogue), steps=60, highest=10.0)
    np.testing.assert_array_equal(again.losses, found.losses)
    assert sorted(catalogue.rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"steps": 19}, "--steps is 19; it must be at least 20"),
        ({"lowest": 0.1, "highest": 0.1}, "give 0 < lowest < highest"),
        ({"lowest": 0.0}, "give 0 < lowest"),
    ],
)
def test_what_is_refused(experiment, catalogue, given, says):
    with pytest.raises(UsageError, match=says):
        lr_find(experiment(), load(catalogue), **given)

"""The smoothing against a sum over all sequences of labels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.timeline.hmm import STAYS_S, smooth


def every_sequence(log_likelihoods, change):
    """Probabilities of labels at each time, and the most likely sequence, by enumeration."""
    times, labels = log_likelihoods.shape
    paths = np.array(list(itertools.product(range(labels), repeat=times)))
    moved = (np.diff(paths, axis=1) != 0).sum(axis=1)
    logs = log_likelihoods[np.arange(times), paths].sum(axis=1)
    logs = logs + moved * np.log(change / (labels - 1)) + (times - 1 - moved) * np.log1p(-change)
    weights = np.exp(logs - logs.max())
    marginal = np.array(
        [[weights[paths[:, t] == k].sum() for k in range(labels)] for t in range(times)]
    )
    return marginal / weights.sum(), paths[np.argmax(weights)]


@pytest.mark.parametrize(("times", "labels"), [(1, 2), (6, 2), (5, 3), (4, 5)])
@pytest.mark.parametrize("stay_s", [4.0, 60.0])
def test_it_is_the_sum_over_all_sequences(times, labels, stay_s):
    logs = np.random.default_rng(times).normal(0, 2, (times, labels))
    found = smooth(logs, 3.0, stay_s)
    want, path = every_sequence(logs, 1 - np.exp(-3.0 / stay_s))
    np.testing.assert_allclose(found.probabilities, want, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.labels, path)
    assert found.stay_s == stay_s


def test_one_label_is_certain():
    found = smooth(np.zeros((4, 1)), 3.0)
    np.testing.assert_array_equal(found.probabilities, np.ones((4, 1)))


@pytest.mark.parametrize("mean_s", [60.0, 400.0])
def test_the_duration_of_sections_is_learned(mean_s):
    rng = np.random.default_rng(0)
    times = 4000
    labels = np.cumsum(rng.random(times) < 1 - np.exp(-3 / mean_s)) % 2
    logs = np.where(labels[:, None] == np.arange(2), 1.5, 0) + rng.normal(0, 0.5, (times, 2))
    found = smooth(logs, 3.0)
    assert found.stay_s in STAYS_S
    assert mean_s / 2 < found.stay_s < mean_s * 2
    assert (found.labels == labels).mean() > 0.96


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 100))
def test_answers_of_any_size_give_probabilities(times, labels, seed):
    logs = np.random.default_rng(seed).normal(0, 500, (times, labels))
    found = smooth(logs, 1.5)
    assert np.isfinite(found.probabilities).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.labels.shape == (times,)

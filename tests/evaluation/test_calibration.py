"""Calibration against scikit-learn, and against probabilities that are right by construction."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.calibration import calibration_curve

from kit.evaluation.calibration import (
    calibration,
    of_others,
    reliability,
    surest,
    temperature,
)

RNG = np.random.default_rng(0)


def drawn(n, factor=1.0):
    """Log-probabilities, and targets that are drawn from them before they are scaled."""
    log_p = log_softmax(RNG.normal(size=(n, 3)) * 1.5, axis=1)
    targets = np.array([RNG.choice(3, p=p / p.sum()) for p in np.exp(log_p)])
    return log_softmax(log_p / factor, axis=1), targets


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(factor):
    assert temperature(*drawn(4000, factor)) == pytest.approx(factor, rel=0.1)


def test_it_is_the_temperature_of_scikit_learn():
    calibrated = pytest.importorskip("sklearn", minversion="1.8") and __import__(
        "sklearn.calibration", fromlist=["CalibratedClassifierCV"]
    )
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    x = RNG.normal(size=(600, 4))
    y = (
        x @ np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]) + RNG.gumbel(size=(600, 3))
    ).argmax(1)
    model = LogisticRegression(C=100).fit(x[:40], y[:40])
    theirs = calibrated.CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    theirs.fit(x[40:], y[40:])
    scores = model.decision_function(x)
    factor = temperature(log_softmax(scores[40:], axis=1), y[40:])
    ours = np.exp(log_softmax(factor * scores, axis=1))
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=2e-3)


def test_bins_are_those_of_scikit_learn():
    log_p, targets = drawn(500)
    found = reliability(log_p, targets)
    p, right = np.exp(log_p.max(axis=1)), log_p.argmax(axis=1) == targets
    theirs = calibration_curve(right, p, n_bins=10, strategy="quantile")
    assert [one["n"] for one in found["bins"]] == [50] * 10
    np.testing.assert_allclose([one["right"] for one in found["bins"]], theirs[0], atol=0.021)
    np.testing.assert_allclose([one["probability"] for one in found["bins"]], theirs[1], atol=0.01)
    gaps = [abs(one["right"] - one["probability"]) for one in found["bins"]]
    assert found["ece"] == pytest.approx(np.mean(gaps))
    assert found["ece"] < 0.08 < reliability(*drawn(500, 0.2))["ece"]


def test_no_track_has_a_part_in_its_own_temperature():
    log_p, targets = drawn(200, 0.5)
    folds = [str(i % 4) for i in range(200)]
    before = of_others(log_p, targets, folds)
    own = np.array(folds) == "2"
    poisoned = np.where(own, (targets + 1) % 3, targets)
    np.testing.assert_array_equal(of_others(log_p, poisoned, folds)[own], before[own])
    assert not np.array_equal(of_others(log_p, poisoned, folds)[~own], before[~own])
    assert reliability(before, targets)["log_loss"] < reliability(log_p, targets)["log_loss"]


def test_the_surest_are_right_more_often():
    log_p, targets = drawn(2000)
    found = surest(log_p, targets)
    assert [one["n"] for one in found] == [2000, 1800, 1600, 1400, 1200, 1000]
    assert found[-1]["right"] > found[0]["right"] + 0.1
    kept = np.exp(log_p.max(axis=1)) >= found[-1]["probability"]
    assert kept.sum() == 1000


def test_one_track_is_one_bin():
    log_p = np.log([[0.7, 0.3]])
    found = calibration(log_p, log_p, np.array([0]), 1.0, "the other folds")
    assert found["before"]["bins"] == [{"n": 1, "probability": pytest.approx(0.7), "right": 1.0}]
    assert found["surest"][-1]["n"] == 1

"""Classifiers as arrays return what scikit-learn's estimators return."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.evaluation.baselines.models import (
    FOREST,
    LOGISTIC,
    ROOT_LOGISTIC,
    ROOT_SVM,
    SVM,
    Fitted,
)
from kit.shallow.classifiers import KINDS, classifier_of

FAMILIES = {"linear": LOGISTIC, "svm": SVM, "forest": FOREST}


def drawn(seed, tracks, labels):
    rng = np.random.default_rng(seed)
    targets = np.arange(tracks) % labels
    x = rng.normal(size=(tracks, 5)) * [1, 10, 0.1, 1, 1] + targets[:, None]
    return rng, x.astype(np.float32), targets


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    labels=st.integers(2, 6),
    each=st.integers(2, 12),
    missing=st.booleans(),
)
def test_they_are_those_of_scikit_learn(kind, seed, labels, each, missing):
    rng, x, targets = drawn(seed, labels * each, labels)
    classes = labels
    if missing:  # one label, the first or another, has no training track
        targets, classes = targets + 1 * (targets >= seed % labels), labels + 1
    family = FAMILIES[kind]
    options = {**family.fallback, **({"n_estimators": 7} if kind == "forest" else {})}
    model = family.build(options, 0).fit(x, targets)
    fitted = Fitted(model, classes, {}, temperature=rng.uniform(0.1, 5))
    found = classifier_of(model, classes, fitted.temperature)
    assert found.kind == kind
    asked = np.concatenate([x, rng.normal(size=(20, 5)).astype(np.float32) * 3])
    expected = fitted.probabilities(asked)
    np.testing.assert_allclose(found.probabilities(asked), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("family", [SVM, ROOT_SVM, ROOT_LOGISTIC])
def test_a_number_that_never_varies(family):
    _, x, targets = drawn(0, 12, 3)
    x[:, 2] = 4
    model = family.build(family.fallback, 0).fit(x, targets)
    expected = Fitted(model, 3, {}, 1.0).probabilities(x)
    np.testing.assert_allclose(classifier_of(model, 3).probabilities(x), expected, rtol=1e-6)


def test_numbers_of_one_unit_are_divided_by_the_root_of_their_deviation():
    _, x, targets = drawn(0, 40, 2)
    scaled = ROOT_SVM.build(ROOT_SVM.fallback, 0).fit(x, targets)[0].transform(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), np.sqrt(x.std(axis=0)), rtol=1e-4)

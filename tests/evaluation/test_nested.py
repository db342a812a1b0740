"""The choice among baselines: it sees no test track, and takes what is best."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from kit.evaluation.baselines.folds import (
    Fold,
    Task,
    of_layers,
    of_vectors,
    out_of_fold,
)
from kit.evaluation.baselines.models import LOGISTIC, SVM
from kit.evaluation.baselines.nested import (
    average_of,
    chosen_of,
    in_words,
    inner_folds,
    weigh,
)

TRACKS, GROUPS = 60, 20
RNG = np.random.default_rng(0)
TARGETS = np.arange(TRACKS) % GROUPS % 2
NOISE = RNG.normal(size=(TRACKS, 6))
TELLING = NOISE + 1.5 * TARGETS[:, None]


@pytest.fixture
def task():
    """Sixty tracks of twenty groups and two labels, in four folds."""
    groups = np.arange(TRACKS) % GROUPS
    of_fold = groups // 2 % 4
    folds = tuple(
        Fold(str(n), np.flatnonzero(of_fold != n), np.flatnonzero(of_fold == n)) for n in range(4)
    )
    return Task(("high", "low"), TARGETS, groups, folds)


def candidates(telling=TELLING, noise=NOISE):
    return [
        of_vectors("noise", noise, LOGISTIC),
        of_vectors("telling", telling, LOGISTIC),
        of_vectors("telling", telling, SVM),
    ]


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_what_tells_the_labels_is_chosen(task):
    row = out_of_fold([chosen_of(candidates())], task)[0]
    for chosen in row.chosen.values():
        weights = chosen["weights"]
        telling = sum(weight for name, weight in weights.items() if name.startswith("telling"))
        assert telling > 0.75
        assert sum(weights.values()) == pytest.approx(1)
    assert (row.probabilities.argmax(axis=1) == TARGETS).mean() > 0.85
    np.testing.assert_allclose(row.probabilities.sum(axis=1), 1)


def test_no_test_track_has_a_part_in_the_choice(task):
    fold = task.folds[1]
    asked = []
    expected = chosen_of(candidates(), asked.append).answer(fold, task)
    assert asked == [f"fold 1, {c.name}" for c in candidates()]
    poisoned = [x.copy() for x in (TELLING, NOISE)]
    for x in poisoned:
        x[fold.test[1:]] = 1e6
    wrong = TARGETS.copy()
    wrong[fold.test] = 1 - wrong[fold.test]
    found = chosen_of(candidates(*poisoned)).answer(fold, dataclasses.replace(task, targets=wrong))
    assert found.chosen == expected.chosen
    np.testing.assert_array_equal(found.probabilities[0], expected.probabilities[0])


def test_inner_folds_are_of_training_tracks_and_keep_groups_together(task):
    fold = task.folds[0]
    inner = inner_folds(fold, task)
    assert sorted(np.concatenate([part.test for part in inner])) == fold.train.tolist()
    for part in inner:
        assert set(part.train) | set(part.test) == set(fold.train)
        assert not set(task.groups[part.train]) & set(task.groups[part.test])


def test_with_one_group_of_a_label_all_have_the_same_weight(task):
    groups = np.where(TARGETS == 1, 99, task.groups)
    answered = chosen_of(candidates()).answer(
        task.folds[0], dataclasses.replace(task, groups=groups)
    )
    assert answered.chosen["weights"] == {c.name: 1 / 3 for c in candidates()}


def test_a_probe_chooses_its_layer_without_the_test_tracks(task):
    labels = ("high", "low", "never heard")
    task = dataclasses.replace(task, labels=labels)
    fold = task.folds[3]
    layers = {"noise": NOISE, "telling": TELLING}
    expected = of_layers("mine", layers).answer(fold, task)
    assert expected.chosen["layer"] == "telling"
    assert (expected.probabilities.argmax(axis=1) == TARGETS[fold.test]).mean() > 0.6
    np.testing.assert_allclose(expected.probabilities[:, 2], 0, atol=1e-9)
    poisoned = {name: x.copy() for name, x in layers.items()}
    for x in poisoned.values():
        x[fold.test[1:]] = 1e6
    found = of_layers("mine", poisoned).answer(fold, task)
    assert found.chosen == expected.chosen
    np.testing.assert_array_equal(found.probabilities[0], expected.probabilities[0])


def answers_of(rng, right, targets):
    """Return probabilities of two labels, those of the true one around `right`."""
    p = np.clip(right + 0.1 * rng.normal(size=len(targets)), 0.02, 0.98)
    return np.where((targets == 1)[:, None], np.stack([1 - p, p], 1), np.stack([p, 1 - p], 1))


def test_what_is_as_good_has_the_same_weight_and_what_is_wrong_has_none():
    targets = np.array([0, 0, 1, 1])
    one = np.array([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.6, 0.4]])
    two = np.array([[0.4, 0.6], [0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    sure = np.array([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]])
    assert weigh({"one": one, "two": two}, targets) == {"one": 0.5, "two": 0.5}
    weights = weigh({"one": one, "two": two, "wrong": 1 - sure}, targets)
    assert weights == {"one": 0.5, "two": 0.5}
    assert weigh({"wrong": 1 - sure}, targets) == {"wrong": 1}
    weights = weigh({"wrong": 1 - sure, "sure": sure, "one": one}, targets)
    assert list(weights) == ["sure", "one"]
    assert weights["sure"] > 0.8
    assert in_words({"sure": 0.8, "one": 0.2}) == "80% sure + 20% one"
    assert in_words({"sure": 1.0}) == "sure"


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(max_examples=30)
def test_weights_make_the_labels_likelier_than_the_plain_mean_does(seed, count):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, 60)
    found = {f"{at}": answers_of(rng, rng.uniform(0.2, 0.95), targets) for at in range(count)}
    weights = weigh(found, targets)
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) >= 0.05
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    mixed = np.sum([weight * found[name] for name, weight in weights.items()], axis=0)
    plain = np.mean(list(found.values()), axis=0)
    assert log_loss(targets, mixed) <= log_loss(targets, plain) + 1e-9


def test_an_average_is_the_weighted_mean_of_probabilities(task):
    fold, chosen = task.folds[2], candidates()
    weights = {chosen[2].name: 0.75, chosen[0].name: 0.25}
    one, two = (c.answer(fold, task).probabilities for c in (chosen[2], chosen[0]))
    both = average_of(chosen, weights)
    assert both.name == "75% telling, SVM + 25% noise, logistic regression"
    np.testing.assert_array_equal(both.answer(fold, task).probabilities, 0.75 * one + 0.25 * two)

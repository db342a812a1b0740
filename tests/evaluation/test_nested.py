"""The choice among baselines: it sees no test track, and takes what is best."""

import dataclasses

import numpy as np
import pytest

from kit.evaluation.baselines.folds import (
    Fold,
    Task,
    of_layers,
    of_vectors,
    out_of_fold,
)
from kit.evaluation.baselines.models import LOGISTIC, SVM
from kit.evaluation.baselines.nested import average_of, best, chosen_of, inner_folds

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


def test_what_tells_the_labels_is_chosen(task):
    row = out_of_fold([chosen_of(candidates())], task)[0]
    assert all("telling" in chosen["baseline"] for chosen in row.chosen.values())
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


def test_with_one_group_of_a_label_the_first_is_taken(task):
    groups = np.where(TARGETS == 1, 99, task.groups)
    answered = chosen_of(candidates()).answer(
        task.folds[0], dataclasses.replace(task, groups=groups)
    )
    assert answered.chosen == {"baseline": candidates()[0].name}


def test_a_probe_chooses_its_layer_without_the_test_tracks(task):
    labels = ("high", "low", "never heard")
    task = dataclasses.replace(task, labels=labels)
    fold = task.folds[3]
    layers = {"noise": NOISE, "telling": TELLING}
    expected = of_layers("mine", layers).answer(fold, task)
    assert expected.chosen["layer"] == "telling"
    assert (expected.probabilities.argmax(axis=1) == TARGETS[fold.test]).mean() > 0.6
    np.testing.assert_array_equal(expected.probabilities[:, 2], 0)
    poisoned = {name: x.copy() for name, x in layers.items()}
    for x in poisoned.values():
        x[fold.test[1:]] = 1e6
    found = of_layers("mine", poisoned).answer(fold, task)
    assert found.chosen == expected.chosen
    np.testing.assert_array_equal(found.probabilities[0], expected.probabilities[0])


def test_an_average_is_taken_where_it_is_better():
    targets = np.array([0, 0, 1, 1])
    one = np.array([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.6, 0.4]])
    two = np.array([[0.4, 0.6], [0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    assert set(best({"one": one, "two": two, "wrong": 1 - one}, targets)) == {"one", "two"}
    sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    assert best({"one": one, "sure": sure}, targets) == ("sure",)


def test_an_average_of_more_is_taken_unless_it_is_clearly_worse():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 40)

    def answers(right, spread):
        p = np.clip(right + spread * rng.normal(size=40), 0.02, 0.98)
        return np.where((targets == 1)[:, None], np.stack([1 - p, p], 1), np.stack([p, 1 - p], 1))

    alike = {name: answers(0.7, 0.2) for name in "abc"}
    assert set(best(alike, targets)) == set("abc")
    clear = {"best": answers(0.95, 0.02), "worse": answers(0.6, 0.1), "worst": answers(0.3, 0.1)}
    assert best(clear, targets) == ("best",)


def test_an_average_is_the_mean_of_probabilities(task):
    fold, chosen = task.folds[2], candidates()
    names = [chosen[0].name, chosen[2].name]
    each = [c.answer(fold, task).probabilities for c in (chosen[0], chosen[2])]
    both = average_of(chosen, names)
    assert both.name == "noise, logistic regression + telling, SVM"
    np.testing.assert_array_equal(both.answer(fold, task).probabilities, np.mean(each, axis=0))

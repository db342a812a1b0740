"""The probe: it learns, it chooses, and a fold has no part in what answers for it."""

from functools import partial

import numpy as np
import pytest

from kit.errors import UsageError
from kit.training import probe as room

LABELS = ("dub", "house", "techno")
STRENGTHS = (1e-3, 1.0)  # few, so that the tests are quick
probe = partial(room.probe, strengths=STRENGTHS)


def collection(per_label=12, artists=6, seed=0):
    """Tracks of three labels: a layer that tells them apart, one that does not, artists, folds."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), per_label)
    number = np.tile(np.arange(per_label) % artists, 3)
    groups = np.array([f"{LABELS[label]} {n}" for label, n in zip(y, number, strict=True)])
    told = rng.normal(size=(len(y), 5)) + 3 * np.eye(3, 5)[y]
    noise = rng.normal(size=(len(y), 8))
    noise[:, 3] = 1  # a unit that never fires tells nothing, and must not divide by 0
    layers = {"noise": noise.astype(np.float32), "told": told.astype(np.float32)}
    return layers, np.array(LABELS)[y], groups, (number % 3).astype(str)


def test_it_answers_out_of_fold_by_the_layer_that_tells_the_labels_apart():
    layers, labels, groups, folds = collection()
    seen = []
    found = probe(layers, labels, groups, folds, progress=lambda *at: seen.append(at))
    assert found.labels == LABELS
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    right = np.array(LABELS)[found.probabilities.argmax(axis=1)] == labels
    assert right.mean() > 0.9
    assert [c.fold for c in found.choices] == ["0", "1", "2"]
    assert {c.layer for c in found.choices} == {"told"}
    assert {c.strength for c in found.choices} <= set(STRENGTHS)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_on_noise_it_is_at_chance_and_says_so():
    layers, labels, groups, folds = collection(per_label=40, artists=20)
    found = probe({"noise": layers["noise"]}, labels, groups, folds)
    assert all(c.log_loss is not None and c.log_loss > 0.9 * np.log(3) for c in found.choices)
    assert {c.strength for c in found.choices} == {1e-3}


def test_a_poisoned_fold_changes_nothing_of_its_own_answers():
    layers, labels, groups, folds = collection()
    clean = probe(layers, labels, groups, folds)
    ours = np.flatnonzero(folds == "1")
    poisoned, half = {k: v.copy() for k, v in layers.items()}, ours[::2]
    for rows in poisoned.values():
        rows[half] = 1e6
    wrong = labels.copy()
    wrong[ours] = np.roll(wrong[ours], 1)
    renamed = groups.copy()
    renamed[ours] = "one"
    after = probe(poisoned, wrong, renamed, folds)
    np.testing.assert_array_equal(after.probabilities[ours[1::2]], clean.probabilities[ours[1::2]])
    assert after.choices[1] == clean.choices[1]
    assert (after.probabilities[folds != "1"] != clean.probabilities[folds != "1"]).any()


def test_groups_are_kept_together_where_it_chooses():
    # A layer that names the artist is worth nothing for other artists.
    layers, labels, groups, folds = collection(per_label=24)
    names = np.unique(groups, return_inverse=True)[1]
    layers = {"artist": 5 * np.eye(18, dtype=np.float32)[names], "told": layers["told"]}
    found = probe(layers, labels, groups, folds)
    assert {c.layer for c in found.choices} == {"told"}


def test_a_label_that_a_fold_holds_alone_gets_no_probability_there():
    layers, labels, groups, folds = collection()
    folds = folds.copy()
    folds[labels == "dub"] = "0"
    found = probe(layers, labels, groups, folds)
    assert (found.probabilities[folds == "0", 0] == 0).all()
    assert (found.probabilities[folds != "0", 0] > 0).all()


def test_with_one_group_a_label_nothing_can_be_chosen():
    layers, labels, _, folds = collection()
    (choice, *_) = probe(layers, labels, labels, folds).choices
    assert (choice.layer, choice.strength, choice.log_loss) == ("noise", 1e-2, None)


def test_bad_input_is_refused():
    layers, labels, groups, folds = collection()
    with pytest.raises(UsageError, match="no layer"):
        probe({}, labels, groups, folds)
    with pytest.raises(UsageError, match="36 labels, 35 groups, 36 folds and rows of 36 noise"):
        probe(layers, labels, groups[1:], folds)
    with pytest.raises(UsageError, match="at least two folds"):
        probe(layers, labels, groups, ["0"] * len(labels))
    layers["told"][3, 2] = np.nan
    with pytest.raises(UsageError, match="the layer told has NaN"):
        probe(layers, labels, groups, folds)
    layers, labels, groups, _ = collection()
    with pytest.raises(UsageError, match="without fold a, one label is left"):
        probe(layers, labels, groups, np.where(labels == "dub", "b", "a"))

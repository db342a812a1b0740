"""Scores against scikit-learn, against values worked out by hand, and as properties."""

import json
import math
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    d2_log_loss_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from kit.errors import KitError
from kit.evaluation.intervals import group_interval
from kit.evaluation.metrics import hits, mistakes, summarise
from kit.training.scores import track_log_probabilities


def log_softmax(logits):
    logits = np.asarray(logits, dtype=np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@st.composite
def predictions(draw):
    """Log-probabilities (segments, classes) of each track, targets, labels, training counts."""
    tracks, classes = (draw(st.integers(*r)) for r in ((1, 12), (2, 5)))
    segments = draw(st.lists(st.integers(1, 5), min_size=tracks, max_size=tracks))
    # scikit-learn's log loss clips probabilities at 2e-16; these stay above.
    shape = (sum(segments), classes)
    logits = draw(hnp.arrays(np.float64, shape, elements=st.floats(-15, 15)))
    scores = np.split(log_softmax(logits), np.cumsum(segments)[:-1])
    targets = draw(hnp.arrays(np.int64, tracks, elements=st.integers(0, classes - 1)))
    counts = draw(hnp.arrays(np.int64, classes, elements=st.integers(1, 50)))
    return scores, targets, tuple("abcde"[:classes]), counts


def test_values_worked_out_by_hand():
    # Four tracks of two segments; the second is right by one segment and wrong as a track.
    p = np.array(
        [
            [[0.9, 0.1], [0.8, 0.2]],
            [[0.6, 0.4], [0.1, 0.9]],
            [[0.3, 0.7], [0.4, 0.6]],
            [[0.7, 0.3], [0.6, 0.4]],
        ]
    )
    result = summarise(
        list(np.log(p)), np.array([0, 0, 1, 1]), ("techno", "edm"), np.array([3, 5], dtype=np.int64)
    )
    track, segment = result["track"], result["segment"]
    assert (track["n"], track["correct"], track["accuracy"]) == (4, 2, 0.5)
    assert (segment["n"], segment["correct"], segment["accuracy"]) == (8, 5, 0.625)
    assert track["confusion"] == [[1, 1], [1, 1]]
    assert segment["confusion"] == [[3, 1], [2, 2]]
    assert segment["per_class"]["techno"] == {
        "precision": 3 / 5,
        "recall": 3 / 4,
        "f1": pytest.approx(2 * 3 / 9),
        # Of 16 pairs of segments 10 are in order, and 1 is tied.
        "roc_auc": 10.5 / 16,
        "average_precision": pytest.approx(0.775),
        "support": 4,
    }
    assert (track["majority_label"], track["majority_accuracy"]) == ("edm", 0.5)
    assert track["interval"] == group_interval(np.arange(4) < 2, np.arange(4))["interval"]
    assert track["balanced_accuracy"] == 0.5
    prior = [3 / 8, 5 / 8]
    truth = -math.log(3 / 8) - math.log(5 / 8)
    assert track["log_loss_skill"] == pytest.approx(1 - 2 * track["log_loss"] / truth)
    errors = [2 * (1 - p) ** 2 for p in prior]
    assert track["brier_skill"] == pytest.approx(1 - 2 * track["brier"] / sum(errors))
    assert segment["log_loss"] == pytest.approx(
        -np.log([0.9, 0.8, 0.6, 0.1, 0.7, 0.6, 0.3, 0.4]).mean()
    )


@given(predictions())
@settings(max_examples=40, deadline=None)
def test_agrees_with_sklearn(case):
    scores, targets, labels, counts = case
    classes = len(labels)
    result = summarise(scores, targets, labels, counts)
    levels = {
        "segment": (np.concatenate(scores), np.repeat(targets, [len(x) for x in scores])),
        "track": (track_log_probabilities(scores), targets),
    }
    for level, (log_p, truth) in levels.items():
        ours, predicted = result[level], log_p.argmax(axis=1)
        assert ours["accuracy"] == pytest.approx((predicted == truth).mean())
        assert ours["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of labels that do not occur
            assert ours["balanced_accuracy"] == pytest.approx(
                balanced_accuracy_score(truth, predicted)
            )
        p = np.exp(log_p)
        brier = np.square(p - np.eye(classes)[truth]).sum(axis=1).mean()
        assert ours["brier"] == pytest.approx(brier)
        assert ours["log_loss"] == pytest.approx(
            log_loss(truth, p / p.sum(axis=1, keepdims=True), labels=np.arange(classes)), abs=1e-9
        )
        theirs = precision_recall_fscore_support(
            truth, predicted, labels=np.arange(classes), zero_division=0
        )
        for k, name in enumerate(labels):
            row = ours["per_class"][name]
            assert row["support"] == theirs[3][k]
            for key, column in zip(("precision", "recall", "f1"), theirs[:3], strict=True):
                # None is what sklearn calls 0 with a warning: there is nothing to divide by.
                assert (row[key] or 0.0) == pytest.approx(column[k])
            if 0 < row["support"] < len(truth):
                has = truth == k
                assert row["roc_auc"] == pytest.approx(roc_auc_score(has, log_p[:, k]))
                found = average_precision_score(has, log_p[:, k])
                assert row["average_precision"] == pytest.approx(found)
            else:
                assert row["roc_auc"] is row["average_precision"] is None


def test_the_skill_is_that_of_sklearn_where_the_prior_is_that_of_the_test():
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2], [10, 20, 30])
    log_p = np.log(rng.dirichlet(np.ones(3), 60))
    track = summarise(list(log_p[:, None]), targets, ("a", "b", "c"), np.array([1, 2, 3]))["track"]
    assert track["log_loss_skill"] == pytest.approx(d2_log_loss_score(targets, np.exp(log_p)))
    # No training track has the third label.
    track = summarise(list(log_p[:, None]), targets, ("a", "b", "c"), np.array([1, 2, 0]))["track"]
    of_prior = (8 / 9 * 10 + 2 / 9 * 20 + 14 / 9 * 30) / 60
    assert track["brier_skill"] == pytest.approx(1 - track["brier"] / of_prior)
    assert track["log_loss_skill"] is None


def test_tracks_of_an_artist_that_are_alike_widen_every_interval():
    rng = np.random.default_rng(1)
    targets = np.repeat(np.arange(24) % 3, 5)
    p = np.repeat(rng.dirichlet(np.ones(3), 24), 5, axis=0) * 0.75 + np.eye(3)[targets] * 0.25
    case = (list(np.log(p[:, None])), targets, ("a", "b", "c"), np.array([1, 1, 1]))
    apart = summarise(*case)["track"]["intervals"]
    artists = [f"artist {number}" for number in np.repeat(np.arange(24), 5)]
    alike = summarise(*case, groups=artists)["track"]
    assert alike["groups"] == 24
    for name, (low, high) in alike["intervals"].items():
        assert low <= alike[name] <= high
        assert high - low > 1.7 * (apart[name][1] - apart[name][0])


def test_the_labels_that_are_taken_for_each_other_are_named():
    targets = np.repeat([0, 1, 2], 20)
    p = np.full((60, 3), 0.05)
    p[np.arange(60), np.where(np.arange(60) % 2, targets, np.array([1, 0, 2])[targets])] = 0.9
    track = summarise(list(np.log(p)[:, None]), targets, tuple("abc"), np.ones(3, int))["track"]
    assert track["accuracy"] == pytest.approx(40 / 60)
    (merge,) = track["merges"]
    assert merge["labels"] == ["a", "b"]
    assert merge["accuracy"] == 1


@given(predictions(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_tracks_changes_nothing(case, random):
    scores, targets, labels, counts = case
    order = list(range(len(targets)))
    random.shuffle(order)
    one = summarise(scores, targets, labels, counts)
    other = summarise([scores[i] for i in order], targets[order], labels, counts)
    for level in ("segment", "track"):
        # A sum in another order differs in the last bit; everything else is the same.
        for name in ("log_loss", "brier", "log_loss_skill", "brier_skill"):
            pair = [each[level].pop(name) for each in (one, other)]
            assert pair[0] == pair[1] or pair[0] == pytest.approx(pair[1], rel=1e-9, abs=1e-12)
    pairs = [each["track"].pop("intervals").values() for each in (one, other)]
    for first, second in zip(*pairs, strict=True):
        assert first == second or first == pytest.approx(second, rel=1e-6, abs=1e-9)
    assert one == other


@given(predictions())
@settings(max_examples=20, deadline=None)
def test_every_value_is_json_and_in_range(case):
    result = summarise(*case)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for level in result.values():
        assert 0 <= level["macro_f1"] <= 1
        assert level["log_loss"] >= 0
        assert sum(map(sum, level["confusion"])) == level["n"]
        if level["interval"] is not None:
            low, high = level["interval"]
            assert 0 <= low <= level["accuracy"] + 1e-12
            assert level["accuracy"] - 1e-12 <= high <= 1


def test_perfect_predictions_score_one():
    targets = np.array([0, 1, 2, 1])
    predictions = list(np.log(np.eye(3) * 0.997 + 0.001)[targets][:, None].repeat(10, axis=1))
    result = summarise(predictions, targets, ("a", "b", "c"), np.array([1, 1, 1]))
    for level in result.values():
        assert level["accuracy"] == level["macro_f1"] == 1
        assert all(
            c["precision"] == c["recall"] == c["f1"] == 1 for c in level["per_class"].values()
        )
        # Wilson's for as many independent tracks, whatever the number of their segments.
        assert level["interval"][0] == pytest.approx(4 / (4 + 1.959963984540054**2))


def test_a_label_absent_from_the_test_has_no_recall():
    scores = list(np.log(np.array([[[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]]])))
    track = summarise(scores, np.array([0, 0]), ("a", "b", "c"), np.array([1, 9, 1]))["track"]
    none = {"roc_auc": None, "average_precision": None, "support": 0}
    empty = {"precision": None, "recall": None, "f1": None, **none}
    assert track["per_class"]["b"] == empty
    # "c" was answered once, wrongly: that counts against the macro F1, "b" does not.
    assert track["per_class"]["c"] == {"precision": 0.0, "recall": None, "f1": 0.0, **none}
    assert track["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert (track["majority_label"], track["majority_accuracy"]) == ("b", 0.0)


def test_the_segment_interval_sees_that_segments_of_a_track_go_together():
    # Half the tracks all right, half all wrong: the interval must be as wide as for 40 draws.
    scores = np.log(np.where(np.arange(40) < 20, 0.9, 0.1))[:, None, None].repeat(10, axis=1)
    scores = np.concatenate([scores, np.log1p(-np.exp(scores))], axis=2)
    segment = summarise(list(scores), np.zeros(40, int), ("a", "b"), np.array([1, 1]))["segment"]
    low, high = segment["interval"]
    # The normal approximation for 40 independent tracks is ±0.155; for 400 segments, ±0.049.
    assert high - low == pytest.approx(2 * 0.155, abs=0.02)


def test_a_track_with_more_segments_weighs_more_by_segment_and_not_by_track():
    right, wrong = np.log([[0.9, 0.1]]), np.log([[0.1, 0.9]])
    scores = [right.repeat(6, axis=0), wrong.repeat(2, axis=0), wrong]
    result = summarise(scores, np.zeros(3, int), ("a", "b"), np.array([1, 1]))
    assert (result["segment"]["correct"], result["segment"]["n"]) == (6, 9)
    assert (result["track"]["correct"], result["track"]["n"]) == (1, 3)


def test_the_segment_interval_is_of_whole_tracks_of_any_length():
    # Long tracks are right and short ones wrong: 300 of 400 segments, half the tracks.
    right, wrong = np.log([[0.9, 0.1]]), np.log([[0.1, 0.9]])
    scores = [right.repeat(15, axis=0)] * 20 + [wrong.repeat(5, axis=0)] * 20
    segment = summarise(scores, np.zeros(40, int), ("a", "b"), np.array([1, 1]))["segment"]
    rng = np.random.default_rng(7)
    drawn = rng.integers(0, 40, (20_000, 40)) < 20
    accuracy = 15 * drawn.sum(axis=1) / np.where(drawn, 15, 5).sum(axis=1)
    assert segment["interval"] == pytest.approx(np.percentile(accuracy, [2.5, 97.5]), abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [np.log([[0.5, 0.5]]), np.full((1, 2), np.nan)]}, "number 1 are not finite"),
        ({"scores": [np.zeros((0, 2)), np.log([[0.5, 0.5]])]}, "every track needs a segment"),
        ({"scores": [], "targets": np.zeros(0, int)}, "no track to score"),
        ({"targets": np.array([0, 2])}, "target 2 is not an index of the 2 labels"),
        ({"targets": np.array([-1, 0])}, "target -1"),
        ({"labels": ("a", "b", "c")}, "2 probabilities for 3 labels"),
        ({"counts": np.array([0, 0])}, "train_counts has no track"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, message):
    good = {
        "scores": [np.log([[0.5, 0.5]])] * 2,
        "targets": np.array([0, 1]),
        "labels": ("a", "b"),
        "counts": np.array([1, 1]),
    }
    summarise(*good.values())
    with pytest.raises(KitError, match=message):
        summarise(*(good | change).values())


def row(track_id, label, predicted, probability):
    return {
        "track_id": track_id,
        "label": label,
        "predicted": predicted,
        "probability": probability,
    }


ROWS = [
    row("t1", "a", "b", 0.6),
    row("t2", "a", "b", 0.9),
    row("t3", "b", "a", 0.9),
    row("t4", "b", "b", 0.7),
    row("t5", "b", "b", 0.8),
    row("t6", "b", "b", 0.5),
    row("t7", "a", "a", 0.99),
]


def test_mistakes_are_the_surest_wrong_ones_first():
    assert [t["track_id"] for t in mistakes(ROWS)] == ["t2", "t3", "t1"]
    assert [t["track_id"] for t in mistakes(reversed(ROWS), limit=2)] == ["t2", "t3"]


def test_hits_are_a_few_of_each_label():
    assert [t["track_id"] for t in hits(ROWS)] == ["t7", "t5", "t4"]
    assert [t["track_id"] for t in hits(reversed(ROWS), per_label=1)] == ["t7", "t5"]

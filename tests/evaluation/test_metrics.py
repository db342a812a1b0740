"""Scores against scikit-learn, against values worked out by hand, and as properties."""

import json
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from kit.evaluation.metrics import (
    EvaluationError,
    hits,
    mistakes,
    summarise,
    track_log_probabilities,
)


def log_softmax(logits):
    logits = np.asarray(logits, dtype=np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@st.composite
def predictions(draw):
    """Log-probabilities (tracks, segments, classes), targets, labels, training counts."""
    tracks, segments, classes = (draw(st.integers(*r)) for r in ((1, 12), (1, 5), (2, 5)))
    # scikit-learn's log loss takes probabilities below 2e-16 for that; these stay above.
    logits = draw(hnp.arrays(np.float64, (tracks, segments, classes), elements=st.floats(-15, 15)))
    targets = draw(hnp.arrays(np.int64, tracks, elements=st.integers(0, classes - 1)))
    counts = draw(hnp.arrays(np.int64, classes, elements=st.integers(1, 50)))
    return log_softmax(logits), targets, tuple("abcde"[:classes]), counts


def test_a_track_is_the_geometric_mean_of_its_segments():
    p = np.array([[[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]])
    geometric = np.array([(0.9 * 0.5 * 0.2) ** (1 / 3), (0.1 * 0.5 * 0.8) ** (1 / 3)])
    np.testing.assert_allclose(
        np.exp(track_log_probabilities(np.log(p)))[0], geometric / geometric.sum(), rtol=1e-12
    )


def test_one_segment_is_its_own_track():
    segment = log_softmax(np.random.default_rng(0).normal(size=(7, 1, 3)))
    np.testing.assert_allclose(track_log_probabilities(segment), segment[:, 0], atol=1e-12)


def test_float32_far_below_zero_stays_normalised():
    far = np.array([[[0.0, -1e4, -2e4], [-1e4, 0.0, -2e4]]], dtype=np.float32)
    track = track_log_probabilities(far)
    assert track.dtype == np.float64
    np.testing.assert_allclose(np.exp(track), [[0.5, 0.5, 0.0]], atol=1e-12)


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
        np.log(p), np.array([0, 0, 1, 1]), ("techno", "edm"), np.array([3, 5], dtype=np.int64)
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
        "support": 4,
    }
    assert (track["majority_label"], track["majority_accuracy"]) == ("edm", 0.5)
    # Wilson's formula: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    z, n, share = 1.959963984540054, 4, 0.5
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((share + z * z / (2 * n) + s * half) / (1 + z * z / n) for s in (-1, 1))
    assert track["interval"] == pytest.approx([low, high])
    assert segment["log_loss"] == pytest.approx(
        -np.log([0.9, 0.8, 0.6, 0.1, 0.7, 0.6, 0.3, 0.4]).mean()
    )


@given(predictions())
@settings(max_examples=60, deadline=None)
def test_agrees_with_sklearn(case):
    scores, targets, labels, counts = case
    classes, segments = len(labels), scores.shape[1]
    result = summarise(scores, targets, labels, counts)
    levels = {
        "segment": (scores.reshape(-1, classes), np.repeat(targets, segments)),
        "track": (track_log_probabilities(scores), targets),
    }
    for level, (log_p, truth) in levels.items():
        ours, predicted = result[level], log_p.argmax(axis=1)
        assert ours["accuracy"] == pytest.approx((predicted == truth).mean())
        assert ours["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
        p = np.exp(log_p)
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


@given(predictions(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_tracks_changes_nothing(case, random):
    scores, targets, labels, counts = case
    order = list(range(len(targets)))
    random.shuffle(order)
    one = summarise(scores, targets, labels, counts)
    other = summarise(scores[order], targets[order], labels, counts)
    for level in ("segment", "track"):
        # A sum in another order differs in the last bit; everything else is the same.
        assert one[level].pop("log_loss") == pytest.approx(other[level].pop("log_loss"), rel=1e-12)
    assert one == other


@given(predictions())
@settings(max_examples=40, deadline=None)
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
    predictions = np.log(np.eye(3) * 0.997 + 0.001)[targets][:, None].repeat(10, axis=1)
    result = summarise(predictions, targets, ("a", "b", "c"), np.array([1, 1, 1]))
    for level in result.values():
        assert level["accuracy"] == level["macro_f1"] == 1
        assert all(
            c["precision"] == c["recall"] == c["f1"] == 1 for c in level["per_class"].values()
        )
    assert result["track"]["interval"][0] == pytest.approx(4 / (4 + 1.959963984540054**2))
    assert result["segment"]["interval"] is None
    assert "same share" in result["segment"]["interval_method"]


def test_a_label_absent_from_the_test_has_no_recall():
    scores = np.log(np.array([[[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]]]))
    track = summarise(scores, np.array([0, 0]), ("a", "b", "c"), np.array([1, 9, 1]))["track"]
    empty = {"precision": None, "recall": None, "f1": None, "support": 0}
    assert track["per_class"]["b"] == empty
    # "c" was answered once, wrongly: that counts against the macro F1, "b" does not.
    assert track["per_class"]["c"] == {"precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
    assert track["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert (track["majority_label"], track["majority_accuracy"]) == ("b", 0.0)


def test_the_segment_interval_sees_that_segments_of_a_track_go_together():
    # Half the tracks all right, half all wrong: the interval must be as wide as for 40 draws.
    scores = np.log(np.where(np.arange(40) < 20, 0.9, 0.1))[:, None, None].repeat(10, axis=1)
    scores = np.concatenate([scores, np.log1p(-np.exp(scores))], axis=2)
    segment = summarise(scores, np.zeros(40, int), ("a", "b"), np.array([1, 1]))["segment"]
    low, high = segment["interval"]
    # The normal approximation for 40 independent tracks is ±0.155; for 400 segments, ±0.049.
    assert high - low == pytest.approx(2 * 0.155, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"segment_log_probabilities": np.full((2, 1, 2), np.nan)},
            "number 0 are not finite",
        ),
        ({"segment_log_probabilities": np.zeros((2, 0, 2))}, "needs a segment"),
        (
            {"segment_log_probabilities": np.zeros((0, 1, 2)), "targets": np.zeros(0, int)},
            "no tracks",
        ),
        ({"targets": np.array([0, 2])}, "target 2 is not an index of the 2 labels"),
        ({"targets": np.array([-1, 0])}, "target -1"),
        ({"labels": ("a", "b", "c")}, "2 probabilities for 3 labels"),
        ({"train_counts": np.array([0, 0])}, "train_counts has no track"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, message):
    good = {
        "segment_log_probabilities": np.log(np.full((2, 1, 2), 0.5)),
        "targets": np.array([0, 1]),
        "labels": ("a", "b"),
        "train_counts": np.array([1, 1]),
    }
    summarise(**good)
    with pytest.raises(EvaluationError, match=message):
        summarise(**(good | change))


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

"""Doubtful labels by hand, and on labels of which a tenth is wrong."""

import csv
import io

import numpy as np
from scipy.special import softmax

from kit.evaluation.doubtful import COLUMNS, doubtful, in_csv, suggested


def test_suggestions_by_hand():
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.35, 0.65], [0.2, 0.8], [0.4, 0.6], [0.75, 0.25]])
    y = np.array([0, 0, 0, 1, 1, 1])
    # Label 0 has 0.65 on average among its tracks, label 1 has 0.55.
    assert suggested(p, y).tolist() == [0, 0, 1, 1, 1, 0]
    # Between the thresholds no label is likely, and the track keeps its own.
    assert suggested(np.vstack([p, [[0.5, 0.5]]]), np.append(y, 0)).tolist()[-1] == 0
    assert suggested(np.vstack([p, [[0.5, 0.5]]]), np.append(y, 1)).tolist()[-1] == 1
    # A label without a track is never suggested; of two likely labels the more probable one is.
    three = np.array([[0.5, 0.1, 0.4], [0.3, 0.1, 0.6], [0.45, 0.05, 0.5], [0.44, 0.06, 0.5]])
    assert suggested(three, np.array([0, 0, 0, 0])).tolist() == [0, 0, 0, 0]
    assert suggested(three, np.array([0, 0, 2, 2])).tolist() == [0, 2, 2, 2]
    assert suggested(three[:, [1, 0, 2]], np.array([1, 1, 1, 2])).tolist() == [1, 2, 2, 2]


def test_wrong_labels_are_found_far_more_often_than_by_chance():
    rng = np.random.default_rng(0)
    precision, recall, surest, chance = [], [], [], []
    for _ in range(20):
        truth = rng.integers(0, 4, 400)
        # Calibrated: the probabilities are the posterior of noisy evidence for the truth.
        logits = rng.normal(size=(400, 4)) * 1.8
        logits[np.arange(400), truth] += 1.8**2
        flipped = rng.random(400) < 0.1
        y = np.where(flipped, (truth + rng.integers(1, 4, 400)) % 4, truth)
        p = softmax(logits, axis=1)
        better = suggested(p, y)
        found = better != y
        first = np.argsort(-np.where(found, p[np.arange(400), better], 0))[:20]
        precision.append((found & flipped).sum() / found.sum())
        recall.append((found & flipped).sum() / flipped.sum())
        surest.append((found & flipped)[first].mean())
        chance.append(flipped.mean())
    assert np.mean(chance) < 0.12
    assert np.mean(precision) > 0.4
    assert np.mean(surest) > 0.65
    assert np.mean(recall) > 0.6


def test_the_table_has_the_surest_first():
    tracks = [
        {"track_id": f"t{at}", "label": "ab"[label], "path": f"a/{at}.wav", "title": 'x, "y"\n'}
        for at, label in enumerate([0, 0, 1, 1, 1])
    ]
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.1, 0.9], [0.88, 0.12]])
    rows = doubtful(tracks, ["a", "b"], p)
    assert [(row["track_id"], row["label"], row["suggested"]) for row in rows] == [
        ("t2", "b", "a"),
        ("t4", "b", "a"),
    ]
    assert list(csv.DictReader(io.StringIO(in_csv(rows))))[1] == {
        "track_id": "t4",
        "path": "a/4.wav",
        "artists": "",
        "title": 'x, "y"\n',
        "label": "b",
        "suggested": "a",
        "probability": "0.88",
    }
    assert in_csv([]) == "track_id,path,artists,title,label,suggested,probability\n"


def test_a_title_with_a_carriage_return_is_one_cell():
    row = dict(zip(COLUMNS, ("t", "a.mp3", "x", "a\rb", "edm", "techno", 0.9), strict=True))
    (read,) = csv.DictReader(io.StringIO(in_csv([row]), newline=""))
    assert read["title"] == "a\rb"

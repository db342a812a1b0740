"""Learning curves: less to learn from, the same test tracks."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.evaluation.baselines.curve import drawn, learning_curve, thinned
from kit.evaluation.baselines.folds import Baseline, Fold, Task, of_vectors, out_of_fold, prior
from kit.evaluation.baselines.models import LOGISTIC

TRACKS, GROUPS = 60, 20
RNG = np.random.default_rng(0)
TARGETS = np.arange(TRACKS) % GROUPS % 2
TELLING = RNG.normal(size=(TRACKS, 6)) + 1.5 * TARGETS[:, None]
OF_FOLD = np.arange(TRACKS) % GROUPS // 2 % 4
TASK = Task(
    ("high", "low"),
    TARGETS,
    np.arange(TRACKS) % GROUPS,
    tuple(Fold(str(n), *map(np.flatnonzero, (n != OF_FOLD, n == OF_FOLD))) for n in range(4)),
)
BASELINE = of_vectors("telling", TELLING, LOGISTIC)


def test_shares_take_groups_away_from_the_training_part_alone():
    fold = TASK.folds[0]
    before: set[int] = set()
    for share in (0.01, 0.25, 0.5, 1.0):
        fewer = thinned(fold, TASK, share)
        groups = set(TASK.groups[fewer.train].tolist())
        assert fewer.test is fold.test
        assert before <= groups <= set(TASK.groups[fold.train].tolist())
        assert all(
            len(set(TASK.groups[fewer.train][TARGETS[fewer.train] == t])) > 1 for t in (0, 1)
        )
        before = groups
    assert before == set(TASK.groups[fold.train].tolist())


@given(st.integers(1, 40), st.integers(0, 5))
def test_clips_are_counted_by_label_and_come_from_all_groups_in_turn(clips, seed):
    fold, task = TASK.folds[1], dataclasses.replace(TASK, seed=seed)
    fewer, more = (drawn(fold, task, n) for n in (clips, clips + 1))
    assert fewer.test is fold.test
    assert set(fewer.train) <= set(more.train) <= set(fold.train)
    for label in (0, 1):
        mine = fewer.train[TARGETS[fewer.train] == label]
        there = fold.train[TARGETS[fold.train] == label]
        assert len(mine) == min(clips, len(there))
        counts = [np.sum(TASK.groups[mine] == g) for g in np.unique(TASK.groups[there])]
        if clips <= len(there):
            assert max(counts) - min(counts) <= 1


def test_a_curve_over_shares():
    steps = []
    points = learning_curve([BASELINE], TASK, progress=lambda *at: steps.append(at))
    assert steps == [(n, 4) for n in range(5)]
    assert [point.groups for point in points] == sorted(point.groups for point in points)
    whole = out_of_fold([BASELINE], TASK)[0].probabilities
    assert points[-1].accuracy == (whole.argmax(axis=1) == TARGETS).mean()
    assert points[-1].accuracy >= points[0].accuracy > 0.5
    assert learning_curve([prior()], TASK, [1.0])[0].tracks == 45


def test_the_same_tracks_are_learned_from_once():
    asked = []

    def answer(fold, task):
        asked.append(fold.name)
        return BASELINE.answer(fold, task)

    counted = Baseline("counted", answer)
    # Half of the five groups of a label are two of them, and so is the least.
    points = learning_curve([counted], TASK, [0.1, 0.2, 0.25, 1.0])
    assert len(asked) == 2 * len(TASK.folds)
    assert points[0].accuracy == points[2].accuracy
    whole = out_of_fold([counted], TASK)
    before = len(asked)
    again = learning_curve([counted], TASK, [1.0], whole=whole)
    assert len(asked) == before
    assert again[0].accuracy == points[-1].accuracy
    # Other seeds draw other forests.
    learning_curve([counted], TASK, [40], draws=2, whole=whole)
    assert len(asked) == before + len(TASK.folds)


def test_a_curve_over_clips_has_a_point_for_each_size_and_baseline():
    points = learning_curve([prior(), BASELINE], TASK, [2, 40], draws=2)
    assert [(p.clips, p.baseline) for p in points] == [
        (n, name) for n in (2, 40) for name in ("prior", BASELINE.name)
    ]
    assert {p.share for p in points} == {None}
    few, whole = points[1], points[3]
    assert (few.tracks, whole.tracks) == (4, 45)
    # With all tracks, draws have the same tracks, and logistic regression the same answers.
    assert whole.draws[0] == whole.accuracy > few.accuracy
    for p in points:
        assert len(p.draws) == 2
        assert p.accuracy == pytest.approx(np.mean(p.draws))
        assert p.low <= p.accuracy <= p.high
    assert few.draws[0] != few.draws[1]
    json.dumps([dataclasses.asdict(p) for p in points])

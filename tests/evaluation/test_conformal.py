"""Thresholds for new artists, against a library, hand-computed numbers and simulated artists."""

import numpy as np
import pytest
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from kit.evaluation.conformal import answer_threshold, set_threshold

RNG = np.random.default_rng(0)


def artists(count, rng, *, ease=2.0, spread=1.5):
    """The probability of the right one of two labels for tracks of artists who are alike.

    The number of an artist's tracks goes with how hard the artist is.
    """
    of_artist = rng.normal(ease, spread, count)
    size = 1 + rng.poisson(np.where(of_artist < ease, 2, 10))
    groups = np.repeat(np.arange(count), size)
    return expit(of_artist[groups] + rng.normal(0, 0.7, len(groups))), groups


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_sets_are_those_of_crepes_where_each_artist_has_one_track(level):
    p = softmax(RNG.normal(size=(245, 4)), axis=1)
    y = np.array([RNG.choice(4, p=row) for row in p[:45]])
    true = p[np.arange(45), y]
    theirs = ConformalClassifier()
    theirs.fit(1 - true)
    sets = theirs.predict_set(1 - p[45:], confidence=level, smoothing=False).astype(bool)
    ours = p[45:] >= set_threshold(true, np.arange(45), level)
    np.testing.assert_array_equal(ours, sets)
    assert 0.3 < ours.mean() < 0.95


def test_a_threshold_by_hand():
    # 9 artists carry 0.9 by the least probability of all, 8 do not.
    true = np.array([0.9, 0.2, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3])
    assert set_threshold(true, range(9), 0.9) == 0.2
    assert set_threshold(true[:8], range(8), 0.9) is None
    # 0.8 of 10 is the eighth.
    assert set_threshold(true, range(9), 0.8) == 0.3
    # Tracks of one artist share a weight: 0.8 of 5 is all of four artists.
    assert set_threshold(np.array([0.9, 0.1, 0.8, 0.7, 0.6]), list("aabcd"), 0.8) == 0.1
    # 0.7 of 5 is 3.5 artists: b, c, d and half of a.
    assert set_threshold(np.array([0.9, 0.1, 0.8, 0.7, 0.6]), list("aabcd"), 0.7) == 0.6


def test_sets_hold_for_new_artists_and_those_by_track_do_not():
    rng = np.random.default_rng(1)
    covered = {"group": [], "track": []}
    for _ in range(600):
        true, groups = artists(20, rng)
        thresholds = {
            "group": set_threshold(true, groups, 0.9),
            "track": set_threshold(true, np.arange(len(true)), 0.9),
        }
        new, of = artists(30, rng)
        for name, least in thresholds.items():
            by_artist = np.bincount(of, weights=new >= least) / np.bincount(of)
            covered[name].append(by_artist.mean())
    # The standard error of a mean is 0.003.
    assert 0.9 - 0.008 < np.mean(covered["group"]) < 0.96
    assert np.mean(covered["track"]) < 0.88


def test_answers_from_the_threshold_on_are_wrong_as_rarely_as_stated():
    rng = np.random.default_rng(2)
    answered = wrong = 0.0
    for _ in range(400):
        true, groups = artists(40, rng)
        least = answer_threshold(np.maximum(true, 1 - true), true > 0.5, groups, 0.1)
        new, of = artists(40, rng)
        sure = np.zeros(len(new), bool) if least is None else np.maximum(new, 1 - new) >= least
        weight = 1 / np.bincount(of)[of]
        answered += (weight * sure).sum() / 40 / 400
        wrong += (weight * sure * (new < 0.5)).sum() / 40 / 400
    assert answered > 0.5
    assert wrong / answered < 0.1
    # All answers together are wrong more often.
    true, groups = artists(4000, rng)
    assert np.average(true < 0.5, weights=1 / np.bincount(groups)[groups]) > 0.11


def test_a_threshold_of_answers_by_hand():
    p = np.linspace(0.95, 0.5, 10)
    right = np.ones(10, bool)
    # One wrong answer to come in 10 + 1 is under 0.1; in 8 + 1 it is not.
    assert answer_threshold(p, right, range(10), 0.1) == 0.5
    assert answer_threshold(p[:8], right[:8], range(8), 0.1) is None
    assert answer_threshold(p, right & (p < 0.6), range(10), 0.1) is None
    # A wrong last answer is left out: (0 + 1) of (9 + 1).
    assert answer_threshold(p, p > 0.5, range(10), 0.1) == pytest.approx(0.55)
    # Two tracks of one artist are no two artists.
    assert answer_threshold(p, right, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], 0.1) is None
    # Equal probabilities stand or fall together.
    assert answer_threshold(np.full(10, 0.7), p > 0.5, range(10), 0.1) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), min_size=1, max_size=60))
def test_a_higher_level_takes_more_labels_and_the_order_of_tracks_is_no_matter(tracks):
    true, groups = np.array([p for p, _ in tracks]), np.array([g for _, g in tracks])
    thresholds = [set_threshold(true, groups, level) for level in (0.5, 0.8, 0.9)]
    known = [one for one in thresholds if one is not None]
    assert thresholds[: len(known)] == known == sorted(known, reverse=True)
    assert len(known) >= (len(set(groups)) >= 9) * 3
    assert [set_threshold(true[::-1], groups[::-1], a) for a in (0.5, 0.8, 0.9)] == thresholds

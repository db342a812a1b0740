"""The accuracy by chance against closed forms and the definition."""

import numpy as np
import pytest

from kit.evaluation.chance import permuted


def test_answers_that_are_all_right_beat_every_permutation():
    targets, groups = np.repeat([0, 1], 30), np.repeat(np.arange(20), 3)
    found = permuted(targets, targets, groups)
    # Of 10 and 10 artists a permutation gives each artist its label with probability 1/2.
    assert found["accuracy"] == pytest.approx(0.5, abs=0.02)
    assert (found["as_good"], found["p"]) == (0, 1 / 1001)


def test_artists_count_and_not_their_tracks():
    # Four artists, of whom one has most of the tracks: 2 of the 6 permutations are as good.
    targets = np.repeat([0, 0, 1, 1], [50, 1, 1, 1])
    predicted = np.repeat([0, 1, 1, 1], [50, 1, 1, 1])
    found = permuted(predicted, targets, np.repeat(np.arange(4), [50, 1, 1, 1]), draws=6000)
    assert found["p"] == pytest.approx(1 / 2, abs=0.03)
    apart = permuted(predicted, targets, np.arange(53), draws=500)
    assert apart["p"] < 0.01


def test_labels_of_an_artist_with_two_labels_are_permuted_too():
    targets = np.tile([0, 1], 20)
    found = permuted(targets, targets, np.repeat(np.arange(20), 2))
    assert found["accuracy"] == pytest.approx(0.5, abs=0.02)


def test_the_share_of_random_answers_below_5_percent_is_5_percent():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 2)
    targets = groups % 2
    # Each artist is always answered alike, which makes tracks dependent.
    p = [
        permuted(rng.integers(0, 2, 60)[groups], targets, groups, draws=199)["p"]
        for _ in range(400)
    ]
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.07

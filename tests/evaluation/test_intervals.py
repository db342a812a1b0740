"""Intervals over groups: known cases, and coverage of the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kit.evaluation.intervals import (
    bca_interval,
    difference_interval,
    group_interval,
    permuted,
)


def test_single_tracks_give_the_logit_interval():
    right = np.arange(50) < 40
    found = group_interval(right, np.arange(50))
    error = np.sqrt(50 / 49 * 0.8 * 0.2 / 50) / (0.8 * 0.2)
    reach = stats.t.ppf(0.975, 49) * error
    odds = np.log(0.8 / 0.2)
    expected = [1 / (1 + np.exp(-(odds + s * reach))) for s in (-1, 1)]
    np.testing.assert_allclose(found["interval"], expected)
    assert found["interval_method"] == "logit t over 50 groups"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=40))
def test_an_interval_holds_the_accuracy_and_lies_within_bounds(tracks):
    right = np.array([ok for ok, _ in tracks])
    groups = np.array([group for _, group in tracks])
    low, high = group_interval(right, groups)["interval"]
    assert 0 <= low <= high <= 1
    if low < high and 0 < right.mean() < 1 and len(set(groups)) == len(groups):
        assert low <= right.mean() <= high
    order = np.argsort(groups, kind="stable")
    assert group_interval(right[order], groups[order])["interval"] == pytest.approx([low, high])


def test_tracks_of_an_artist_that_are_alike_widen_it():
    right = np.repeat(np.arange(20) % 4 > 0, 5)
    alike = group_interval(right, np.repeat(np.arange(20), 5))["interval"]
    apart = group_interval(right, np.arange(100))["interval"]
    assert alike[1] - alike[0] > 1.9 * (apart[1] - apart[0])


def test_all_right_is_as_sure_as_there_are_groups():
    found = group_interval(np.ones(60, bool), np.repeat(np.arange(6), 10))
    assert found["interval"] == pytest.approx([0.6096657, 1.0])
    assert found["interval_method"].startswith("Wilson's for 6 independent groups; fewer than 12")


def test_the_interval_covers_the_truth():
    """24 artists with 1 to 9 tracks each, whose accuracies differ by artist; the mean is 0.7."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        groups = np.repeat(np.arange(24), rng.integers(1, 10, 24))
        right = rng.random(len(groups)) < rng.beta(2.8, 1.2, 24)[groups]
        low, high = group_interval(right, groups)["interval"]
        covered.append(low <= 0.7 <= high)
    assert 0.92 < np.mean(covered) < 0.98


@pytest.mark.parametrize("artists", [12, 30])
@pytest.mark.parametrize("truth", [0.6, 0.8])
def test_the_interval_covers_the_truth_from_12_artists_on(artists, truth):
    rng = np.random.default_rng(artists)
    # A correlation of 0.2 within an artist; tracks of an artist as in a collection of one's own.
    spread = np.array([truth, 1 - truth]) * (1 / 0.2 - 1)
    covered = []
    for _ in range(1000):
        groups = np.repeat(np.arange(artists), 1 + rng.poisson(4, artists))
        right = rng.random(len(groups)) < rng.beta(*spread, artists)[groups]
        low, high = group_interval(right, groups)["interval"]
        covered.append(low <= truth <= high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_bca_is_that_of_scipy_for_the_mean_of_groups():
    values = np.random.default_rng(3).gamma(2, size=25)

    def mean(counts):
        return counts @ values / counts.sum(axis=1)

    found = bca_interval(mean, 25)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=2_000, rng=np.random.default_rng(0)
    ).confidence_interval
    np.testing.assert_allclose(found, [expected.low, expected.high], rtol=1e-9)
    assert bca_interval(mean, 1) is None
    assert bca_interval(lambda counts: np.ones(len(counts)), 25) is None


def test_a_difference_is_the_paired_bootstrap_over_groups():
    rng = np.random.default_rng(0)
    first, second = rng.random(120) < 0.8, rng.random(120) < 0.5
    found = difference_interval(first, second, np.arange(120))
    gaps = first.astype(float) - second
    expected = stats.bootstrap(
        (gaps,), np.mean, n_resamples=2_000, rng=np.random.default_rng(0)
    ).confidence_interval
    np.testing.assert_allclose(found, [expected.low, expected.high], rtol=1e-9)
    # Of groups of unequal size it is near Student's t of the ratio.
    groups = rng.integers(0, 30, 120)
    low, high = difference_interval(first, second, groups)
    size = np.bincount(groups)
    total = np.bincount(groups, gaps) - gaps.mean() * size
    reach = stats.t.ppf(0.975, 29) * np.sqrt(30 / 29 * (total**2).sum()) / 120
    np.testing.assert_allclose([low, high], gaps.mean() + np.array([-1, 1]) * reach, atol=0.03)
    assert difference_interval(first, second, np.zeros(120)) is None


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

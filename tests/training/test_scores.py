"""Scores of tracks from those of their segments, by value."""

import numpy as np
import pytest

from kit.errors import KitError
from kit.training.scores import track_log_probabilities


def log_softmax(logits):
    logits = np.asarray(logits, dtype=np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def test_a_track_is_the_geometric_mean_of_its_segments():
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    geometric = np.array([(0.9 * 0.5 * 0.2) ** (1 / 3), (0.1 * 0.5 * 0.8) ** (1 / 3)])
    tracks = track_log_probabilities([np.log(p), np.log(p[:1])])
    np.testing.assert_allclose(np.exp(tracks), [geometric / geometric.sum(), p[0]], rtol=1e-12)


def test_one_segment_is_its_own_track():
    segments = log_softmax(np.random.default_rng(0).normal(size=(7, 1, 3)))
    np.testing.assert_allclose(track_log_probabilities(list(segments)), segments[:, 0], atol=1e-12)


def test_float32_far_below_zero_stays_normalised():
    far = np.array([[0.0, -1e4, -2e4], [-1e4, 0.0, -2e4]], dtype=np.float32)
    track = track_log_probabilities([far])
    assert track.dtype == np.float64
    np.testing.assert_allclose(np.exp(track), [[0.5, 0.5, 0.0]], atol=1e-12)


def test_what_has_no_mean_is_refused():
    good = np.log([[0.5, 0.5]])
    with pytest.raises(KitError, match="number 1 has no segment"):
        track_log_probabilities([good, np.zeros((0, 2))])
    with pytest.raises(KitError, match="number 0 are not finite"):
        track_log_probabilities([np.array([[np.nan, 0.0]]), good])

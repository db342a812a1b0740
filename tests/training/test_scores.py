import numpy as np
import pytest

from kit.errors import KitError
from kit.training import track_log_probabilities


def test_a_track_is_the_geometric_mean_of_its_segments():
    tracks = [np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.2, 0.8]])]
    p = np.exp(track_log_probabilities([np.log(t) for t in tracks]))
    first = np.sqrt([0.9 * 0.4, 0.1 * 0.6])
    np.testing.assert_allclose(p, [first / first.sum(), [0.2, 0.8]])
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_what_cannot_be_scored_is_named():
    with pytest.raises(KitError, match="track number 1 have shape"):
        track_log_probabilities([np.zeros((2, 2)), np.zeros((0, 2))])
    with pytest.raises(KitError, match="track number 0 are not finite"):
        track_log_probabilities([np.array([[0.0, np.nan]])])

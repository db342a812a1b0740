import numpy as np
import pytest

from kit.errors import UsageError
from kit.features.similar import nearest, row_of_track, units_of


def test_the_nearest_have_the_highest_cosine_and_are_never_the_track_itself():
    rows = units_of(np.array([[1, 0], [2, 0.2], [0, 3], [-1, 0], [0, 0], [1, 1]], np.float32))
    found = nearest(rows, 0, 3)
    assert [at for at, _ in found] == [1, 5, 2]
    np.testing.assert_allclose([c for _, c in found], [2 / 4.04**0.5, 0.5**0.5, 0], atol=1e-6)
    assert nearest(rows, 0, 9)[-1] == (3, -1.0)
    assert len(nearest(rows, 0, 9)) == 5


def test_a_track_is_named_by_id_path_or_file_name():
    ids, paths = ["a1", "b2", "c3"], ["techno/x.mp3", "edm/x.mp3", "edm/y.mp3"]
    assert row_of_track("c3", ids, paths) == row_of_track("y.mp3", ids, paths) == 2
    assert row_of_track("edm/x.mp3", ids, paths) == 1
    with pytest.raises(UsageError, match=r"'x\.mp3' does not identify a track: 2 tracks match"):
        row_of_track("x.mp3", ids, paths)
    with pytest.raises(UsageError, match="no track with an embedding matches; give a track_id"):
        row_of_track(".mp3", ids, paths)

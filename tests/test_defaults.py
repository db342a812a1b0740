"""The demo's configuration, made to fit tracks that are shorter than its clips."""

import pytest

from kit.config import frames_of
from kit.defaults import DEMO, for_length
from kit.errors import ConfigError


@pytest.mark.parametrize("duration_s", [30.0, 31.5, 600.0])
def test_long_tracks_change_nothing(duration_s):
    assert for_length(DEMO, duration_s) == DEMO
    assert for_length(DEMO, duration_s).features.hash == DEMO.features.hash


@pytest.mark.parametrize(
    ("duration_s", "frames"), [(29.0, 1249), (10.0, 431), (3.1, 134), (2.98, 129)]
)
def test_short_tracks_fill_their_rows(duration_s, frames):
    features = for_length(DEMO, duration_s).features
    assert features.row_frames == frames
    # A rendered track has all the frames that are asked for.
    assert frames_of(round(duration_s * 22050), features.frontend) == frames
    assert features.least_frames >= DEMO.segments.frames


def test_less_than_a_segment_is_refused():
    with pytest.raises(ConfigError, match=r"duration_s is 2; .* 128 frames needs 2\.97 s"):
        for_length(DEMO, 2.0)

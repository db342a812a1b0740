"""Filling descriptors into the table never mixes two sources in a row."""

import numpy as np
import pandas as pd

from kit.catalogue import validate
from kit.descriptors import COLUMNS, SOURCE, Descriptors
from kit.descriptors.fill import UNNAMED, fill, other_sources

OURS = Descriptors(
    danceability=0.5,
    energy=0.6,
    key=9,
    loudness=-12.3,
    mode=0,
    speechiness=0.1,
    acousticness=0.2,
    instrumentalness=0.9,
    liveness=0.3,
    valence=0.4,
    tempo=128.0,
    duration_ms=30000,
)


def table(**columns):
    ids = ["a", "b", "c"]
    return validate(pd.DataFrame({"track_id": ids, "label": "x", **columns}), source="the test")


def test_empty_columns_are_filled():
    before = table(title=["A", "B", "C"])
    result = fill(before, {"a": OURS, "c": OURS})
    after = validate(result.table, source="the test")
    assert (result.filled, result.kept.total()) == (2, 0)
    assert list(after["feature_source"]) == [SOURCE, "", SOURCE]
    for name in COLUMNS:
        assert after[name][0] == getattr(OURS, name)
        assert pd.isna(after[name][1])
    assert list(after["title"]) == ["A", "B", "C"]
    assert "tempo" not in before


def test_rows_of_another_source_are_left_alone():
    before = table(
        feature_source=["spotify", "", ""],
        tempo=[120.0, 121.0, np.nan],
        energy=[0.1, np.nan, np.nan],
        duration_ms=[282188, 1, 2],
    )
    assert other_sources(before) == ["spotify", UNNAMED, ""]
    result = fill(before, {"a": OURS, "b": OURS, "c": OURS})
    after = validate(result.table, source="the test")
    assert result.kept == {"spotify": 1, UNNAMED: 1}
    assert list(after["feature_source"]) == ["spotify", "", SOURCE]
    for name in ("tempo", "energy", "duration_ms"):
        pd.testing.assert_series_equal(after[name][:2], before[name][:2])
    # Not one cell of ours stands in a row of theirs.
    assert after.loc[:1, [n for n in COLUMNS if n not in before]].isna().all(axis=None)


def test_replace_replaces_whole_rows_and_no_others():
    before = table(feature_source="spotify", tempo=[120.0, 121.0, 122.0], energy=0.1)
    result = fill(before, {"a": OURS}, replace=True)
    after = validate(result.table, source="the test")
    assert list(after["feature_source"]) == [SOURCE, "spotify", "spotify"]
    assert (after["tempo"][0], after["energy"][0]) == (OURS.tempo, OURS.energy)
    assert list(after["tempo"][1:]) == [121.0, 122.0]
    assert result.kept == {"spotify": 2}


def test_filled_twice_is_filled_once():
    once = validate(fill(table(), {"a": OURS, "b": OURS}).table, source="the test")
    twice = validate(fill(once, {"a": OURS, "b": OURS}).table, source="the test")
    pd.testing.assert_frame_equal(once, twice)


def test_what_is_not_described_any_more_is_emptied():
    once = validate(fill(table(), {"a": OURS, "b": OURS}).table, source="the test")
    after = validate(fill(once, {"b": OURS}).table, source="the test")
    assert list(after["feature_source"]) == ["", SOURCE, ""]
    assert pd.isna(after["tempo"][0])


def test_a_preview_is_not_as_long_as_its_track():
    before = table(audio_source=["spotify", "", "own"], duration_ms=[282188, 5, 7])
    after = fill(before, {"a": OURS, "b": OURS, "c": OURS}).table
    assert list(after["duration_ms"]) == [282188, 30000, 30000]
    assert list(after["tempo"]) == [128.0] * 3

"""A playlist merged into a catalogue."""

from pathlib import Path

import pandas as pd

from kit.catalogue import Catalogue, Failure, Scan
from kit.catalogue.schema import validate
from kit.ingest.spotify.columns import FEATURES
from kit.ingest.spotify.playlist import merged
from tests.ingest.spotify.server import id_of


def scan(rows, failures=(), notices=("n",)):
    table = validate(pd.DataFrame(rows), source="rows")
    return Scan(table, list(failures), Path("audio"), notices=notices)


def catalogue(rows, tmp_path):
    return Catalogue(tmp_path, scan(rows).table, tmp_path / "there", ("before",))


def failure(path, reason="removed"):
    return Failure(path, "ingest", reason, "m")


def test_rows_by_id(tmp_path):
    before = catalogue(
        [
            {"track_id": "1", "label": "a", "path": "a/1.mp3", "popularity": 5, "mine": "x"},
            {"track_id": "2", "label": "b", "path": "b/2.mp3", "popularity": 6, "mine": "y"},
        ],
        tmp_path,
    )
    found = scan(
        [
            {"track_id": "2", "label": "b", "popularity": 7, "title": "T"},
            {"track_id": "1", "label": "b", "popularity": 8, "title": "U"},
            {"track_id": "3", "label": "b", "popularity": None, "title": "V"},
        ],
        [failure("b", "local")],
    )
    whole = merged(before, [failure("a"), failure("b", "episode")], found, "b")
    assert list(whole.table["track_id"]) == ["1", "2", "3"]
    assert list(whole.table["label"]) == ["a", "b", "b"]
    assert whole.table["popularity"].tolist() == [5, 7, pd.NA]
    assert whole.table["path"].fillna("").tolist() == ["a/1.mp3", "b/2.mp3", ""]
    assert whole.table["title"].fillna("").tolist() == ["", "T", "V"]
    assert whole.table["mine"].fillna("").tolist() == ["x", "y", ""]
    assert [(f.path, f.reason) for f in whole.failures] == [
        ("a", "removed"),
        ("b", "local"),
        ("b", "two_labels"),
    ]
    assert "as 'a' and in a playlist of 'b'" in whole.failures[-1].message
    assert whole.failures[-1].track_id == "1"
    assert whole.notices == ("before", "n")
    assert whole.audio_root == tmp_path / "there"


def test_features_of_two_sources_are_not_mixed(tmp_path):
    own = {"track_id": "1", "label": "a", "feature_source": "kit-proxy-1", "tempo": 1.0}
    before = catalogue([own | {"energy": 2.0}], tmp_path)
    new = {"track_id": "1", "label": "a", "feature_source": "spotify", "tempo": 3.0}
    new |= dict.fromkeys(FEATURES) | {"tempo": 3.0}
    row_ = merged(before, [], scan([new]), "x").table.iloc[0]
    assert (row_["feature_source"], row_["tempo"]) == ("spotify", 3.0)
    assert pd.isna(row_["energy"])
    new |= dict.fromkeys(FEATURES) | {"feature_source": ""}
    row_ = merged(before, [], scan([new]), "x").table.iloc[0]
    assert (row_["feature_source"], row_["tempo"], row_["energy"]) == ("kit-proxy-1", 1.0, 2.0)


def test_the_first_playlist_is_what_there_is():
    found = scan([{"track_id": id_of(1), "label": "a"}])
    assert merged(None, [], found, "x") is found

"""Ids of playlists, rows of playlists, and audio features; no request is made."""

import os

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue.schema import validate
from kit.errors import UsageError
from kit.ingest.spotify.columns import FEATURES, LeftOut, features, is_locked, playlist_id, row
from tests.ingest.spotify.server import entry, id_of

ID = "37i9dQZF1DX6J5NfMJS675"


# --- names


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"  {ID}\n",
        f"spotify:playlist:{ID}",
        f"spotify:user:some.one:playlist:{ID}",
        f"https://open.spotify.com/playlist/{ID}",
        f"http://open.spotify.com/playlist/{ID}/",
        f"open.spotify.com/playlist/{ID}?si=abc&pi=1",
        f"https://open.spotify.com/intl-de/playlist/{ID}?si=abc",
        f"https://open.spotify.com/embed/playlist/{ID}",
        f"https://open.spotify.com/user/some.one/playlist/{ID}#top",
        f"https://play.spotify.com/playlist/{ID}",
        f"HTTPS://Open.Spotify.com//playlist/{ID}",
    ],
)
def test_a_playlist_by_any_name(text):
    assert playlist_id(text) == ID


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"https://open.spotify.com/album/{ID}", "not a playlist .its kind: album"),
        (f"spotify:track:{ID}", "its kind: track"),
        ("https://spotify.link/abcdef", "short link"),
        (f"https://evil.example/playlist/{ID}", "not a playlist on Spotify"),
        (f"https://open.spotify.com.evil.example/playlist/{ID}", "not a playlist"),
        (f"https://open.spotify.com/playlist/{ID}/../x", "not a playlist"),
        (f"file://open.spotify.com/playlist/{ID}", "not a playlist"),
        ("spotify:playlist:../../../../etc/passwd", "not a playlist"),
        (f"{ID}x", "not a playlist"),
        (ID[:-1] + "é", "not a playlist"),
        (ID[:-1] + "٣", "not a playlist"),
        ("", "not a playlist"),
        ("https://[", "not a playlist"),
        ("x" * 10000, "not a playlist"),
    ],
)
def test_what_is_no_playlist(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        playlist_id(text)
    assert len(str(caught.value)) < 400


@given(st.text())
def test_no_text_comes_through_that_could_leave_a_folder(text):
    try:
        found = playlist_id(text)
    except UsageError:
        return
    assert len(found) == 22
    assert found.isascii()
    assert found.isalnum()


# --- rows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(entry(1)["track"])), JSON, st.sampled_from(["item", "track"]))
def test_a_row_with_anything_in_a_field_is_a_row_of_a_catalogue_or_left_out(field, value, name):
    item = {"added_at": value, name: entry(1)["track"] | {field: value}, "is_local": False}
    found = row(item)
    is_locked(item)
    if isinstance(found, LeftOut):
        assert found.reason in ("local", "episode", "malformed", "removed")
        assert "\n" not in found.message
    else:
        table = pd.DataFrame([found | {"label": "x"}])
        again = validate(table, source="a row")
        again.to_csv(os.devnull, index=False)


@given(JSON)
def test_anything_in_the_place_of_a_row(value):
    assert isinstance(row(value), LeftOut)
    is_locked(value)
    assert features(value) is None


@given(st.dictionaries(st.sampled_from(FEATURES), JSON))
def test_anything_in_the_place_of_features(values):
    found = features(values)
    if found is not None:
        rows = [found | {"track_id": "x", "label": "y"}]
        validate(pd.DataFrame(rows), source="features")


def test_both_names_of_the_track():
    old = entry(5)
    new = {"item": old["track"], "added_at": old["added_at"], "track": True}
    assert row(old) == row(new)
    assert isinstance(row(old), dict)


def test_a_relinked_track_has_the_id_that_the_market_plays():
    found = row(entry(1, linked_from={"id": id_of(2), "type": "track"}, is_playable=True))
    assert found["track_id"] == id_of(1)


def test_text_from_outside_is_one_line():
    found = row(entry(1, name=" a\r\n b\x1b[31m\ud800", artists=[{"name": "A; B"}, {"name": "C"}]))
    assert found["title"] == "a b [31m?"
    assert found["artists"] == "A, B; C"
    assert found["artist_ids"] == ""


def test_no_key_is_a_key_of_its_own():
    assert features({"key": -1, "tempo": 120})["key"] == -1
    assert features({"key": 1.5, "tempo": 120})["key"] is None


@pytest.mark.parametrize(
    "url", ["http://p.scdn.co/x", "file:///etc/passwd", "https://a b", "https://é", 5, None]
)
def test_a_preview_that_is_not_https_is_none(url):
    assert row(entry(1, preview_url=url))["preview_url"] == ""


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("DEA120000001", "DEA120000001"),
        ("de-a12-00-00001", "DEA120000001"),
        (" ISRC: DE A12 00 00001\n", "DEA120000001"),
        ("DEA12000000١", ""),
        ("DEA1200000012", ""),
        ("", ""),
        (5, ""),
        (None, ""),
    ],
)
def test_an_isrc_is_read_as_that_of_a_file(given, code):
    assert row(entry(1, external_ids={"isrc": given}))["isrc"] == code

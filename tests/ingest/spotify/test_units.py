"""What asks nobody: names of playlists, rows, waits, files."""

import json
import os
import stat
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import Catalogue, Failure, Scan
from kit.catalogue.schema import validate
from kit.errors import UsageError
from kit.ingest.spotify import merged, playlist_id
from kit.ingest.spotify.rows import FEATURES, LeftOut, features, is_locked, row
from kit.ingest.spotify.sign_in import TokenFile, token_folder
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
        (f"https://evil.example/playlist/{ID}", "not a playlist of Spotify"),
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


# --- tokens

TOKEN = {"access_token": "a", "refresh_token": "r", "expires_at": 2_000_000_000, "scope": "s"}


def cache(folder, kind="user", client_id="id", accounts="https://a"):
    return TokenFile(folder, kind=kind, client_id=client_id, accounts=accounts)


def test_a_token_is_for_no_one_else(tmp_path):
    folder = token_folder({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert folder == tmp_path / "config/genre-kit"
    folder.mkdir(parents=True, mode=0o777)
    folder.chmod(0o777)
    path = cache(folder).path
    before = os.umask(0)
    try:
        for _ in range(2):
            cache(folder).save_token_to_cache(TOKEN)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert cache(folder).get_cached_token() == TOKEN
            # As an older version, or a copy, may have left it.
            path.chmod(0o644)
            folder.chmod(0o755)
    finally:
        os.umask(before)
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("base", ["", "relative/path"])
def test_where_the_tokens_are_by_default(base, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    want = tmp_path / ".config/genre-kit"
    assert token_folder({"XDG_CONFIG_HOME": base}) == want
    assert token_folder({}) == want


def test_a_token_is_shown_to_no_other_server_app_or_way_to_sign_in(tmp_path):
    cache(tmp_path).save_token_to_cache(TOKEN)
    for other in ({"kind": "app"}, {"client_id": "x"}, {"accounts": "http://127.0.0.1:1"}):
        assert cache(tmp_path, **other).get_cached_token() is None
        cache(tmp_path, **other).save_token_to_cache(TOKEN | {"access_token": str(other)})
    assert cache(tmp_path).get_cached_token() == TOKEN
    cache(tmp_path).forget()
    assert cache(tmp_path).get_cached_token() is None
    assert cache(tmp_path, kind="app").get_cached_token() is not None


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "5", "[" * 100_000, "\udcff"]
    + [json.dumps(TOKEN | {k: None}) for k in TOKEN if k != "scope"],
)
def test_a_file_of_tokens_with_anything_in_it(tmp_path, content):
    cache(tmp_path).path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert cache(tmp_path).get_cached_token() is None
    cache(tmp_path).save_token_to_cache(TOKEN)
    assert cache(tmp_path).get_cached_token() == TOKEN


def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(tmp_path):
    (tmp_path / "file").write_text("")
    tokens = cache(tmp_path / "file")
    tokens.save_token_to_cache(TOKEN)
    assert tokens.get_cached_token() == TOKEN


# --- two playlists in one catalogue


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
    assert "as 'a' and is in a playlist of 'b'" in whole.failures[-1].message
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

"""What asks nobody: names of playlists, rows, waits, files."""

import json
import os
import stat
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import Catalogue, Failure, Scan
from kit.catalogue.schema import validate
from kit.errors import KitError, UsageError
from kit.ingest.spotify import merged, playlist_id
from kit.ingest.spotify.faults import FaultError
from kit.ingest.spotify.kept import MAX_AGE_S, Kept
from kit.ingest.spotify.retry import Clock, Patience, TooLongError, patiently
from kit.ingest.spotify.rows import FEATURES, LeftOut, features, is_locked, row
from kit.ingest.spotify.token_cache import TokenCache, signed_in_with, token_file
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
        (f"https://evil.example/playlist/{ID}", "no playlist of Spotify"),
        (f"https://open.spotify.com.evil.example/playlist/{ID}", "no playlist"),
        (f"https://open.spotify.com/playlist/{ID}/../x", "no playlist"),
        (f"file://open.spotify.com/playlist/{ID}", "no playlist"),
        ("spotify:playlist:../../../../etc/passwd", "no playlist"),
        (f"{ID}x", "no playlist"),
        (ID[:-1] + "é", "no playlist"),
        (ID[:-1] + "٣", "no playlist"),
        ("", "no playlist"),
        ("https://[", "no playlist"),
        ("x" * 10000, "no playlist"),
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


# --- waits


def attempts(faults, patience=Patience(), now=1_800_000_000.0):
    """What was slept between the attempts, as sums; and how it ended."""
    left, slept = list(faults), []

    def attempt():
        slept.append(0.0)
        if left:
            raise left.pop(0)
        return "there"

    def sleep(seconds):
        slept[-1] += seconds

    clock = Clock(sleep, lambda: now, lambda low, high: high)
    try:
        end = patiently(attempt, patience, clock, lambda *_: None)
    except (FaultError, TooLongError) as error:
        end = error
    return slept, end


def test_waits_grow_and_end():
    fault = FaultError(status=502)
    slept, end = attempts([fault] * 3)
    assert (slept, end) == ([0.5, 1, 2, 0], "there")
    slept, end = attempts([fault] * 9, Patience(tries=5, longest_s=3.0))
    assert (slept, end) == ([0.5, 1, 2, 3, 0], fault)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418])
def test_what_does_not_pass_is_not_tried_again(status):
    fault = FaultError(status=status)
    assert attempts([fault]) == ([0], fault)


def test_the_certificate_is_not_tried_again():
    fault = FaultError(cause="certificate")
    assert attempts([fault]) == ([0], fault)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("", 1),
        ("soon", 1),
        ("-5", 1),
        (format_datetime(datetime.fromtimestamp(1_800_000_030, UTC), usegmt=True), 30),
        (format_datetime(datetime.fromtimestamp(1_700_000_000, UTC), usegmt=True), 1),
    ],
)
def test_what_a_rate_limit_asks_for(header, seconds):
    slept, end = attempts([FaultError(status=429, retry_after=header)])
    assert (slept, end) == ([seconds, 0], "there")


def test_an_overloaded_server_that_says_for_how_long():
    assert attempts([FaultError(status=503, retry_after="9")]) == ([9, 0], "there")


def test_rate_limits_do_not_use_up_the_tries():
    faults = [FaultError(status=429, retry_after="2")] * 20
    assert attempts(faults)[1] == "there"


@pytest.mark.parametrize("header", ["901", "999999999", "9" * 400])
def test_no_patience_for_hours(header):
    slept, end = attempts([FaultError(status=429, retry_after=header)] * 99)
    if len(header) > 9:
        # Not a number of seconds that anybody means.
        assert sum(slept) <= 900
    else:
        assert slept == [0]
        assert end.seconds == float(header)


def test_jitter_is_between_a_half_and_the_whole():
    bounds = []

    def uniform(low, high):
        bounds.append((low, high))
        return low

    left = [FaultError(status=500)]

    def attempt():
        if left:
            raise left.pop()

    slept = []
    patiently(attempt, Patience(), Clock(slept.append, lambda: 0, uniform), lambda *_: None)
    assert bounds == [(0.5, 1.0)]
    assert slept == [0.25]


# --- kept answers


def test_answers_are_kept_for_a_day(tmp_path):
    def kept(at):
        return Kept(tmp_path, "x", now=lambda: at)

    first = kept(1000.0)
    assert list(tmp_path.iterdir()) == []
    first.put("a", {"title": "\ud800 ä"})
    assert kept(1000.0 + MAX_AGE_S).get("a") == {"title": "\ud800 ä"}
    assert kept(1001.0 + MAX_AGE_S).get("a") is None
    assert list(tmp_path.iterdir()) == []
    first = kept(1000.0)
    first.put("a", 1)
    # A clock that was set back.
    assert kept(999.0).get("a") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_not_whole_is_not_there(tmp_path, content):
    kept = Kept(tmp_path, "x")
    kept.put("a", 1)
    (kept.folder / "a.json").write_bytes(content)
    assert Kept(tmp_path, "x").get("a") is None


def test_one_playlist_does_not_drop_the_answers_of_another(tmp_path):
    one, two = Kept(tmp_path, "1"), Kept(tmp_path, "2")
    one.put("a", 1)
    two.put("a", 2)
    one.clear()
    assert Kept(tmp_path, "2").get("a") == 2
    two.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(tmp_path, full_disk):
    kept = Kept(tmp_path, "x")
    with full_disk(1000), pytest.raises(KitError, match="free some space"):
        kept.put("a", "x" * 5000)


# --- tokens

TOKEN = {"access_token": "a", "refresh_token": "r", "expires_at": 2_000_000_000, "scope": "s"}


def cache(path, kind="user", client_id="id", accounts="https://a"):
    return TokenCache(path, kind=kind, client_id=client_id, accounts=accounts)


def test_a_token_is_for_no_one_else(tmp_path):
    path = token_file({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert path == tmp_path / "config/genre-kit/spotify-token.json"
    path.parent.mkdir(parents=True, mode=0o777)
    path.parent.chmod(0o777)
    path.write_text("{}")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        cache(path).save_token_to_cache(TOKEN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert cache(path).get_cached_token() == TOKEN


@pytest.mark.parametrize("base", ["", "relative/path"])
def test_where_the_tokens_are_by_default(base, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    want = tmp_path / ".config/genre-kit/spotify-token.json"
    assert token_file({"XDG_CONFIG_HOME": base}) == want
    assert token_file({}) == want


def test_a_token_is_shown_to_no_other_server_app_or_way_to_sign_in(tmp_path):
    path = tmp_path / "t.json"
    cache(path).save_token_to_cache(TOKEN)
    for other in ({"kind": "app"}, {"client_id": "x"}, {"accounts": "http://127.0.0.1:1"}):
        assert cache(path, **other).get_cached_token() is None
        cache(path, **other).save_token_to_cache(TOKEN | {"access_token": str(other)})
    assert cache(path).get_cached_token() == TOKEN
    cache(path).forget()
    assert cache(path).get_cached_token() is None
    assert cache(path, kind="app").get_cached_token() is not None


def test_the_app_of_a_sign_in_is_known_by_it(tmp_path):
    path = tmp_path / "t.json"
    assert signed_in_with(path, "https://a") == ""
    cache(path).save_token_to_cache(TOKEN)
    cache(path, kind="app", client_id="x").save_token_to_cache(TOKEN)
    assert signed_in_with(path, "https://a") == "id"
    assert signed_in_with(path, "https://b") == ""
    cache(path, client_id="y").save_token_to_cache(TOKEN)
    assert signed_in_with(path, "https://a") == ""


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"tokens": []}', '{"tokens": {"user id https://a": 5}}', "\udcff"]
    + [
        json.dumps({"tokens": {"user id https://a": TOKEN | {k: None}}})
        for k in TOKEN
        if k != "scope"
    ],
)
def test_a_file_of_tokens_with_anything_in_it(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert cache(path).get_cached_token() is None
    cache(path).save_token_to_cache(TOKEN)
    assert cache(path).get_cached_token() == TOKEN


def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(tmp_path):
    (tmp_path / "file").write_text("")
    tokens = cache(tmp_path / "file/t.json")
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

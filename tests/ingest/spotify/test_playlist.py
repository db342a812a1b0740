"""Whole playlists from a real server."""

import math
from collections import Counter

import pandas as pd
import pytest

from kit.catalogue.schema import validate
from kit.errors import KitError
from kit.ingest.retry import Patience
from kit.ingest.spotify.playlist import NOTICE, playlist
from tests.ingest.spotify.server import (
    cut,
    entry,
    episode,
    error,
    features,
    id_of,
    local,
    removed,
)

LIST = "37i9dQZF1DX6J5NfMJS675"
URL = f"https://open.spotify.com/playlist/{LIST}?si=0123456789abcdef"
NUMBERS = range(1, 124)
ROWS = [entry(n) for n in NUMBERS]
FEATURES = {id_of(n): features(n) for n in NUMBERS}


def expected(numbers, with_features=True):
    """The table that the rows stand for, written down once more."""
    rows = []
    for n in numbers:
        row = {
            "track_id": id_of(n),
            "label": "techno",
            "artists": f"Ärtist {n // 3}",
            "title": f"Tïtel {n}",
            "album": f"Album {n // 3}",
            "release_date": f"{1990 + n % 30}-05-01",
            "preview_url": f"https://p.scdn.co/mp3-preview/{n:040x}?cid=x",
            "artist_ids": id_of(n // 3, "artist"),
            "isrc": f"DEA12{n:07d}",
            "explicit": int(n % 7 == 0),
            "added_at": f"2020-01-{n % 28 + 1:02d}T12:00:00Z",
            "feature_source": "spotify" if with_features else "",
            "popularity": n % 101,
            "danceability": n % 100 / 100,
            "energy": 1 - n % 100 / 100,
            "loudness": -5.0 - n % 100 / 100,
            "speechiness": 0.05,
            "acousticness": 1e-06 * n,
            "instrumentalness": 0.9,
            "liveness": 0.1,
            "valence": n % 100 / 200,
            "tempo": 120.0 + n % 30,
            "key": n % 12,
            "mode": n % 2,
        }
        if not with_features:
            row |= dict.fromkeys(list(row)[13:])
        rows.append(row | {"duration_ms": 300000 + n})
    return validate(pd.DataFrame(rows), source="expected")


def same(found, numbers, with_features=True):
    want = expected(numbers, with_features)
    pd.testing.assert_frame_equal(found.table[list(want)], want)
    assert set(found.table) == set(want)
    return True


@pytest.mark.parametrize("shape", ["items", "tracks"])
def test_an_app_that_may(serve, ask, tmp_path, shape):
    server = serve({LIST: ROWS}, features=FEATURES, shape=shape)
    seen = []
    found = playlist(
        URL, "techno", tmp_path / "d", client=ask(server), progress=lambda *p: seen.append(p)
    )
    assert same(found, NUMBERS)
    assert found.failures == []
    assert found.warnings == ()
    assert found.notices == (NOTICE,)
    assert "III.14" in NOTICE
    assert found.audio_root == tmp_path / "d/audio"
    assert seen == [(50, 123, "rows"), (100, 123, "rows"), (123, 123, "rows")] + [
        (100, 123, "audio features"),
        (123, 123, "audio features"),
    ]
    assert set(server.pages().values()) == {1}
    assert len(server.pages()) == 5
    # The address that this app does not have is tried once, not for every page.
    assert sum("/items" in r for r in server.requests) == (3 if shape == "items" else 1)


def test_a_server_with_smaller_pages(serve, ask, tmp_path):
    server = serve({LIST: ROWS}, features=FEATURES, page=20)
    assert same(playlist(LIST, "techno", tmp_path, client=ask(server)), NUMBERS)
    assert len(server.pages()) == 7 + 2


def test_a_new_app_gets_no_features_and_is_told_once(serve, ask, tmp_path):
    server = serve({LIST: ROWS}, features=None)
    found = playlist(LIST, "techno", tmp_path, client=ask(server))
    assert same(found, NUMBERS, with_features=False)
    assert len(found.warnings) == 1
    assert "403 at /audio-features" in found.warnings[0]
    assert "2024-11-27" in found.warnings[0]
    assert sum("audio-features" in r for r in server.requests) == 1


def test_every_kind_of_row_is_counted(serve, ask, tmp_path):
    rows = [
        entry(1),
        local(),
        entry(2, is_playable=False),
        episode(),
        removed(),
        entry(1),
        entry(3, available_markets=[]),
        entry(4, id="../../../etc/passwd/..."),
        entry(5, id=None),
        entry(6, restrictions={"reason": "market"}),
        entry(7, restrictions={"reason": "explicit"}, available_markets=["DE"]),
        "no object",
        None,
        {},
        entry(2),
    ]
    server = serve({LIST: rows}, features=FEATURES | {id_of(6): None})
    found = playlist(f"spotify:playlist:{LIST}", "techno", tmp_path, client=ask(server))
    assert list(found.table["track_id"]) == [id_of(n) for n in (1, 2, 3, 6, 7)]
    assert Counter(f.reason for f in found.failures) == {
        "local": 1,
        "episode": 1,
        "removed": 2,
        "malformed": 4,
        "duplicate": 2,
    }
    assert {f.stage for f in found.failures} == {"ingest"}
    assert {f.path for f in found.failures} == {f"spotify:playlist:{LIST}"}
    assert found.failures[0].message.startswith(f"row 2 of playlist {LIST} is a local file of")
    assert [f.track_id for f in found.failures if f.track_id] == [id_of(1), id_of(2)]
    assert found.warnings == (
        "1 tracks have no audio features on Spotify; the columns stay empty",
        "3 tracks may not be played (where the account is, or anywhere); they are kept, without a "
        "preview",
    )
    assert list(found.table["feature_source"]) == ["spotify"] * 3 + ["", "spotify"]
    assert math.isnan(found.table["tempo"][3])


def test_the_market_is_asked_for(serve, ask, tmp_path):
    server = serve({LIST: ROWS[:1]}, features=FEATURES)
    playlist(LIST, "techno", tmp_path, client=ask(server), market="DE")
    assert any("market=DE" in r for r in server.requests)


def test_a_rate_limit_is_waited_for(serve, ask, tmp_path):
    def fault(request, number):
        return (
            error(429, "API rate limit exceeded", **{"Retry-After": "3"}) if number == 3 else None
        )

    server = serve({LIST: ROWS}, features=FEATURES, fault=fault)
    seen = []
    found = playlist(LIST, "techno", tmp_path, client=ask(server, wait=lambda *w: seen.append(w)))
    assert same(found, NUMBERS)
    assert seen == [(3, "asked to wait")]
    assert set(server.pages().values()) == {1}


@pytest.mark.parametrize("kind", ["502", "cut"])
def test_every_third_answer_fails(serve, ask, tmp_path, pauses, kind):
    def fault(request, number):
        if number % 3:
            return None
        return cut() if kind == "cut" else error(502, "Bad gateway")

    server = serve({LIST: ROWS}, features=FEATURES, fault=fault)
    found = playlist(LIST, "techno", tmp_path, client=ask(server))
    assert same(found, NUMBERS)
    assert set(server.pages().values()) == {1}


def test_an_answer_that_is_cut_in_the_middle_is_asked_for_again(serve, ask, tmp_path):
    import flask

    def fault(request, number):
        if number != 3:
            return None
        return flask.Response(
            b'{"total": 123, "items": [', 206, {"Content-Length": "9000"}, "application/json"
        )

    server = serve({LIST: ROWS}, features=FEATURES, fault=fault)
    found = playlist(LIST, "techno", tmp_path, client=ask(server))
    assert same(found, NUMBERS)
    assert len(server.requests) == 1 + 3 + 2 + 1


def test_a_token_that_is_taken_back_is_renewed(serve, ask, tmp_path):
    server = serve({LIST: ROWS}, features=FEATURES)

    def fault(request, number):
        if number == 3:
            server.revoke()

    server.fault = fault
    found = playlist(LIST, "techno", tmp_path, client=ask(server))
    assert same(found, NUMBERS)
    assert sum("/api/token" in r for r in server.requests) == 2


def test_a_playlist_that_changes_is_not_taken(serve, ask, tmp_path):
    rows = ROWS[:100]
    server = serve({LIST: rows}, features=FEATURES)

    def fault(request, number):
        if number == 3:
            rows[:0] = ROWS[100:110]

    server.fault = fault
    client = ask(server)
    with pytest.raises(KitError, match="changes while it is read"):
        playlist(LIST, "techno", tmp_path, client=client)
    # Once nobody edits it, it is read as it has become.
    found = playlist(LIST, "techno", tmp_path, client=client)
    assert same(found, [*range(101, 111), *range(1, 101)])


def test_nothing_is_tried_for_ever(serve, ask, tmp_path, pauses):
    server = serve({LIST: ROWS}, fault=lambda request, number: error(503, "Unavailable"))
    with pytest.raises(Exception, match="fails again and again") as caught:
        playlist(LIST, "techno", tmp_path, client=ask(server, patience=Patience(4)))
    assert "503" in str(caught.value)
    assert len(server.requests) == 4
    assert len(pauses.slept) >= 2

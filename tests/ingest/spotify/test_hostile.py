"""A server that means harm: the right table or the right sentence, no hang, bounded memory."""

import json
import threading

import flask
import pytest

from kit.errors import KitError
from kit.ingest.spotify.client import connect
from kit.ingest.spotify.playlist import playlist
from tests.ingest.spotify.server import cut, entry, features, id_of

LIST = "37i9dQZF1DX6J5NfMJS675"
FEATURES = {id_of(n): features(n) for n in range(200)}


def sentence(client, folder):
    with pytest.raises(KitError) as caught:
        playlist(LIST, "techno", folder / "d", client=client)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def answered(body, kind="application/json", status=200, **headers):
    """A fault: this in place of every answer of the Web API."""

    def fault(request, number):
        if "/v1/" in request.path:
            return Raw(body, status, headers, content_type=kind)
        return None

    return fault


class Raw(flask.Response):
    """Headers as they are, however wrong."""

    def get_wsgi_headers(self, environ):
        return self.headers


def page(items, total, **more):
    return json.dumps({"items": items, "total": total, "limit": 50, "offset": 0} | more)


def outside(folder):
    """Every file of the test's folder but those of its own catalogue and the tokens."""
    return [
        p
        for p in folder.rglob("*")
        if p.is_file() and not p.is_relative_to(folder / "d") and p.parent.name != "genre-kit"
    ]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://169.254.169.254/latest/meta-data", 302),
        ("file:///etc/passwd", 301),
        ("/v1/playlists/x/items", 307),
        ("https://[", 308),
        ("", 302),
    ],
)
def test_a_redirect_is_not_followed(serve, ask, tmp_path, url, status):
    server = serve({LIST: []}, fault=answered(b"", status=status, Location=url))
    assert "redirects kit elsewhere" in sentence(ask(server), tmp_path)
    assert len(server.requests) == 2


def test_a_redirected_sign_in_takes_the_secret_nowhere(serve, ask, tmp_path):
    other = serve({})

    def fault(request, number):
        return flask.redirect(f"{other.url}/api/token", 307)

    server = serve({LIST: []}, fault=fault)
    assert "redirects kit elsewhere" in sentence(ask(server), tmp_path)
    assert other.requests == []


def test_links_to_the_next_page_are_not_followed(serve, ask, tmp_path):
    other = serve({LIST: []})
    rows = [entry(n) for n in range(60)]

    def fault(request, number):
        if "/items" in request.path:
            at = request.args.get("offset", 0, int)
            items = [{"item": r["track"]} for r in rows[at : at + 50]]
            url = f"{other.url}/v1/playlists/{LIST}/items"
            return flask.Response(page(items, 60, next=url), content_type="application/json")
        return None

    server = serve({}, features=FEATURES, fault=fault)
    found = playlist(LIST, "techno", tmp_path / "d", client=ask(server))
    assert list(found.table["track_id"]) == [id_of(n) for n in range(60)]
    assert other.requests == []


def test_pages_without_an_end(serve, ask, tmp_path):
    items = [{"item": entry(n)["track"]} for n in range(50)]
    server = serve({}, fault=answered(page(items, 10**9, next="https://api.spotify.com/x")))
    assert "Spotify reports 1000000000 rows" in sentence(ask(server), tmp_path)
    assert len(server.requests) == 2


def test_an_end_that_moves_on(serve, ask, tmp_path):
    def fault(request, number):
        if "/v1/" in request.path:
            at = request.args.get("offset", 0, int)
            items = [{"item": entry(n)["track"]} for n in range(at, at + 50)]
            return flask.Response(page(items, at + 100), content_type="application/json")
        return None

    server = serve({}, fault=fault)
    assert "changes while it is read" in sentence(ask(server), tmp_path)
    assert len(server.requests) == 3


def test_the_same_page_for_ever_within_bounds(serve, ask, tmp_path):
    """Rows that only repeat are duplicates, and come to an end."""
    items = [{"item": entry(n)["track"]} for n in range(50)]

    def fault(request, number):
        if "/items" in request.path:
            return flask.Response(page(items, 150), content_type="application/json")
        return None

    found = playlist(
        LIST, "x", tmp_path / "d", client=ask(serve({}, features=FEATURES, fault=fault))
    )
    assert len(found.table) == 50
    assert [f.reason for f in found.failures] == ["duplicate"] * 100


def test_empty_pages(serve, ask, tmp_path):
    assert "after row 0 is empty" in sentence(
        ask(serve({}, fault=answered(page([], 10)))), tmp_path
    )


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "5",
        '"text"',
        "{}",
        page([], -1),
        page([], "10"),
        page([], True),
        page([], None),
        page([], 1.5),
        page({}, 1),
        page([None] * 51, 100),
        "{",
        "",
        "[" * 200_000,
        '{"total": ' + "9" * 5000 + "}",
    ],
)
def test_json_that_is_no_page(serve, ask, tmp_path, body):
    text = sentence(ask(serve({}, fault=answered(body))), tmp_path)
    assert "not as documented" in text or "is not as documented" in text


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip, gzip, gzip, gzip, gzip, gzip", "br"])
def test_what_is_not_packed_as_it_says(serve, ask, tmp_path, encoding):
    fault = answered(b"\xffno", **{"Content-Encoding": encoding})
    assert sentence(ask(serve({}, fault=fault)), tmp_path)


def test_a_server_that_says_nothing(serve, ask, tmp_path):
    done = threading.Event()

    def fault(request, number):
        if "/v1/" in request.path:
            done.wait(10)
            return cut()
        return None

    client = ask(serve({}, fault=fault), timeout_s=(1.0, 0.1))
    text = sentence(client, tmp_path)
    done.set()
    assert "cannot be reached" in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"total": 1, "items": [\xff\xfe]}', "application/json"),
        (b"<html>Sign in to the hotel</html>", "text/html; charset=utf-8"),
        (b"\x00" * 100, "audio/mpeg"),
    ],
)
def test_what_is_no_json(serve, ask, tmp_path, body, kind):
    words = "not as documented; check the network for a page to sign in at"
    assert words in sentence(ask(serve({}, fault=answered(body, kind))), tmp_path)


def test_ids_that_would_leave_the_folder(serve, ask, tmp_path):
    bad = [
        "../../../etc/cron.d/evil",
        "..",
        "/etc/passwd",
        "a/b",
        "x\x00",
        "C:\\x",
        "%2e%2e%2f",
        "",
    ]
    rows = [entry(n, id=id_) for n, id_ in enumerate(bad)] + [entry(9, id=["x"]), entry(10)]
    server = serve({LIST: rows}, features=FEATURES)
    found = playlist(LIST, "techno", tmp_path / "d", client=ask(server))
    assert list(found.table["track_id"]) == [id_of(10)]
    assert [f.reason for f in found.failures] == ["malformed"] * 9
    assert outside(tmp_path) == []
    assert all(f.track_id == "" for f in found.failures)


@pytest.mark.parametrize(
    "answer",
    [
        {"audio_features": "x"},
        {"audio_features": [5, None, [], {"id": ["x"]}, {"id": "../x", "tempo": 1}]},
        {"audio_features": [{"id": id_of(999), "tempo": 1}]},
        {"audio_features": [features(1)] * 101},
        {},
    ],
)
def test_features_that_are_none(serve, ask, tmp_path, answer):
    def fault(request, number):
        if "audio-features" in request.path:
            return flask.Response(json.dumps(answer), content_type="application/json")
        return None

    found = playlist(
        LIST, "techno", tmp_path / "d", client=ask(serve({LIST: [entry(1)]}, fault=fault))
    )
    assert found.table["feature_source"].tolist() == [""]
    assert found.table["tempo"].isna().all()
    assert "1 tracks have no audio features" in found.warnings[0]


def test_features_with_numbers_that_are_none(serve, ask, tmp_path):
    odd = features(1) | {"tempo": "fast", "energy": 1e300, "key": "C", "mode": 10**400}
    server = serve({LIST: [entry(1)]}, features={id_of(1): odd})
    found = playlist(LIST, "techno", tmp_path / "d", client=ask(server)).table.iloc[0]
    assert found["feature_source"] == "spotify"
    assert found[["tempo", "energy", "key", "mode"]].isna().all()
    assert found["valence"] == 0.005


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "5",
        "{}",
        '{"access_token": "x"}',
        '{"access_token": "x", "expires_in": "soon"}',
        '{"access_token": null, "expires_in": 5}',
        '{"access_token": "a\\nHost: evil", "expires_in": 3600}',
        '{"access_token": "\\ud800", "expires_in": 3600}',
        "{",
    ],
)
def test_a_token_that_is_none(serve, ask, tmp_path, answer):
    def fault(request, number):
        if request.path == "/api/token":
            return flask.Response(answer, content_type="application/json")
        return None

    assert sentence(ask(serve({LIST: [entry(1)]}, fault=fault)), tmp_path)


def test_what_netrc_says_does_not_take_the_place_of_the_token(serve, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve({LIST: [entry(1)]}, features=FEATURES)
    environment = server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "c")}
    client = connect(environment=environment)
    assert len(playlist(LIST, "techno", tmp_path / "d", client=client).table) == 1
    client.close()

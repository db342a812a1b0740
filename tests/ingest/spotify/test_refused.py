"""Each refusal in its own sentence."""

import pytest

from kit.errors import KitError, UsageError
from kit.ingest.retry import Patience
from kit.ingest.spotify.client import connect
from kit.ingest.spotify.errors import OAUTH_CODES, FaultError, RefusedError, refusal
from kit.ingest.spotify.playlist import playlist
from tests.ingest.spotify.server import SECRET, entry, error

LIST = "37i9dQZF1DX6J5NfMJS675"
OTHER = "4uLU6hMCjMI75M1A2tKUQC"


def sentence(client, folder, source=LIST):
    with pytest.raises(KitError) as caught:
        playlist(source, "techno", folder, client=client)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    # Nothing of spotipy's error is left to be shown by a traceback.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return text


@pytest.mark.parametrize("shape", ["items", "tracks"])
def test_a_playlist_that_is_not_there(serve, ask, tmp_path, shape):
    server = serve({LIST: [entry(1)]}, shape=shape)
    text = sentence(ask(server), tmp_path / "d", OTHER)
    assert text.startswith(f"Spotify knows no playlist {OTHER} (404 at /playlists/{{id}}/items)")
    assert "--private" in text
    assert "2024-11-27" in text
    assert not (tmp_path / "d").exists()


def test_a_private_playlist_looks_like_none(serve, ask, tmp_path):
    server = serve({LIST: [entry(1)]}, private=[LIST])
    assert "add --private if it is a private one of yours" in sentence(ask(server), tmp_path)


def test_a_playlist_of_someone_else(serve, ask, tmp_path):
    server = serve({LIST: [entry(1)]}, foreign=[LIST])
    text = sentence(ask(server), tmp_path)
    assert f"may not read playlist {LIST} (403 at /playlists/{{id}}/items)" in text
    assert "2026-02-11" in text
    assert "add --private and sign in" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "invalid (400 at"),
        (401, "does not accept the app's token (401 at"),
        (500, "fails again and again (500 at"),
        (418, "does not document (418 at"),
    ],
)
def test_a_status(serve, ask, tmp_path, status, words):
    def fault(request, number):
        return error(status, "no") if "/v1/" in request.path else None

    assert words in sentence(ask(serve({LIST: []}, fault=fault)), tmp_path)


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"error": "text"}', "null", '"x"'])
def test_the_status_counts_whatever_the_body_is(serve, ask, tmp_path, body):
    import flask

    def fault(request, number):
        return flask.Response(body, 403) if "/v1/" in request.path else None

    assert "may not read playlist" in sentence(ask(serve({LIST: []}, fault=fault)), tmp_path)


def test_a_rate_limit_of_a_day_is_not_waited_for(serve, ask, tmp_path, pauses):
    def fault(request, number):
        if "/v1/" in request.path:
            return error(429, "limit", **{"Retry-After": "82800"})
        return None

    text = sentence(ask(serve({LIST: []}, fault=fault)), tmp_path)
    assert "asks to wait 23 h" in text
    assert "no more than 15 min" in text
    assert pauses.slept == []


def test_a_rate_limit_that_never_ends(serve, ask, tmp_path, pauses):
    def fault(request, number):
        if "/v1/" in request.path:
            return error(429, "limit", **{"Retry-After": "0"})
        return None

    server = serve({LIST: []}, fault=fault)
    assert "429" in sentence(ask(server, patience=Patience(5)), tmp_path)
    assert len(server.requests) == 1 + 5


def test_a_wrong_secret(serve, ask, tmp_path):
    server = serve({LIST: [entry(1)]})
    server.secret, kept = "another", server.secret
    environment = server.environment | {"SPOTIPY_CLIENT_SECRET": kept}
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    client = connect(environment=environment)
    text = sentence(client, tmp_path / "d")
    client.close()
    assert "invalid_client" in text
    assert "SPOTIPY_CLIENT_SECRET" in text


def test_nobody_listens(ask, serve, tmp_path, pauses):
    server = serve({})
    client = ask(server)
    server.stop()
    text = sentence(client, tmp_path)
    assert "127.0.0.1 cannot be reached" in text
    assert len(pauses.slept) >= 4


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"SPOTIPY_CLIENT_ID"}, "SPOTIPY_CLIENT_ID must be set"),
        ({"SPOTIPY_CLIENT_SECRET"}, "SPOTIPY_CLIENT_SECRET must be set"),
        (
            {"SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET"},
            "SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET must be set",
        ),
    ],
)
def test_no_credentials(missing, words, tmp_path):
    environment = {
        "SPOTIPY_CLIENT_ID": "a" * 32,
        "SPOTIPY_CLIENT_SECRET": "b" * 32,
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with pytest.raises(UsageError, match=words):
        connect(environment={k: v for k, v in environment.items() if k not in missing})


def test_a_secret_with_a_slip_in_it_is_not_shown(tmp_path):
    environment = {
        "SPOTIPY_CLIENT_ID": "a" * 32,
        "SPOTIPY_CLIENT_SECRET": "sécret-ünsent",
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with pytest.raises(UsageError) as caught:
        connect(environment=environment)
    assert "SPOTIPY_CLIENT_SECRET must consist of letters and digits" in str(caught.value)
    assert "cret" not in str(caught.value).replace("SECRET", "").replace("secret", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.spotify.com",
        "ftp://127.0.0.1/",
        "file:///etc",
        "http://127.0.0.1.evil.example",
        "https://a.example",
        "http://user:word@127.0.0.1",
        "https://",
        "https://a.example/?x",
        "http://[",
        "//127.0.0.1",
    ],
)
def test_tokens_go_nowhere_in_the_clear(url, tmp_path):
    environment = {
        "SPOTIPY_CLIENT_ID": "a" * 32,
        "SPOTIPY_CLIENT_SECRET": "b" * 32,
        "XDG_CONFIG_HOME": str(tmp_path),
        "KIT_SPOTIFY_URL": url,
    }
    with pytest.raises(UsageError, match="KIT_SPOTIFY_URL must be"):
        connect(environment=environment)


@pytest.mark.parametrize("label", ["", "  ", "a/b", "..", ".x", "a\\b", "a\nb", "x" * 65])
def test_a_label_that_is_no_folder(serve, ask, tmp_path, label):
    with pytest.raises(UsageError, match="--label is"):
        playlist(LIST, label, tmp_path, client=ask(serve({LIST: [entry(1)]})))


@pytest.mark.parametrize("market", ["de", "DEU", "", "D1"])
def test_a_market_that_is_none(serve, ask, tmp_path, market):
    with pytest.raises(UsageError, match="--market is"):
        playlist(LIST, "x", tmp_path, client=ask(serve({LIST: [entry(1)]})), market=market)


@pytest.mark.parametrize("rows", [[], [None, None]])
def test_a_playlist_without_a_track(serve, ask, tmp_path, rows):
    text = sentence(ask(serve({LIST: rows})), tmp_path / "d")
    assert ("is empty" if not rows else "none of the 2 rows") in text
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("asked", ["", "82800"])
@pytest.mark.parametrize("status", [0, 302, 400, 401, 403, 404, 410, 429, 503])
def test_every_fault_has_a_sentence(status, asked, private):
    words = {"host": "HOST", "what": "playlist X", "tokens": "FILE"}
    codes = ["", "redirect", "certificate", "connection", "answer", "state_mismatch", "no_sign_in"]
    for code in (*codes, *OAUTH_CODES):
        for sign_in in (False, True):
            fault = FaultError(code, status=status, sign_in=sign_in, retry_after=asked)
            for endpoint in ("/audio-features", "/playlists/{id}/items"):
                error_ = refusal(fault, endpoint, private=private, longest_s=900.0, **words)
                text = str(error_).replace("{id}", "")
                assert error_.status == status
                assert ("wait 23 h" in text) == (asked != "" and fault.passing)
                assert ";" in text
                assert not set("{}\n") & set(text)


def test_a_refusal_goes_through_a_pool_of_processes():
    import pickle

    error_ = pickle.loads(pickle.dumps(RefusedError("no", 403)))
    assert (str(error_), error_.status) == ("no", 403)

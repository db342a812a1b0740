"""No secret is in anything that anyone but Spotify and the token file gets."""

import base64
import logging
import socket
import sys
import threading
import traceback
import urllib.request

import flask
import pytest

from kit.cli import main
from tests.ingest.spotify.server import CLIENT_ID, SECRET, entry, error, features, id_of

LIST = "37i9dQZF1DX6J5NfMJS675"
ROWS = [entry(n) for n in range(1, 70)]
FEATURES = {id_of(n): features(n) for n in range(1, 70)}


def echo(status):
    """A server that repeats what it was sent in its error, in a way that spotipy logs."""

    def fault(request, number):
        sent = request.headers.get("Authorization", "") + request.get_data(as_text=True)
        if "/v1/" in request.path or (status == 400 and request.path == "/api/token"):
            answer = flask.jsonify({"error": {"message": sent, "reason": sent}})
            if request.path == "/api/token":
                answer = flask.jsonify({"error": sent, "error_description": sent})
            answer.status_code = status
            return answer
        return None

    return fault


def limited(request, number):
    return error(429, "limit", **{"Retry-After": "1"}) if number == 3 else None


def html(request, number):
    if "/v1/" in request.path:
        sent = request.headers["Authorization"]
        return flask.Response(f"<html>{sent}</html>", content_type="text/html")
    return None


FAULTS = {
    "good": (None, 0),
    "new app": ("features", 0),
    "rate limit": (limited, 0),
    "400 to everything": (echo(400), 1),
    "401 that repeats it": (echo(401), 1),
    "403 that repeats it": (echo(403), 1),
    "404 that repeats it": (echo(404), 1),
    "500 that repeats it": (echo(500), 1),
    "a page that repeats it": (html, 1),
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("private", [False, True])
def test_no_secret_comes_out(
    serve, tmp_path, monkeypatch, capfd, caplog, name, private, debug, no_browser
):
    fault, code = FAULTS[name]
    server = serve(
        {LIST: ROWS},
        features=None if fault == "features" else FEATURES,
        fault=fault if callable(fault) else None,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # As a person's own program would log everything, and to a file.
    caplog.set_level(logging.DEBUG)
    handler = logging.FileHandler(tmp_path / "everything.log")
    logging.getLogger().addHandler(handler)
    for key, value in server.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SPOTIPY_REDIRECT_URI", f"http://127.0.0.1:{port}/callback")
    # The waits of a server that fails for good are not what this is about.
    monkeypatch.setattr("kit.cli.spotify._pause", lambda *_: None)
    threads = []
    if private:
        # The person sees the address on the terminal, and opens it.
        from kit import terminal

        say = terminal.say

        def read(words, **style):
            say(words, **style)
            _, asked, url = words.partition("sign in at Spotify in a browser of this machine; ")
            if asked:
                url = url.removeprefix("if none opens: ")
                threads.append(threading.Thread(target=lambda: urllib.request.urlopen(url).read()))
                threads[-1].start()

        monkeypatch.setattr(terminal, "say", read)
        secrets = []
    else:
        basic = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
        secrets = [SECRET, basic]
    arguments = ["ingest", "spotify", LIST, "--label", "x", "--out", str(tmp_path / "d")]
    arguments += ["--private"] if private else []
    monkeypatch.setattr(sys, "argv", ["kit", *arguments, *(["--debug"] if debug else [])])
    text = ""
    try:
        main()
    except SystemExit as stop:
        found = stop.code
    except Exception:
        # What Python prints for it, with --debug.
        found = code
        text = traceback.format_exc()
        assert "RefusedError" in text
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        for thread in threads:
            thread.join()
    assert found == code
    assert debug or not text
    out, err = capfd.readouterr()
    secrets += server.tokens
    assert secrets
    written = {
        str(path): path.read_text(encoding="utf-8", errors="replace")
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    kept = [str(path) for path in tmp_path.glob("config/genre-kit/spotify-*.json")]
    tokens = "".join(written.pop(path) for path in kept)
    assert not [path for path in written if "config" in path]
    if name == "good":
        # The test can fail: the secrets are those that were used.
        assert server.tokens[-1] in tokens
        assert str(tmp_path / "d/tracks.csv") in written
    assert (tmp_path / "everything.log").stat().st_size > 0
    for place, content in {
        **written,
        "out": out,
        "err": err,
        "log": caplog.text,
        "raised": text,
    }.items():
        for secret in secrets:
            assert secret not in content, place

"""Private playlists: a user signs in, in a browser; and the files of the tokens."""

import contextlib
import json
import os
import shlex
import socket
import stat
import sys
import threading
import urllib.request

import pytest

from kit.errors import KitError, UsageError
from kit.ingest.spotify.client import connect
from kit.ingest.spotify.errors import RefusedError
from kit.ingest.spotify.playlist import playlist
from kit.ingest.spotify.sign_in import TokenFile, token_folder
from tests.ingest.spotify.server import entry, features, id_of

LIST = "37i9dQZF1DX6J5NfMJS675"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(serve):
    return serve({LIST: [entry(1)]}, features={id_of(1): features(1)}, private=[LIST])


@pytest.fixture
def user(server, port, tmp_path):
    """A function that makes a client which signs a user in."""
    clients = []

    def make(**environment):
        given = server.environment | {
            "SPOTIPY_REDIRECT_URI": f"http://127.0.0.1:{port}/callback",
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }
        del given["SPOTIPY_CLIENT_SECRET"]
        given = {k: v for k, v in (given | environment).items() if v}
        clients.append(connect(private=True, environment=given))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def browse(url):
    """Open an address from another thread, as a browser does."""

    def read():
        # kit may close the connection before the page is read.
        with contextlib.suppress(ConnectionError):
            urllib.request.urlopen(url, timeout=10).read()

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_sign_in_and_read_a_private_playlist(server, user, tmp_path, no_browser):
    client = user()
    threads = []

    def show(url):
        # An icon and a connection that says nothing come first, as with real browsers.
        _, port = client.spotify.auth_manager.redirect_uri.rsplit(":", 1)
        address = ("127.0.0.1", int(port.split("/")[0]))
        silent = socket.create_connection(address)
        threads.append(browse(f"http://127.0.0.1:{address[1]}/favicon.ico"))
        threads.append(browse(url))
        threads.append(threading.Timer(0.2, silent.close))
        threads[-1].start()

    client.sign_in(show)
    for thread in threads:
        thread.join()
    found = playlist(LIST, "techno", tmp_path / "d", client=client)
    assert len(found.table) == 1
    (file,) = (tmp_path / "config/genre-kit").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    # Once is enough, also without the redirect address.
    again = user(SPOTIPY_REDIRECT_URI="")
    again.sign_in(lambda url: pytest.fail("asked to sign in again"))
    assert len(playlist(LIST, "techno", tmp_path / "e", client=again).table) == 1

    # An access token that has expired is renewed by the refresh token.
    server.revoke()
    again.tokens.expire()
    last = user()
    last.sign_in(lambda url: pytest.fail("asked to sign in again"))
    assert len(playlist(LIST, "techno", tmp_path / "f", client=last).table) == 1

    # Taken back by the user, it is forgotten; the next run asks to sign in.
    server.refresh.clear()
    server.revoke()
    last.tokens.expire()
    with pytest.raises(RefusedError, match=r"taken back \(invalid_grant\)"):
        user().sign_in(lambda url: None)
    assert not file.exists()


# That is how Python's webbrowser starts one.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_through_the_browser_that_the_user_has(server, user, port, monkeypatch):
    import webbrowser

    code = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=10).read()"
    monkeypatch.setenv("BROWSER", f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} %s &")
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    client = user()
    client.sign_in(lambda url: None)
    assert client.tokens.get_cached_token()["refresh_token"] in server.refresh


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("error=access_denied&state=x", "refused in the browser"),
        ("code=stolen&state=another", "came back from another sign-in"),
        ("code=stolen", "came back from another sign-in"),
    ],
)
def test_a_browser_that_comes_back_with_something_else(user, port, no_browser, query, words):
    threads = []
    with pytest.raises(RefusedError, match=words):
        user().sign_in(
            lambda url: threads.append(browse(f"http://127.0.0.1:{port}/callback?{query}"))
        )
    for thread in threads:
        thread.join()


def test_nobody_comes(user, no_browser):
    with pytest.raises(RefusedError, match="nobody is signed in"):
        user().sign_in(lambda url: None, wait_s=0.1)


def test_without_a_sign_in_nothing_is_asked(server, user, tmp_path):
    with pytest.raises(RefusedError, match="nobody is signed in"):
        playlist(LIST, "x", tmp_path / "d", client=user())
    assert server.requests == []


def test_the_port_is_taken(user, port):
    with socket.create_server(("127.0.0.1", port)), pytest.raises(KitError, match=f"port {port} "):
        user().sign_in(lambda url: None)


def test_no_redirect_address(user):
    with pytest.raises(UsageError, match="SPOTIPY_REDIRECT_URI must be set"):
        user(SPOTIPY_REDIRECT_URI="").sign_in(lambda url: None)


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.org/callback",
        "http://127.0.0.1/callback",
        "http://localhost:8/",
        "http://10.0.0.1:8/",
        "x",
    ],
)
def test_a_redirect_address_elsewhere(user, uri):
    with pytest.raises(UsageError, match="SPOTIPY_REDIRECT_URI must be set"):
        user(SPOTIPY_REDIRECT_URI=uri)


def test_someone_elses_playlist_when_signed_in(server, user, tmp_path, no_browser):
    client = user()
    threads = []
    client.sign_in(lambda url: threads.append(browse(url)))
    threads[0].join()
    server.foreign.add(LIST)
    with pytest.raises(RefusedError, match="User Management"):
        playlist(LIST, "x", tmp_path / "d", client=client)
    server.revoke()
    server.refresh.clear()
    with pytest.raises(RefusedError, match="invalid_grant"):
        playlist(LIST, "x", tmp_path / "d", client=client)


def test_os_environ_is_the_default(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("SPOTIPY_", "KIT_SPOTIFY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="SPOTIPY_CLIENT_ID"):
        connect(private=True)


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

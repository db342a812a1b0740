"""Credentials, tokens, and sign-in of a user by authorization code with PKCE through spotipy."""

import contextlib
import hashlib
import secrets
import time
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spotipy.cache_handler import CacheFileHandler
from spotipy.oauth2 import RequestHandler, SpotifyPKCE, start_local_http_server

from kit.errors import KitError, UsageError
from kit.ingest.spotify.errors import OAUTH_CODES, FaultError

SCOPES = "playlist-read-private,playlist-read-collaborative"

WAIT_S = 300.0
"""Time limit for a sign-in in the browser, seconds."""

_WHERE = "an app at https://developer.spotify.com/dashboard"


def credentials(environment: Mapping[str, str], *, private: bool) -> tuple[str, str, str]:
    """Return id, secret and redirect address of the app, under spotipy's variable names.

    Raises:
        UsageError: a value is missing or malformed; the message does not contain the value.
    """
    names = ("SPOTIPY_CLIENT_ID",) if private else ("SPOTIPY_CLIENT_ID", "SPOTIPY_CLIENT_SECRET")
    values = {name: environment.get(name, "").strip() for name in names}
    if missing := [name for name, value in values.items() if not value]:
        raise UsageError(
            f"{' and '.join(missing)} must be set in the environment; copy them from {_WHERE}"
        )
    for name, value in values.items():
        if not (value.isascii() and value.isalnum() and len(value) <= 128):
            raise UsageError(f"{name} must consist of letters and digits; copy it from {_WHERE}")
    redirect = environment.get("SPOTIPY_REDIRECT_URI", "").strip()
    if private and redirect:
        redirect_port(redirect)
    return values["SPOTIPY_CLIENT_ID"], values.get("SPOTIPY_CLIENT_SECRET", ""), redirect


def redirect_port(uri: str) -> int:
    """Return the port of a redirect address on this machine.

    Raises:
        UsageError: the address is not http://127.0.0.1:PORT.
    """
    with contextlib.suppress(ValueError):
        parts = urlsplit(uri)
        # Since 2025-11-27 Spotify rejects the name localhost.
        if parts.scheme == "http" and parts.hostname == "127.0.0.1" and parts.port:
            return parts.port
    raise UsageError(
        "SPOTIPY_REDIRECT_URI must be set to http://127.0.0.1:PORT/..., such as "
        "http://127.0.0.1:8765/callback, and the app must have the same one among its redirect URIs"
    )


def token_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the tokens: $XDG_CONFIG_HOME/genre-kit, else ~/.config/genre-kit."""
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    # The XDG specification says to ignore relative paths.
    return (base if base.is_absolute() else Path.home() / ".config") / "genre-kit"


class TokenFile(CacheFileHandler):
    """spotipy's token file, created with mode 0600 in a folder of mode 0700.

    If the file cannot be written, the token is kept in memory for this run. Each kind ("app" or
    "user"), app and server that issues tokens (`accounts`) has its own file, so that no other one
    gets the token.
    """

    def __init__(self, folder: Path, *, kind: str, client_id: str, accounts: str) -> None:
        key = hashlib.sha256(f"{client_id} {accounts}".encode()).hexdigest()[:12]
        self.path = folder / f"spotify-{kind}-{key}.json"
        self._needed = ("access_token", "refresh_token") if kind == "user" else ("access_token",)
        self._token: dict[str, Any] | None = None
        super().__init__(cache_path=str(self.path))

    def get_cached_token(self) -> dict[str, Any] | None:
        """Return spotipy's saved token, which may have expired, or None."""
        if self._token is None:
            with contextlib.suppress(ValueError, RecursionError):
                token: Any = super().get_cached_token()
                if isinstance(token, dict) and isinstance(token.get("expires_at"), int):
                    good = all(isinstance(token.get(name), str) for name in self._needed)
                    self._token = token if good else None
        return self._token

    def save_token_to_cache(self, token_info: dict[str, Any]) -> None:
        """Keep a token in memory and in the file."""
        self._token = token_info
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.parent.chmod(0o700)
            # spotipy sets the mode after writing the token.
            self.path.touch(mode=0o600)
            self.path.chmod(0o600)
            super().save_token_to_cache(token_info)

    def expire(self) -> None:
        """Mark the token as expired, because the server refused it early."""
        if token := self.get_cached_token():
            self.save_token_to_cache({**token, "expires_at": 0})

    def forget(self) -> None:
        """Delete the token."""
        self._token = None
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class _Handler(RequestHandler):
    # Browsers open connections in advance without sending data.
    timeout = 2.0


def code_of(manager: SpotifyPKCE, show: Callable[[str], None], wait_s: float) -> str:
    """Let the user sign in with a browser on this machine; return the authorization code.

    spotipy's own server waits without a limit and handles only one request, which may be the
    browser's request for an icon.

    Raises:
        UsageError: the redirect address is missing.
        KitError: its port is in use.
        FaultError: the sign-in was refused, or nobody signed in within the limit.
    """
    port = redirect_port(manager.redirect_uri)
    try:
        server: Any = start_local_http_server(port, _Handler)
    except OSError as error:
        raise KitError(
            f"port {port} of SPOTIPY_REDIRECT_URI cannot be used ({error.strerror or error}); stop "
            "the program that uses it, or use another port, here and in the app's redirect URIs"
        ) from error
    state = secrets.token_urlsafe(24)
    until = time.monotonic() + wait_s
    with server:
        url = manager.get_authorize_url(state)
        show(url)
        webbrowser.open(url)
        server.state = None
        while (left := until - time.monotonic()) > 0:
            server.timeout = left
            server.handle_request()
            if server.error is not None:
                raise FaultError(oauth_code({"error": server.error.error}), sign_in=True)
            if server.auth_code is not None:
                if not secrets.compare_digest(str(server.state), state):
                    raise FaultError("state_mismatch", sign_in=True)
                return server.auth_code
    raise FaultError("no_sign_in", sign_in=True)


def oauth_code(answer: Any) -> str:
    """Return OAuth's error code, or "" if it is not documented."""
    word = answer.get("error") if isinstance(answer, dict) else None
    return word if isinstance(word, str) and word in OAUTH_CODES else ""

"""A user's sign-in: authorization code with PKCE, for private playlists."""

import secrets
import time
import webbrowser
from collections.abc import Callable
from typing import Any

from spotipy.exceptions import SpotifyOauthError, SpotifyStateError
from spotipy.oauth2 import RequestHandler, SpotifyPKCE, start_local_http_server

from kit.errors import KitError
from kit.ingest.spotify.credentials import redirect_port

SCOPES = "playlist-read-private,playlist-read-collaborative"

WAIT_S = 300.0


class _Handler(RequestHandler):
    # Browsers open connections ahead of time, and say nothing on them.
    timeout = 2.0


def signed_in(manager: SpotifyPKCE) -> bool:
    """Whether there is a token that is good, or could be renewed.

    Raises:
        SpotifyOauthError: it could not be renewed.
    """
    return manager.validate_token(manager.cache_handler.get_cached_token()) is not None


def code_of(manager: SpotifyPKCE, show: Callable[[str], None], wait_s: float) -> str:
    """Have the user sign in, in a browser of this machine; the code that a token is got with.

    Args:
        manager: has the app and its redirect address.
        show: given the address to open, for whoever has no browser that opens by itself.
        wait_s: how long to wait for the browser to come back, seconds.
    Raises:
        UsageError: no redirect address.
        KitError: its port is taken.
        SpotifyOauthError: refused, or not in time.
    """
    port = redirect_port(manager.redirect_uri)
    try:
        server: Any = start_local_http_server(port, _Handler)
    except OSError as error:
        raise KitError(
            f"port {port} of SPOTIPY_REDIRECT_URI cannot be used ({error.strerror or error}); end "
            "what uses it, or take another port, here and in the app's redirect URIs"
        ) from error
    state = secrets.token_urlsafe(24)
    with server:
        url = manager.get_authorize_url(state)
        show(url)
        webbrowser.open(url)
        return _code(server, state, time.monotonic() + wait_s)


def _code(server: Any, state: str, until: float) -> str:
    # A browser may ask for an icon first: whatever has no code in it is passed over.
    server.state = None
    while (left := until - time.monotonic()) > 0:
        server.timeout = left
        server.handle_request()
        if server.error is not None:
            raise server.error
        if server.auth_code is not None:
            if not secrets.compare_digest(str(server.state), state):
                raise SpotifyStateError(message="another state", error="state_mismatch")
            return server.auth_code
    raise SpotifyOauthError("nobody came", error="no_sign_in")

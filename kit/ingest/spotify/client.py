"""Send requests to the Web API through spotipy, with retries and readable errors."""

import contextlib
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import spotipy
from spotipy.exceptions import SpotifyBaseException
from spotipy.oauth2 import SpotifyClientCredentials, SpotifyPKCE

from kit.errors import KitError, UsageError
from kit.ingest.retry import Patience, Wait, with_retries
from kit.ingest.spotify.errors import FaultError, refusal
from kit.ingest.spotify.sign_in import (
    SCOPES,
    WAIT_S,
    TokenFile,
    code_of,
    credentials,
    oauth_code,
    token_folder,
)

T = TypeVar("T")

API = "https://api.spotify.com/v1"
ACCOUNTS = "https://accounts.spotify.com"
SERVER_VARIABLE = "KIT_SPOTIFY_URL"
"""Environment variable with the address of a server on this machine, for tests."""

# spotipy logs headers with tokens, and server errors that may contain them.
_LOGGERS = ("spotipy.client", "spotipy.oauth2", "spotipy.cache_handler", "spotipy.util")


@dataclass(frozen=True, eq=False)
class Client:
    """Connection to the Web API; `connect` makes one."""

    spotify: spotipy.Spotify = field(repr=False)
    tokens: TokenFile = field(repr=False)
    host: str
    private: bool
    session: requests.Session = field(repr=False)
    patience: Patience
    wait: Wait

    def get(self, endpoint: str, id_: str = "", **parameters: Any) -> dict[str, Any]:
        """Request one object.

        Args:
            endpoint: as in Spotify's documentation, such as "/playlists/{id}/items".
            id_: the id of its playlist.
            parameters: query parameters; None is left out.
        Raises:
            RefusedError: Spotify refuses it.
        """
        manager: Any = self.spotify.auth_manager

        def ask() -> dict[str, Any]:
            # Without this check spotipy would wait for a sign-in without a time limit.
            if self.private and not manager.validate_token(self.tokens.get_cached_token()):
                raise FaultError("no_sign_in")
            # The addresses of spotipy's public methods differ between versions.
            answer = self.spotify._get(endpoint.format(id=id_), **parameters)
            if not isinstance(answer, dict):
                raise FaultError("answer")
            return answer

        return self._with_retries(ask, endpoint, f"playlist {id_}" if id_ else "it")

    def sign_in(self, show: Callable[[str], None], *, wait_s: float = WAIT_S) -> None:
        """Make sure that a user is signed in, if required.

        Raises:
            RefusedError: nobody signed in, or Spotify refused.
            UsageError: SPOTIPY_REDIRECT_URI is missing or is not on this machine.
        """
        manager: Any = self.spotify.auth_manager

        def renewed() -> Any:
            return manager.validate_token(self.tokens.get_cached_token())

        if self.private and not self._with_retries(renewed, "/api/token"):
            code = self._with_retries(lambda: code_of(manager, show, wait_s), "/authorize")
            self._with_retries(lambda: manager.get_access_token(code, False), "/api/token")

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def _with_retries(self, call: Callable[[], T], endpoint: str, what: str = "it") -> T:
        def attempt() -> T:
            try:
                return _as_faults(call)
            except FaultError as fault:
                if fault.status != 401 or fault.sign_in:
                    raise
            # A token may be revoked before it expires: try once with a new one.
            self.tokens.expire()
            return _as_faults(call)

        try:
            with _no_log(), warnings.catch_warnings():
                # spotipy's own calls raise deprecation warnings.
                warnings.simplefilter("ignore", DeprecationWarning)
                return with_retries(attempt, self.patience, self.wait)
        except FaultError as error:
            fault = error
        if fault.code == "invalid_grant":
            self.tokens.forget()
        # Outside the handler, because a traceback would show spotipy's error with the token.
        raise refusal(
            fault,
            endpoint,
            private=self.private,
            longest_s=self.patience.longest_wait_s,
            host=self.host,
            tokens=self.tokens.path,
            what=what,
        )


def connect(
    *,
    private: bool = False,
    environment: Mapping[str, str] | None = None,
    patience: Patience = Patience(),
    timeout_s: tuple[float, float] = (10.0, 30.0),
    wait: Wait = lambda seconds, _: time.sleep(seconds),
) -> Client:
    """Return a client of the Web API, without a request.

    Raises:
        UsageError: credentials or the address of the server are missing or malformed.
    """
    environment = os.environ if environment is None else environment
    server = environment.get(SERVER_VARIABLE, "")
    # Tokens are sent to it.
    if server and not re.fullmatch(r"https?://127\.0\.0\.1(:\d+)?", server, re.ASCII):
        raise UsageError(
            f"{SERVER_VARIABLE} must be http://127.0.0.1:PORT on this machine; correct or unset it"
        )
    api, accounts = (f"{server}/v1", server) if server else (API, ACCOUNTS)
    client_id, secret, redirect = credentials(environment, private=private)
    tokens = TokenFile(
        token_folder(environment),
        kind="user" if private else "app",
        client_id=client_id,
        accounts=accounts,
    )
    session = requests.Session()
    # Otherwise an entry in ~/.netrc replaces the token.
    session.auth = lambda request: request
    session.hooks["response"] = [_require_success]
    # spotipy accepts a session and two timeouts, against its annotations.
    given: dict[str, Any] = {"requests_session": session, "requests_timeout": timeout_s}
    manager: Any
    if private:
        # Only a sign-in needs the redirect address, and checks it.
        manager = SpotifyPKCE(
            client_id, redirect or "none", scope=SCOPES, cache_handler=tokens, **given
        )
    else:
        manager = SpotifyClientCredentials(client_id, secret, cache_handler=tokens, **given)
    manager.OAUTH_TOKEN_URL = f"{accounts}/api/token"
    manager.OAUTH_AUTHORIZE_URL = f"{accounts}/authorize"
    spotify = spotipy.Spotify(auth_manager=manager, **given)
    spotify.prefix = api
    return Client(spotify, tokens, urlsplit(api).hostname or api, private, session, patience, wait)


def _require_success(response: requests.Response, *_: Any, **__: Any) -> None:
    """Raise before requests follows a redirect with the token, or spotipy logs an error."""
    status = response.status_code
    if status < 300:
        try:
            response.content  # noqa: B018
        except requests.RequestException:
            # requests leaves the connection open if it cannot decompress the body.
            response.close()
            raise
        return
    sign_in = urlsplit(response.request.url or "").path == "/api/token"
    code = "redirect" if status < 400 else ""
    if sign_in and not code:
        with contextlib.suppress(ValueError, RecursionError, requests.RequestException):
            code = oauth_code(response.json())
    response.close()
    after = response.headers.get("Retry-After", "")
    raise FaultError(code, status=status, retry_after=after, sign_in=sign_in)


def _as_faults(call: Callable[[], T]) -> T:
    """Call spotipy, and convert its errors and those of requests to `FaultError`."""
    try:
        return call()
    except KitError:
        raise
    except requests.exceptions.SSLError:
        raise FaultError("certificate") from None
    # spotipy raises these for undocumented responses; malformed JSON is a ValueError.
    except (
        *(LookupError, TypeError, AttributeError, ValueError, RecursionError),
        SpotifyBaseException,
    ):
        raise FaultError("answer") from None
    except requests.RequestException:
        raise FaultError("connection") from None


@contextlib.contextmanager
def _no_log() -> Iterator[None]:
    """Hide spotipy's messages from all handlers."""
    # It passes only the messages of the logger that it names.
    nothing = logging.Filter("none")
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(nothing)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(nothing)

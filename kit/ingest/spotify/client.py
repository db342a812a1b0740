"""Questions to the Web API through spotipy, with patience, and refusals in sentences."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
import spotipy
from spotipy.oauth2 import SpotifyClientCredentials, SpotifyPKCE

from kit.ingest.spotify import addresses as places
from kit.ingest.spotify import credentials as apps
from kit.ingest.spotify.addresses import Addresses
from kit.ingest.spotify.credentials import Credentials
from kit.ingest.spotify.faults import FaultError, asking
from kit.ingest.spotify.log import no_log
from kit.ingest.spotify.refusals import Asked, refusal, too_long
from kit.ingest.spotify.retry import Clock, Patience, TooLongError, Waiting, patiently
from kit.ingest.spotify.session import Limits, guarded_session
from kit.ingest.spotify.sign_in import SCOPES, WAIT_S, code_of, signed_in
from kit.ingest.spotify.token_cache import TokenCache, signed_in_with, token_file

T = TypeVar("T")


def _nothing(_seconds: float, _why: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, eq=False)
class Client:
    """Who asks Spotify; `connect` makes one.

    Attributes:
        spotify: spotipy's client.
        tokens: where its token is kept.
        addresses: who is asked.
        private: a user is signed in.
        session: has the connections.
        patience: with a server that fails, or has had too many requests.
        clock: time and chance.
        waiting: told of each wait, second by second.
    """

    spotify: spotipy.Spotify = field(repr=False)
    tokens: TokenCache = field(repr=False)
    addresses: Addresses
    private: bool
    session: requests.Session = field(repr=False)
    patience: Patience
    clock: Clock
    waiting: Waiting = _nothing

    def get(self, path: str, endpoint: str, what: str = "it", **parameters: Any) -> dict[str, Any]:
        """Ask for one thing.

        Args:
            path: of the Web API, relative, such as "audio-features".
            endpoint: the same as documented, for a sentence.
            what: the thing, for a sentence.
            parameters: of the query; None is left out.
        Returns:
            The answer, an object.
        Raises:
            RefusedError: it is not to be had; the message says why and what to do.
            AnswerError: the answer breaks the bounds that there are for answers.
        """

        manager = self.spotify.auth_manager

        def ask() -> dict[str, Any]:
            # Else spotipy itself would wait for one, without an end.
            if isinstance(manager, SpotifyPKCE) and not signed_in(manager):
                raise FaultError(code="no_sign_in")
            # The public calls differ from version to version in the address that they ask.
            answer = self.spotify._get(path, **parameters)
            if not isinstance(answer, dict):
                raise FaultError(cause="answer")
            return answer

        return self._patiently(ask, endpoint, what)

    def sign_in(self, show: Callable[[str], None], *, wait_s: float = WAIT_S) -> None:
        """Make sure that a user is signed in, if one has to be.

        Args:
            show: given the address to open in a browser, if a sign-in is needed.
            wait_s: how long to wait for it, seconds.
        Raises:
            RefusedError: nobody signed in, or Spotify refused.
            UsageError: SPOTIPY_REDIRECT_URI is missing or leads elsewhere.
        """
        manager = self.spotify.auth_manager
        if not isinstance(manager, SpotifyPKCE):
            return
        if not self._patiently(lambda: signed_in(manager), "/api/token"):
            code = self._patiently(lambda: code_of(manager, show, wait_s), "/authorize")
            self._patiently(lambda: manager.get_access_token(code, False), "/api/token")

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def _patiently(self, call: Callable[[], T], endpoint: str, what: str = "it") -> T:
        asked = Asked(endpoint, self.addresses.host, self.private, self.tokens.path, what)
        renewed = False

        def attempt() -> T:
            nonlocal renewed
            try:
                return asking(call)
            except FaultError as fault:
                if fault.status != 401 or fault.code or renewed:
                    raise
                # A token can be taken back before its time; another one is worth a try.
                renewed = True
                self.tokens.expire()
                return asking(call)

        try:
            with no_log(), warnings.catch_warnings():
                # spotipy warns of its own ways of calling itself.
                warnings.simplefilter("ignore", DeprecationWarning)
                return patiently(attempt, self.patience, self.clock, self.waiting)
        except TooLongError as error:
            raise too_long(error.seconds, self.patience.rate_limit_s, asked) from None
        except FaultError as fault:
            if fault.code == "invalid_grant":
                self.tokens.forget()
            # Not "from": what the server wrote is in the chain, and it may have written the token.
            raise refusal(fault, asked) from None


def connect(
    *,
    private: bool = False,
    environment: Mapping[str, str] | None = None,
    addresses: Addresses | None = None,
    credentials: Credentials | None = None,
    tokens: Path | None = None,
    limits: Limits = Limits(),
    patience: Patience = Patience(),
    clock: Clock = Clock(),
) -> Client:
    """A client of the Web API. Nothing is asked yet.

    Args:
        private: a user signs in (`Client.sign_in`), so that private playlists can be read; else
            the app asks for itself.
        environment: has the credentials under spotipy's names; that of the process by default.
        addresses: those of Spotify, or what the environment says.
        credentials: in place of those in the environment.
        tokens: the file of the tokens; in the user's configuration folder by default.
        limits: of one answer.
        patience: with a server that fails, or has had too many requests.
        clock: time and chance, for tests.
    Raises:
        UsageError: credentials or an address are missing or wrong.
    """
    environment = os.environ if environment is None else environment
    addresses = places.from_environment(environment) if addresses is None else addresses
    tokens = token_file(environment) if tokens is None else tokens
    if credentials is None:
        known = signed_in_with(tokens, addresses.accounts) if private else ""
        credentials = apps.from_environment(environment, private=private, known_id=known)
    cache = TokenCache(
        tokens,
        kind="user" if private else "app",
        client_id=credentials.client_id,
        accounts=addresses.accounts,
    )
    session = guarded_session(limits)
    # spotipy takes these as well, and is annotated as if it did not.
    given: Any = session
    timeout: Any = (limits.connect_s, limits.silence_s)
    manager: Any
    if private:
        manager = SpotifyPKCE(
            client_id=credentials.client_id,
            # Only a sign-in needs it, and says so where it is missing.
            redirect_uri=credentials.redirect_uri or "none",
            scope=SCOPES,
            cache_handler=cache,
            requests_session=given,
            requests_timeout=timeout,
        )
    else:
        manager = SpotifyClientCredentials(
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            cache_handler=cache,
            requests_session=given,
            requests_timeout=timeout,
        )
    manager.OAUTH_TOKEN_URL = f"{addresses.accounts}/api/token"
    manager.OAUTH_AUTHORIZE_URL = f"{addresses.accounts}/authorize"
    # With a session given, spotipy makes none of its own: kit's tries are the only ones.
    spotify = spotipy.Spotify(
        auth_manager=manager, requests_session=given, requests_timeout=timeout
    )
    spotify.prefix = f"{addresses.api}/"
    return Client(spotify, cache, addresses, private, session, patience, clock)

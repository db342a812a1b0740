"""Messages for Spotify's refusals: cause and remedy."""

from kit.errors import KitError
from kit.ingest.retry import AttemptError

OAUTH_CODES = (
    *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "access_denied"),
    *("unauthorized_client", "unsupported_grant_type", "unsupported_response_type"),
    *("server_error", "temporarily_unavailable"),
)
"""RFC 6749, sections 4.1.2.1 and 5.2."""

_AGAIN = "run the same command again later"

# By status or code; more specific keys (with " private", " /audio-features", " sign-in") first.
_SENTENCES = {
    "400": "Spotify calls the request invalid {at}; check the playlist and --market",
    "401": "Spotify does not accept the app's token {at}; check SPOTIPY_CLIENT_ID and "
    "SPOTIPY_CLIENT_SECRET, and that the app is not blocked",
    "401 private": "Spotify no longer accepts your sign-in {at}; delete {tokens}, run the same "
    "command and sign in again",
    "403 /audio-features": "Spotify refuses audio features to this app {at}: since 2024-11-27 new "
    "apps and those in development mode get none; the columns stay empty, and kit describe "
    "computes its own from your audio",
    "403": "the app may not read {what} {at}: since 2026-02-11 an app in development mode reads "
    "only playlists that the signed-in user owns or works on; add --private and sign in if it is "
    "yours, or copy its tracks into one that is; the app's owner needs Spotify Premium as well",
    "403 private": "the app may not read {what} {at}: since 2026-02-11 an app in development mode "
    "reads only playlists that the signed-in user owns or works on; check that it is yours, or "
    "copy its tracks into one that is; and that your account is among the app's users (User "
    "Management in its settings); the app's owner needs Spotify Premium as well",
    "404": "Spotify knows no {what} {at}; check its address, and add --private if it is a private "
    "one of yours; Spotify's own playlists are not there for apps made since 2024-11-27",
    "404 private": "Spotify knows no {what} {at}; check its address and that your account sees it; "
    "Spotify's own playlists are not there for apps made since 2024-11-27",
    "429": f"Spotify takes no more requests for now {{at}}; {_AGAIN}",
    "too long": "Spotify asks to wait {asked} before the next request {at}, and kit waits no more "
    "than {longest}; run the same command after that",
    "5xx": f"{{host}} fails again and again {{at}}; {_AGAIN}",
    "other": f"Spotify refuses, for a reason that it does not document {{at}}; {_AGAIN}",
    "invalid_client": "Spotify does not know the app, or its secret is another one "
    "(invalid_client); copy SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET again from "
    "https://developer.spotify.com/dashboard",
    "invalid_grant": "your sign-in at Spotify has expired or was taken back (invalid_grant), and "
    "its token is deleted now; run the same command and sign in again",
    "access_denied": "the sign-in at Spotify was refused in the browser (access_denied); run the "
    "same command and agree, or leave out --private",
    "state_mismatch": "the browser came back from another sign-in than this one; close its old "
    "pages, and run the same command again",
    "no_sign_in": "nobody is signed in at Spotify, or not in time; run the same command again, "
    "open the address that it shows in a browser of this machine, and agree",
    "other sign-in": "Spotify refuses the sign-in ({code}); check in the app's settings that it "
    "uses the Web API, and that SPOTIPY_REDIRECT_URI is among its redirect URIs",
    "certificate": "{host} shows a certificate that cannot be checked; check the clock and the "
    "network, and behind a proxy set REQUESTS_CA_BUNDLE to its certificate",
    "connection": "{host} cannot be reached, or cuts the connection; check the network; "
    f"{_AGAIN}",
    "answer": "{host} answers {endpoint} with something that is not as documented; check the "
    f"network for a page to sign in at, or a proxy; {_AGAIN}",
    "redirect": "{host} redirects kit elsewhere ({status}), which Spotify never does; check the "
    "network for a page to sign in at, or a proxy",
}


class FaultError(AttemptError):
    """A request failed. The error contains no text of the server, which may contain a token.

    Attributes:
        status: HTTP status; 0 without a response.
        code: a key of the table, such as "connection" or OAuth's "invalid_grant"; or "".
        sign_in: whether the request was for a token.
    """

    def __init__(
        self, code: str = "", *, status: int = 0, retry_after: str = "", sign_in: bool = False
    ) -> None:
        passing = status == 429 or status >= 500 or code in ("connection", "answer")
        super().__init__(f"status {status} {code}", passing=passing, retry_after=retry_after)
        self.status, self.code, self.sign_in = status, code, sign_in


class RefusedError(KitError):
    """Spotify refused a request."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def refusal(
    fault: FaultError, endpoint: str, *, private: bool, longest_s: float, **words: object
) -> RefusedError:
    """Return the message for a fault.

    Args:
        fault: fault of the last attempt.
        endpoint: documented name, such as "/playlists/{id}/items".
        private: whether a user is signed in.
        longest_s: longest pause that the server may ask for, seconds.
        words: values of `host`, `what` and `tokens` in the message.
    """
    status = "5xx" if fault.status >= 500 else str(fault.status)
    if fault.sign_in:
        endpoint = "/api/token"
        keys = (fault.code, status if status in ("429", "5xx") else "other sign-in")
    else:
        keys = (fault.code, f"{status} {endpoint}", f"{status} private" * private, status, "other")
    if fault.passing and fault.asked_s > longest_s:
        keys = ("too long",)
    text = _SENTENCES[next(key for key in keys if key in _SENTENCES)].format(
        at=f"({fault.status} at {endpoint})",
        code=fault.code or f"status {fault.status}",
        status=fault.status,
        endpoint=endpoint,
        asked=_duration(fault.asked_s),
        longest=_duration(longest_s),
        **words,
    )
    return RefusedError(text, fault.status)


def _duration(seconds: float) -> str:
    """Return seconds in words: "90 s", "15 min", "23 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"

"""Every refusal of Spotify's in a sentence of its own, that says what to do."""

from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.ingest.spotify.faults import FaultError

_AGAIN = "run the same command later, it goes on from where it was"


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes:
        endpoint: as documented, such as "/playlists/{id}/items".
        host: who was asked.
        private: a user is signed in.
        tokens: the file that the tokens are in.
        what: the thing, such as "playlist 37i9...".
    """

    endpoint: str
    host: str
    private: bool
    tokens: Path
    what: str = "it"


class RefusedError(KitError):
    """Spotify does not give what was asked for.

    Attributes:
        status: of HTTP; 0 if there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (str(self), self.status)


def refusal(fault: FaultError, asked: Asked) -> RefusedError:
    """The sentence for a fault that did not pass."""
    if fault.code:
        text = _oauth(fault, asked)
    elif fault.status:
        text = _status(fault.status, asked)
    else:
        text = _no_answer(fault.cause, asked)
    return RefusedError(text, fault.status)


def too_long(seconds: float, longest: float, asked: Asked) -> RefusedError:
    """The sentence for a rate limit that asks for too much patience."""
    return RefusedError(
        f"Spotify asks to wait {_duration(seconds)} before the next request (429 at "
        f"{asked.endpoint}), and kit waits no more than {_duration(longest)}; run the same command "
        "after that, it goes on from where it was",
        429,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _status(status: int, asked: Asked) -> str:
    at = f"({status} at {asked.endpoint})"
    if status == 401:
        if asked.private:
            return (
                f"Spotify does not accept your sign-in any more {at}; delete {asked.tokens}, run "
                "the same command and sign in again"
            )
        return (
            f"Spotify does not accept the app's token {at}; check SPOTIPY_CLIENT_ID and "
            "SPOTIPY_CLIENT_SECRET, and that the app is not blocked"
        )
    if status == 403 and asked.endpoint == "/audio-features":
        return (
            f"Spotify gives this app no audio features {at}: since 2024-11-27 new apps and those "
            "in development mode get none; the columns stay empty, and kit describe computes its "
            "own from your audio"
        )
    if status == 403:
        who = (
            "check that it is yours, or copy its tracks into one that is; and that your account is "
            "among the app's users (User Management in its settings)"
            if asked.private
            else "add --private and sign in, if it is yours, or copy its tracks into one that is"
        )
        return (
            f"the app may not read {asked.what} {at}: since 2026-02-11 an app in development mode "
            f"reads only playlists that the signed-in user owns or works on; {who}; the app's "
            "owner needs Spotify Premium as well"
        )
    if status == 404:
        who = (
            "check its address and that your account sees it"
            if asked.private
            else "check its address, and add --private if it is a private one of yours"
        )
        return (
            f"Spotify knows no {asked.what} {at}; {who}; Spotify's own playlists are not there for "
            "apps made since 2024-11-27"
        )
    if status == 429:
        return f"Spotify takes no more requests for now {at}; {_AGAIN}"
    if status >= 500:
        return f"{asked.host} fails again and again {at}; {_AGAIN}"
    if status == 400:
        return f"Spotify calls the request a bad one {at}; check the playlist and --market"
    return f"Spotify refuses, for a reason that it does not document {at}; {_AGAIN}"


def _oauth(fault: FaultError, asked: Asked) -> str:
    code = fault.code
    if code == "invalid_client":
        return (
            "Spotify does not know the app, or its secret is another one (invalid_client); copy "
            "SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET from "
            "https://developer.spotify.com/dashboard again"
        )
    if code == "invalid_grant":
        return (
            "your sign-in at Spotify has expired or was taken back (invalid_grant), and is "
            "forgotten now; run the same command and sign in again"
        )
    if code == "access_denied":
        return (
            "the sign-in at Spotify was refused in the browser (access_denied); run the same "
            "command and agree, or leave out --private"
        )
    if code == "state_mismatch":
        return (
            "the browser came back from another sign-in than this one; close its old pages, and "
            "run the same command again"
        )
    if code == "no_sign_in":
        return (
            "nobody is signed in at Spotify, or not in time; run the same command again, open the "
            "address that it shows in a browser of this machine, and agree"
        )
    if fault.status >= 500:
        return f"Spotify's sign-in fails again and again ({fault.status}); {_AGAIN}"
    if fault.status == 429:
        return f"Spotify takes no more sign-ins for now (429); {_AGAIN}"
    name = code if code in _KNOWN else f"status {fault.status}"
    return (
        f"Spotify refuses the sign-in ({name}); check in the app's settings that it uses the Web "
        "API, and that SPOTIPY_REDIRECT_URI is among its redirect URIs"
    )


_KNOWN = (
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
)


def _no_answer(cause: str, asked: Asked) -> str:
    if cause == "certificate":
        return (
            f"{asked.host} shows a certificate that cannot be checked; check the clock and the "
            "network, and behind a proxy set REQUESTS_CA_BUNDLE to its certificate"
        )
    if cause == "connection":
        return (
            f"{asked.host} cannot be reached, or cuts the connection; check the network; {_AGAIN}"
        )
    if cause == "slow":
        return (
            f"{asked.host} takes too long for an answer, again and again ({asked.endpoint}); check "
            f"the network; {_AGAIN}"
        )
    return f"{asked.host} answers {asked.endpoint} with what is not as documented; {_AGAIN}"

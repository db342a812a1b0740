"""What spotipy raises, brought to one form."""

import re
from collections.abc import Callable
from typing import TypeVar

import requests
from spotipy.exceptions import SpotifyBaseException, SpotifyOauthError, SpotifyStateError

from kit.errors import KitError
from kit.ingest.spotify.session import SlowError

T = TypeVar("T")

_PASSING = ("connection", "slow", "answer")


class FaultError(Exception):
    """A request that was not answered as asked for.

    Attributes:
        status: of HTTP; 0 if there was no answer.
        code: OAuth's word for it, such as "invalid_grant"; "" if it has none.
        retry_after: the header, as it came.
        cause: one of "" (the server said so), "connection", "slow", "certificate" and "answer"
            (nothing that can be made sense of).
    """

    def __init__(
        self, *, status: int = 0, code: str = "", retry_after: str = "", cause: str = ""
    ) -> None:
        # Nothing of what the server wrote: it might have the token in it.
        super().__init__(f"status {status} {code} {cause}")
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.cause = cause

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered a moment later."""
        return self.status >= 500 or (not self.status and self.cause in _PASSING)


def asking(call: Callable[[], T]) -> T:
    """Call spotipy; whatever it makes of a bad answer comes out as a `FaultError`.

    Raises:
        FaultError: what the server or the network did.
        KitError: what kit's own session found wrong with the answer.
    """
    try:
        return call()
    except KitError:
        raise
    except SlowError:
        raise FaultError(cause="slow") from None
    except requests.exceptions.SSLError:
        raise FaultError(cause="certificate") from None
    except SpotifyBaseException as error:
        raise _of_spotipy(error) from None
    # An error's body that is no object makes spotipy stumble over it, and so does an answer that
    # is not as documented; requests counts what is no JSON among its errors of a connection.
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise _with_response(error, FaultError(cause="answer")) from None
    except requests.RequestException:
        raise FaultError(cause="connection") from None


def _of_spotipy(error: SpotifyBaseException) -> FaultError:
    code = ""
    if isinstance(error, SpotifyStateError):
        code = "state_mismatch"
    elif isinstance(error, SpotifyOauthError):
        word = error.error
        code = word if isinstance(word, str) and re.fullmatch("[a-z_]{1,32}", word) else "unknown"
    status = getattr(error, "http_status", 0)
    return _with_response(
        error, FaultError(status=status if isinstance(status, int) else 0, code=code)
    )


def _with_response(error: BaseException, otherwise: FaultError) -> FaultError:
    """What the server answered, where spotipy's own error came of an answer."""
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, requests.HTTPError) and before.response is not None:
            response = before.response
            after = response.headers.get("Retry-After", "")
            return FaultError(status=response.status_code, code=otherwise.code, retry_after=after)
        before = before.__context__
    return otherwise

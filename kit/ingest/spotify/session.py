"""The requests session that spotipy asks through: no redirects, and no answer without bounds."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from kit.errors import KitError


@dataclass(frozen=True)
class Limits:
    """What one answer may take.

    Attributes:
        size: bytes, unpacked. A page of 50 tracks with all their markets has about 0.3 MB.
        seconds: from its first byte to its last.
        connect_s: until there is a connection.
        silence_s: without a byte.
    """

    size: int = 4 << 20
    seconds: float = 60.0
    connect_s: float = 10.0
    silence_s: float = 30.0


_KINDS = ("text/html", "text/plain", "text/xml", "application/xml")


class AnswerError(KitError):
    """An answer that is not what the Web API gives."""


def guarded_session(
    limits: Limits, *, clock: Callable[[], float] = time.monotonic
) -> requests.Session:
    """A session that follows no redirect, and refuses what is too big, too slow or not JSON.

    Args:
        limits: of each answer.
        clock: seconds, for the time that an answer takes.
    """
    session = requests.Session()
    # The headers carry a token: they go where they are sent, and nowhere else. Tries are kit's.
    session.max_redirects = 0
    adapter = HTTPAdapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # Else an entry of ~/.netrc takes the place of the token.
    session.auth = _as_it_is
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "gzip"

    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        response.raw = _Bounded(response.raw, _host(response), limits, clock)
        try:
            _check(response)
        except BaseException:
            # Nobody else has it yet.
            response.close()
            raise

    session.hooks["response"] = [check]
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _host(response: requests.Response) -> str:
    return urlsplit(response.url).hostname or "the server"


def _check(response: requests.Response) -> None:
    host = _host(response)
    if 300 <= response.status_code < 400:
        raise AnswerError(
            f"{host} sends kit elsewhere ({response.status_code}), which Spotify never does; "
            "check the network for a page to sign in at, or a proxy"
        )
    body = response.content
    # Without it requests guesses, at length and wrongly.
    response.encoding = "utf-8"
    if not response.ok:
        return
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        # Not in the server's own words, whatever they are.
        shown = kind if kind in _KINDS else "something else"
        raise AnswerError(
            f"{host} answers with {shown} where JSON is due; "
            "check the network for a page to sign in at, or a proxy"
        )
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AnswerError(
            f"{host} answers with text that is not UTF-8 (byte {error.start}); "
            "check the network for a proxy that changes it"
        ) from None


class _Bounded:
    """The body of an answer, read in pieces as they come, up to its limits.

    requests reads it through `stream`, and turns the errors of urllib3 into its own.
    """

    _PIECE = 1 << 16

    def __init__(self, raw: Any, host: str, limits: Limits, clock: Callable[[], float]) -> None:
        self._raw, self._host, self._limits, self._clock = raw, host, limits, clock

    def stream(self, _size: int, decode_content: bool) -> Iterator[bytes]:
        # `read` would wait for a full piece, however slowly its bytes come.
        read = getattr(self._raw, "read1", self._raw.read)
        size, until = 0, self._clock() + self._limits.seconds
        while piece := read(self._PIECE, decode_content=decode_content):
            size += len(piece)
            if size > self._limits.size:
                self._raw.close()
                raise AnswerError(
                    f"{self._host} answers with more than {self._limits.size} bytes, "
                    "which Spotify does not; check the network for a proxy"
                )
            if self._clock() > until:
                self._raw.close()
                raise AnswerError(
                    f"{self._host} has not come to the end of an answer in "
                    f"{self._limits.seconds:g} s; run the same command later, it goes on from here"
                )
            yield piece
        self._raw.release_conn()

    def close(self) -> None:
        self._raw.close()

    def release_conn(self) -> None:
        self._raw.release_conn()

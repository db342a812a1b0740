"""The requests session that spotipy asks through: no redirects, and no answer without bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from kit.errors import KitError
from kit.ingest.deadline import Adapter, Deadline


@dataclass(frozen=True)
class Limits:
    """What one answer may take.

    Attributes:
        size: bytes, unpacked. A page of 50 tracks with all their markets has about 0.3 MB.
        seconds: in all, from the request to its last byte.
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


class SlowError(requests.Timeout):
    """An answer that had not come to its end in time, however busy the server was with it."""


class _Session(requests.Session):
    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._seconds, self._deadline = limits.seconds, Deadline()
        for scheme in ("https://", "http://"):
            # Tries are kit's.
            self.mount(scheme, Adapter(self._deadline, max_retries=0))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        response = None
        try:
            with self._deadline.within(self._seconds):
                # The body as well: the hook that checks it reads it.
                response = super().send(request, **kwargs)
        except Exception:
            if not self._deadline.expired:
                raise
        # What was cut off may be any error, or look like a whole answer.
        if response is None or self._deadline.expired:
            raise SlowError(request=request)
        return response


def guarded_session(limits: Limits) -> requests.Session:
    """A session that follows no redirect, and refuses what is too big, too slow or not JSON.

    Args:
        limits: of each answer.
    """
    session = _Session(limits)
    # The headers carry a token: they go where they are sent, and nowhere else.
    session.max_redirects = 0
    # Else an entry of ~/.netrc takes the place of the token.
    session.auth = _as_it_is
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "gzip"

    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        response.raw = _Bounded(response.raw, _host(response), limits)
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
    """The body of an answer, read in pieces as they come, up to its size.

    requests reads it through `stream`, and turns the errors of urllib3 into its own.
    """

    _PIECE = 1 << 16

    def __init__(self, raw: Any, host: str, limits: Limits) -> None:
        self._raw, self._host, self._limits = raw, host, limits

    def stream(self, _size: int, decode_content: bool) -> Iterator[bytes]:
        size = 0
        while piece := self._raw.read(self._PIECE, decode_content=decode_content):
            size += len(piece)
            if size > self._limits.size:
                self._raw.close()
                raise AnswerError(
                    f"{self._host} answers with more than {self._limits.size} bytes, "
                    "which Spotify does not; check the network for a proxy"
                )
            yield piece
        self._raw.release_conn()

    def close(self) -> None:
        self._raw.close()

    def release_conn(self) -> None:
        self._raw.release_conn()

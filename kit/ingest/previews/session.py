"""A session of requests that follows nothing, reads nothing by itself, and ends in time.

requests and urllib3 do the HTTP. What is added: a connection goes to an address that has been
checked, and to no second answer of the resolver; only https has an adapter; the environment
(proxies, `.netrc`, bundles of certificates) does not count, since a proxy would resolve names out
of sight; and all that belongs to one request can be cut off at an instant.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from kit import __version__
from kit.ingest.previews.errors import PreviewError
from kit.ingest.previews.reach import Reach


class Session(requests.Session):
    """One connection at a time, for one thread at a time.

    Args:
        reach: what may be connected to.
    """

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._sockets: set[socket.socket] = set()
        self.expired = False
        """The time of the last `within` ran out."""
        self.trust_env = False
        self.verify = str(reach.ca) if reach.ca else True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers = CaseInsensitiveDict(
            {
                "User-Agent": f"genre-kit/{__version__}",
                "Accept": "audio/*, application/octet-stream",
                # Bytes as they are: what is never unpacked cannot grow.
                "Accept-Encoding": "identity",
            }
        )
        self.adapters.clear()
        self.mount("https://", _Adapter(_pool(reach, self._sockets, lambda: self.expired)))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: even when it is not to follow, requests would read the whole body of a redirect."""
        return None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut all connections after so many seconds, whatever is going on.

        The time limits of sockets count from one byte to the next; a server that sends one now and
        then, in a header or in the handshake, would hold on for ever.
        """
        self.expired = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _cut(self) -> None:
        self.expired = True
        for twin in tuple(self._sockets):
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    def __init__(self, pool: type[HTTPSConnectionPool]) -> None:
        self._pool = pool
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": self._pool}


def _pool(
    reach: Reach, sockets: set[socket.socket], expired: Callable[[], bool]
) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        # TLS takes the socket over and shows it only after the handshake; a second handle of it
        # can be shut down all along.
        _twin: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            sock = _connect(reach, self._dns_host, self.port, self.timeout, expired)
            self._twin = sock.dup()
            sockets.add(self._twin)
            return sock

        def close(self) -> None:
            super().close()
            if self._twin is not None:
                sockets.discard(self._twin)
                self._twin.close()
                self._twin = None

    class Pool(HTTPSConnectionPool):
        ConnectionCls: Any = Connection

    return Pool


def _connect(
    reach: Reach, host: str, port: int, timeout: Any, expired: Callable[[], bool]
) -> socket.socket:
    last: OSError | None = None
    # A name without brackets, and a dot at its end is for the resolver.
    for address in reach.checked(host.strip("[]"), port):
        if expired():
            break
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            last = error
    if last is None or isinstance(last, TimeoutError):
        raise PreviewError(
            "timeout", f"{host!r} does not answer; run the command again later", passing=True
        ) from last
    raise PreviewError(
        "connection",
        f"{host!r} cannot be connected to ({last.strerror or last}); run the command again later",
        passing=True,
    ) from last

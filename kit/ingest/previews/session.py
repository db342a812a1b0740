"""A session of requests that follows nothing, reads nothing by itself, and ends in time.

requests and urllib3 do the HTTP. What is added: a connection goes to an address that has been
checked, and to no second answer of the resolver; only https has an adapter; the environment
(proxies, `.netrc`, bundles of certificates) does not count, since a proxy would resolve names out
of sight; and all that belongs to one request can be cut off at an instant.
"""

import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPSConnection

from kit import __version__
from kit.ingest.deadline import Adapter, Deadline
from kit.ingest.previews.errors import PreviewError
from kit.ingest.previews.reach import Reach


class Session(requests.Session):
    """One connection at a time, for one thread at a time.

    Args:
        reach: what may be connected to.
    """

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self.deadline = Deadline()
        """Of what is asked for within it."""
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
        connections = {"https": _reaching(reach, self.deadline)}
        self.mount(
            "https://", Adapter(self.deadline, connections, pool_connections=1, pool_maxsize=1)
        )

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: even when it is not to follow, requests would read the whole body of a redirect."""
        return None


def _reaching(reach: Reach, deadline: Deadline) -> type[HTTPSConnection]:
    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(reach, self._dns_host, self.port, self.timeout, deadline)

    return Connection


def _connect(reach: Reach, host: str, port: int, timeout: Any, deadline: Deadline) -> socket.socket:
    last: OSError | None = None
    # A name without brackets, and a dot at its end is for the resolver.
    for address in reach.checked(host.strip("[]"), port):
        if deadline.expired:
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

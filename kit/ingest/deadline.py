"""A bound for the whole of a request, whatever it is waiting for.

The time limits of sockets count from one byte to the next: a server that sends one now and then, in
the handshake, a header or the body, would hold on for ever. So the sockets of a session are known,
and all of them can be cut at an instant.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from requests.adapters import HTTPAdapter


class Deadline:
    """The sockets of a session, and whether the time of the last `within` ran out."""

    def __init__(self) -> None:
        self._sockets: set[socket.socket] = set()
        self._left: set[socket.socket] = set()
        self._running = False
        self.expired = False

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut all connections after so many seconds, whatever is going on.

        What comes of it may be any error, or none: half a header, cut off in time, may look like a
        whole one. `expired` is what tells.
        """
        self.expired = False
        self._running = True
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._running = False
            self._forget()

    def watch(self, sock: socket.socket) -> socket.socket:
        """A second handle of a new socket, to be closed by `leave`.

        TLS takes the socket over and shows it only after the handshake; the second handle can be
        shut down all along.
        """
        twin = sock.dup()
        self._sockets.add(twin)
        if self.expired:
            # It has come in the instant after the others were cut.
            self._cut()
        return twin

    def leave(self, twin: socket.socket) -> None:
        """Its connection is closed; the rest of a last body may be read from it all the same."""
        self._left.add(twin)
        if not self._running:
            self._forget()

    def _forget(self) -> None:
        for twin in self._left:
            self._sockets.discard(twin)
            twin.close()
        self._left.clear()

    def _cut(self) -> None:
        self.expired = True
        for twin in tuple(self._sockets):
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """The connections of a session, all of them under its deadline.

    Args:
        deadline: may cut them.
        connections: kinds of urllib3's connections by scheme, in place of its own.
        given: as of `HTTPAdapter`.
    """

    def __init__(
        self, deadline: Deadline, connections: Mapping[str, Any] | None = None, **given: Any
    ) -> None:
        self._deadline, self._connections = deadline, connections or {}
        super().__init__(**given)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._take(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._take(manager)
        return manager

    def _take(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"ConnectionCls": self._watched(scheme, pool)})
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _watched(self, scheme: str, pool: Any) -> Any:
        deadline, kind = self._deadline, self._connections.get(scheme, pool.ConnectionCls)

        class Watched(kind):
            _twin: socket.socket | None = None

            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                self._twin = deadline.watch(sock)
                return sock

            def close(self) -> None:
                super().close()
                if self._twin is not None:
                    deadline.leave(self._twin)
                    self._twin = None

        return Watched

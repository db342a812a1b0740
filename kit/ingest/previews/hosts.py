"""Politeness: how many requests a host gets at a time, how soon after each other, and when none."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from kit.config import PreviewConfig
from kit.ingest.previews.errors import Stopped
from kit.ingest.previews.reach import Reach
from kit.ingest.previews.session import Session

_SLICE_S = 0.1  # how long it may take until a wish to stop is noticed


def wait(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep.

    Raises:
        Stopped: `stop` became true meanwhile.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if stop():
            raise Stopped
        time.sleep(min(left, _SLICE_S))


class Host:
    """One host: its connections and when the next request may start."""

    def __init__(self, config: PreviewConfig, reach: Reach, stop: Callable[[], bool]) -> None:
        self._config, self._reach, self._stop = config, reach, stop
        self._slots = threading.Semaphore(config.connections)
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._kept_by = 0
        self._next = 0.0
        self._paused_until = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[Session]:
        """Wait for leave to make one request, and have a session for it.

        Raises:
            Stopped: asked to stop while waiting.
        """
        while not self._slots.acquire(timeout=_SLICE_S):
            if self._stop():
                raise Stopped
        try:
            self._await_start()
            with self._lock:
                session = self._idle.pop() if self._idle else Session(self._reach)
            try:
                yield session
            finally:
                with self._lock:
                    if self._kept_by:
                        self._idle.append(session)
                    else:
                        session.close()
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep connections open from one turn to the next, until the last who asked has gone."""
        with self._lock:
            self._kept_by += 1
        try:
            yield
        finally:
            with self._lock:
                self._kept_by -= 1
                gone = [] if self._kept_by else self._idle
                self._idle = self._idle if self._kept_by else []
            for session in gone:
                session.close()

    def pause(self, seconds: float) -> None:
        """No request starts for so long."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def pause_left(self) -> float:
        """Seconds until requests may start again."""
        return max(0.0, self._paused_until - time.monotonic())

    def _await_start(self) -> None:
        if self._stop():
            raise Stopped
        while pause := self.pause_left():
            wait(pause, self._stop)
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._config.interval_s
        wait(start - time.monotonic(), self._stop)


class Hosts:
    """All hosts that have been met, by name."""

    def __init__(self, config: PreviewConfig, reach: Reach, stop: Callable[[], bool]) -> None:
        self._config, self._reach, self._stop = config, reach, stop
        self._lock = threading.Lock()
        self._known: dict[str, Host] = {}

    def __getitem__(self, name: str) -> Host:
        with self._lock:
            if name not in self._known:
                self._known[name] = Host(self._config, self._reach, self._stop)
            return self._known[name]

    def waiting(self) -> str:
        """The host that asks for the longest pause, and its seconds, in words; or nothing."""
        with self._lock:
            pauses = {name: host.pause_left() for name, host in self._known.items()}
        name = max(pauses, key=lambda n: pauses[n], default="")
        return f"{name} asks to wait {pauses[name]:.0f} s" if name and pauses[name] >= 1 else ""

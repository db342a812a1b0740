"""A client of the server in `server.py`, with time that passes at once."""

import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from kit.ingest.spotify import Client, connect
from kit.ingest.spotify.retry import Clock
from tests.ingest.spotify.server import Spotify


class Time:
    """Sleeps that are only noted down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.seconds = 1_800_000_000.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(self.sleep, lambda: self.seconds, lambda low, high: high)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def serve() -> Iterator[Callable]:
    """A function that starts a server and gives it; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(Spotify(*given, **named))


@pytest.fixture
def ask(tmp_path, time) -> Iterator[Callable[..., Client]]:
    """A function: a server to a client of it."""
    with ExitStack() as stack:

        def make(server, **named) -> Client:
            client = connect(
                environment=server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")},
                clock=time.clock,
                **named,
            )
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def no_browser(monkeypatch):
    """The browser is one that does nothing."""
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})

"""A client of the server in `server.py` that does not sleep between attempts."""

import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from kit.ingest.spotify.client import Client, connect
from tests.ingest.spotify.server import Spotify


class Pauses:
    """Pauses between attempts, noted down and not slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def wait(self, seconds: float, why: str) -> None:
        self.slept.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def serve() -> Iterator[Callable]:
    """A function that starts a server and gives it; it ends with the test."""
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(Spotify(*given, **named))


@pytest.fixture
def ask(tmp_path, pauses) -> Iterator[Callable[..., Client]]:
    """A function: a server to a client of it."""
    with ExitStack() as stack:

        def make(server, **named) -> Client:
            client = connect(
                environment=server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")},
                **{"wait": pauses.wait} | named,
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

"""A server in a process of its own, as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

# Written by the server itself and by its worker: each address that they connect to.
LOG_CONNECTIONS = """
import os, sys

def log(event, arguments):
    if event == "socket.connect":
        os.write(LOG, f"{arguments[1]}\\n".encode())
    elif event == "socket.getaddrinfo":
        os.write(LOG, f"{arguments[0]}\\n".encode())

LOG = os.open(os.environ["CONNECTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(log)
"""


class Server:
    """`kit serve` on a free port, which it keeps when it is started again."""

    def __init__(self, folder: Path, runs: Path, *options: str) -> None:
        self.runs, self.port = runs, 0
        self._folder, self._options = folder, options
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "hook").mkdir()
        (folder / "hook/sitecustomize.py").write_text(LOG_CONNECTIONS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def folders(self) -> list[Path]:
        """Folders of the servers that are alive or were killed."""
        return [p for p in self._folder.glob("cache/genre-kit/serve/*") if p.is_dir()]

    @property
    def left(self) -> list[Path]:
        """Files of uploads, and what was derived of them."""
        return [p for folder in self.folders for p in folder.rglob("*") if p.is_file()]

    @property
    def connections(self) -> set[str]:
        log = self._folder / "connections"
        return set(log.read_text().splitlines()) if log.exists() else set()

    @property
    def said(self) -> str:
        return (self._folder / "stderr").read_text()

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers."""
        if self._process and self._process.poll() is None:
            return
        paths = [str(self._folder / "hook"), str(Path(__file__).parents[2])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "CONNECTIONS": str(self._folder / "connections"),
        }
        command = [sys.executable, "-m", "kit", "serve", "--runs", str(self.runs)]
        with (self._folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), *self._options],
                env=environment,
                stderr=stderr,
            )
        until = time.monotonic() + 120
        while not (found := re.search(r"open http://127\.0\.0\.1:(\d+)/", self.said)):
            assert self._process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.05)
        self.port = int(found[1])

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

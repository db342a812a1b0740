"""An HTTPS server on loopback that serves previews, and does all that a bad server may do."""

import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import trustme

from kit.catalogue import Catalogue, load, write_failures
from kit.catalogue.io import write_table
from kit.config import PreviewConfig

# Quick, and otherwise as it is by default.
QUICK = PreviewConfig(
    hosts=("127.0.0.1", "127.0.0.2", "localhost"),
    backoff_s=0.01, connect_s=3.0, read_s=3.0, total_s=5.0, max_mb=1.0,
)  # fmt: skip
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A running server.

    Attributes:
        url: without a slash at the end.
        audio: the body of every path below /ok/.
        answers: what other paths do.
        asked: how often a path was asked for.
        served: how often a path below /ok/ was answered to the last byte.
        most: the most requests to a host that were in work at the same time.
        connections: how many there have been.
    """

    url: str
    port: int
    audio: bytes
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: Counter = field(default_factory=Counter)
    served: Counter = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    delay_s: float = 0.0
    now: Counter = field(default_factory=Counter)
    most: Counter = field(default_factory=Counter)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def respond(handler, body=b"", *, status=200, kind="audio/mpeg", **headers):
        """One whole answer; a header's name has _ for -, and None leaves it out."""
        handler.send_response(status)
        fields = {"Content_Type": kind, "Content_Length": str(len(body))} | headers
        for name, value in fields.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()

    def redirect(self, to, body=b"", status=302):
        return lambda handler: self.respond(
            handler, body, status=status, kind="text/html", Location=to
        )

    def chunked(self, handler, blocks, **headers):
        self.respond(handler, Content_Length=None, Transfer_Encoding="chunked", **headers)
        for block in blocks:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        handler.wfile.write(b"0\r\n\r\n")


def tone(number: int, seconds: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(number)
    return (0.2 * rng.standard_normal((round(seconds * 22050), 1))).astype(np.float32)


@pytest.fixture(scope="session")
def mp3(tmp_path_factory) -> bytes:
    """A short MP3 file with a length in its header."""
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    soundfile.write(path, tone(0), 22050)
    return path.read_bytes()


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return ca, path


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that goes away in mid-answer is what is tested."""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16

        def setup(self):
            super().setup()
            with server.lock:
                server.connections += 1

        def log_message(self, *_):
            """Nothing on the terminal."""

        def do_GET(self):
            path = self.path.split("?")[0]
            with server.lock:
                server.asked[path] += 1
                server.headers.append(dict(self.headers))
                host = self.headers["Host"]
                server.now[host] += 1
                server.most[host] = max(server.most[host], server.now[host])
            try:
                if path in server.answers:
                    server.answers[path](self)
                elif path.startswith("/ok/"):
                    server.closing.wait(server.delay_s)
                    # The number after the slash makes each file another one.
                    server.respond(self, server.audio + path.encode())
                    server.served[path] += 1
                else:
                    server.respond(self, b"gone", status=404, kind="text/plain")
            finally:
                with server.lock:
                    server.now[host] -= 1

    return Handler


@pytest.fixture
def server(mp3, authority, monkeypatch) -> Iterator[Server]:
    """A server with a certificate that this process and its children trust."""
    ca, path = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    state = Server("", 0, mp3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "127.0.0.2").configure_cert(context)
    servers = []
    for host in ("127.0.0.1", "127.0.0.2"):
        listening = _Quiet((host, state.port), _handler(state))
        listening.socket = context.wrap_socket(
            listening.socket, server_side=True, do_handshake_on_connect=False
        )
        state.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        servers.append((listening, thread))
    state.url = f"https://127.0.0.1:{state.port}"
    yield state
    state.closing.set()
    for listening, thread in servers:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture
def catalogue(tmp_path) -> Callable[..., Catalogue]:
    """A function: addresses by track -> a catalogue of a table alone."""

    def make(urls: dict[str, str], name: str = "data", **columns: object) -> Catalogue:
        folder = tmp_path / name
        table = pd.DataFrame({"track_id": list(urls), "preview_url": list(urls.values())})
        table = table.assign(**({"label": "techno"} | columns))
        write_table(table, folder)
        write_failures(folder, "scan", [])
        meta = {"format": 1, "audio_root": ".", "tracks": len(table), "labels": {}}
        meta |= {"duplicates": [], "notices": []}
        (folder / "catalogue.json").write_text(json.dumps(meta))
        return load(folder)

    return make


@pytest.fixture
def quick() -> PreviewConfig:
    return QUICK

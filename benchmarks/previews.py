"""`kit ingest previews` against a server of its own: 3,000 previews of 30 s over TLS on loopback.

    python benchmarks/previews.py

Prints the seconds, the rate and the peak of the memory; then those of a second run, which finds all
of it done.
"""

import argparse
import json
import multiprocessing
import os
import resource
import ssl
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import trustme

from kit.catalogue import load, write_failures
from kit.catalogue.io import write_table
from kit.config import PreviewConfig
from kit.ingest.previews.download import download


def serve(body, pem, port):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16

        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            # Another file for each address, as previews are.
            end = self.path.encode()
            self.send_header("Content-Type", "audio/mpeg")
            self.send_header("Content-Length", str(len(body) + len(end)))
            self.end_headers()
            self.wfile.write(body + end)
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    port.value = server.server_address[1]
    server.serve_forever()


def music(path):
    """30 s of noise with a beat, as an MP3 file of 128 kbit/s or so."""
    rate = 44100
    t = np.arange(30 * rate) / rate
    y = 0.2 * np.random.default_rng(0).standard_normal(len(t)) * np.exp(-8 * (t % 0.5))
    soundfile.write(path, np.stack([y, y], 1), rate)
    return path.read_bytes()


def catalogue(folder, count, port):
    urls = [f"https://127.0.0.1:{port}/{n}" for n in range(count)]
    labels = ["techno" if n % 2 else "edm" for n in range(count)]
    ids = [f"{n:022}" for n in range(count)]
    write_table(pd.DataFrame({"track_id": ids, "label": labels, "preview_url": urls}), folder)
    write_failures(folder, "scan", [])
    (folder / "catalogue.json").write_text(json.dumps({"format": 1, "audio_root": "."}))
    return load(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "s.pem")
        port = multiprocessing.Value("i", 0)
        body = music(folder / "a.mp3")
        child = multiprocessing.Process(target=serve, args=(body, folder / "s.pem", port))
        child.start()
        try:
            while not port.value:
                time.sleep(0.05)
            os.environ["REQUESTS_CA_BUNDLE"] = str(folder / "ca.pem")
            print(f"{options.count} files of {len(body)} bytes")
            made = catalogue(folder / "data", options.count, port.value)
            for what in ("first run", "second run"):
                result = download(load(made.folder), PreviewConfig(hosts=("127.0.0.1",)))
                assert not result.failures, result.failures[0]
                rate = result.downloaded / result.seconds
                print(
                    f"{what}: {result.downloaded} downloaded in {result.seconds:.1f} s, "
                    f"{rate:.0f} a second"
                )
                sys.stdout.flush()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"peak of the memory: {peak:.0f} MiB")
        finally:
            child.terminate()
            child.join()


if __name__ == "__main__":
    main()

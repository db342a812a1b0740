"""The page and its server, by real HTTP."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
import soundfile

from kit import load
from kit.errors import KitError
from tests.conftest import LABELS, RATE, tone

pytest.importorskip("gradio")


def ask(server, payload, run="tiny"):
    """Return the answer for what a browser sends, as HTML."""
    names = re.findall(r"(?:tiny|older)/[\w.-]+", requests.get(f"{server.url}/config").text)
    run = next((name for name in names if name.startswith(run)), run)
    call = f"{server.url}/gradio_api/call/predict"
    event = requests.post(call, json={"data": [payload, run]}).json()["event_id"]
    stream = requests.get(f"{call}/{event}").text
    assert "event: complete" in stream
    return re.search(r"^data: \[(.*), ", stream, re.MULTILINE | re.DOTALL)[1]


def upload(server, path, name=None):
    """Return the payload for a file."""
    with path.open("rb") as stream:
        reply = requests.post(
            f"{server.url}/gradio_api/upload", files={"files": (name or path.name, stream)}
        )
    assert reply.ok, reply.text
    return named(reply.json()[0])


def named(path):
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def label_of(html):
    return re.search(r"<h2><bdi>(\w+)", html)[1]


def test_the_chosen_run_answers(server, job):
    file = job.music / "low/00.flac"
    expected = load(job.run).predict(file)
    for run in ("tiny", "older"):
        html = ask(server, upload(server, file), run)
        assert label_of(html) == "low"
        shares = dict(re.findall(r"<bdi>(\w+)</bdi></th>.*?([\d.]+)%", html))
        assert {k: float(v) for k, v in shares.items()} == {
            label: round(100 * p, 1) for label, p in expected.items()
        }
        # It was not evaluated, and the page says how.
        assert f"kit evaluate {server.runs}/{run}/" in html
    assert server.left == []


def test_twenty_uploads_at_once_get_their_own_answers(server, tmp_path):
    files = []
    for i in range(20):
        label, hz = list(LABELS.items())[i % 2]
        # Pairs of one name and one content, and one name for two contents.
        path = tmp_path / str(i) / f"{i // 4}.wav"
        path.parent.mkdir()
        soundfile.write(path, tone(hz, 1.3, i // 8), RATE)
        files.append((label, path))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda one: ask(server, upload(server, one[1])), files))
    assert [label_of(html) for html in answers] == [label for label, _ in files]
    assert server.left == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, job):
    folder = tmp_path_factory.mktemp("hostile")
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE), RATE)
    soundfile.write(folder / "short.wav", tone(200, 0.01, 0), RATE)
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("no music at all\n" * 100)
    (folder / "cut.flac").write_bytes((job.music / "low/00.flac").read_bytes()[:60])
    (folder / "random.ogg").write_bytes(np.random.default_rng(0).bytes(5000))
    # Five hours in a few kilobytes.
    with soundfile.SoundFile(folder / "bomb.flac", "w", RATE, 1) as bomb:
        for _ in range(300):
            bomb.write(np.zeros(60 * RATE, np.int16))
    eight = np.stack([tone(200, 1.3, i) for i in range(8)], axis=1)
    soundfile.write(folder / "eight.wav", eight, RATE)
    return folder


@pytest.mark.parametrize(
    "name", ["silent.wav", "short.wav", "empty.mp3", "text.mp3", "cut.flac", "random.ogg"]
)
def test_an_unusable_file_gets_the_sentence_of_predict(server, hostile, job, name):
    with pytest.raises(KitError) as refused:
        load(job.run).predict(hostile / name)
    html = ask(server, upload(server, hostile / name))
    assert 'role=\\"alert\\"' in html
    assert str(refused.value).replace(f"{hostile}/", "") in html
    assert server.left == []


def test_long_files_and_many_channels(server, hostile):
    assert (hostile / "bomb.flac").stat().st_size < 2**20
    html = ask(server, upload(server, hostile / "bomb.flac"))
    assert "bomb.flac lasts 5:00:00, and this page takes 60 minutes" in html
    assert label_of(ask(server, upload(server, hostile / "eight.wav"))) == "low"
    assert server.left == []


def test_large_uploads_and_a_full_queue_are_refused(server):
    large = {"files": ("large.wav", bytes(7 * 2**20))}
    reply = requests.post(f"{server.url}/gradio_api/upload", files=large)
    assert (reply.status_code, reply.text[:23]) == (413, "The file is too large. ")
    (uploads,) = (folder / "uploads" for folder in server.folders)
    rooms = [uploads / f"room-{i}" for i in range(32)]
    for room in rooms:
        room.mkdir()
    small = {"files": ("a.wav", b"RIFF")}
    reply = requests.post(f"{server.url}/gradio_api/upload", files=small)
    assert (reply.status_code, reply.text) == (503, "32 files wait already; try again in a minute.")
    # A visitor who left does not block the others for ever.
    for room in rooms:
        os.utime(room, (0, 0))
    assert requests.post(f"{server.url}/gradio_api/upload", files=small).ok
    assert not any(room.exists() for room in rooms)
    (path,) = server.left
    assert "a.wav" in ask(server, named(path))
    assert server.left == []


def test_nothing_outside_the_uploads_is_reached(server, job, tmp_path):
    (folder,) = server.folders
    config = next(server.runs.glob("tiny/*/config.json"))
    room = folder / "uploads/room"
    room.mkdir()
    (room / "link.wav").symlink_to(config)
    (folder / "uploads/link").symlink_to(config.parent)
    outside = [
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        f"{room}/../../../../../../../../../../etc/passwd",
        str(config),
        str(room / "link.wav"),
        str(folder / "uploads/link/config.json"),
        str(folder),
        "http://example.com/a.wav",
        "",
    ]
    for path in outside:
        quoted = requests.utils.quote(path, safe="")
        for route in (f"gradio_api/file={path}", f"gradio_api/file={quoted}", f"file={path}"):
            reply = requests.get(f"{server.url}/{route}")
            assert reply.status_code == 404, route
        assert "this is no upload of this page" in ask(server, named(path))
    for payload in (None, named("a\0b")):
        assert "this is no upload" in ask(server, payload)
    for route in ("docs", "monitoring", "gradio_api/proxy=http://a", "gradio_api/vibe-code/"):
        assert requests.get(f"{server.url}/{route}").status_code == 404
    (room / "link.wav").unlink()
    (folder / "uploads/link").unlink()
    room.rmdir()
    file = job.music / "low/00.flac"
    assert "there is no such run" in ask(server, upload(server, file), "../tiny")
    payload = upload(server, file, name="../../../../etc/<b>passwd</b>")
    assert Path(payload["path"]).name == "b_"
    assert Path(payload["path"]).parents[1] == folder / "uploads"
    assert label_of(ask(server, payload)) == "low"
    # Nor was anything fetched for the URL.
    assert {address for address in server.connections if "127.0.0.1" not in address} == set()


def test_other_sites_are_refused(server):
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert requests.get(f"{server.url}/config", headers=headers).status_code == 403
    named_otherwise = {"Host": f"localhost:{server.port}"}
    assert requests.get(f"{server.url}/config", headers=named_otherwise).ok
    assert "default-src 'self'" in requests.get(server.url).headers["content-security-policy"]


def test_a_dead_worker_is_replaced(server, job):
    for child in server.process.children():
        child.kill()
    assert label_of(ask(server, upload(server, job.music / "low/00.flac"))) == "low"


def test_a_stopped_server_leaves_nothing_behind(server, job):
    payload = upload(server, job.music / "low/00.flac")
    # An answer that is being computed and a page that is open delay nothing.
    call = f"{server.url}/gradio_api/call/predict"
    requests.post(call, json={"data": [payload, "tiny"]})
    children = server.process.children()
    assert server.stop() == 0
    assert server.said.splitlines()[-1] == "stopped; no upload is left"
    assert "Traceback" not in server.said
    assert (server.left, server.folders) == ([], [])
    assert psutil.wait_procs(children, 10)[1] == []

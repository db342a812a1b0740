"""The page in a real browser."""

import os
import re
import shutil
import signal
from urllib.parse import urlsplit

import psutil
import pytest
import requests
import soundfile

from tests.conftest import RATE, tone

pytest.importorskip("gradio")


@pytest.fixture
def visit(server, chromium):
    """A function that opens the page; each request and each message of the browser is kept."""
    contexts = []

    def opened(width=1200, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.requested, page.errors = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(server.url)
        page.get_by_text("Drop an audio file here").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def drop(page, path):
    page.locator("input[type=file]").set_input_files(path)


def test_a_file_is_dropped_and_its_cursor_is_moved(server, visit, job):
    page = visit()
    drop(page, job.music / "high/00.flac")
    page.locator(".answer h2").wait_for()
    assert page.locator(".answer h2").inner_text() == "high"
    inside = page.frame_locator(".answer iframe")
    sound = inside.locator("#sound")
    # It plays the visitor's copy: the server's is deleted.
    page.wait_for_function(
        "document.querySelector('.answer iframe').contentDocument.getElementById('sound').duration"
    )
    assert sound.evaluate("s => s.src").startswith(f"blob:{server.url}/")
    assert sound.evaluate("s => s.duration") == pytest.approx(1.3, abs=0.01)
    picture = inside.locator("#stage")
    assert inside.locator(".mel").evaluate("one => one.naturalWidth") > 1
    picture.click(position={"x": picture.bounding_box()["width"] / 2, "y": 20})
    assert sound.evaluate("s => s.currentTime") == pytest.approx(0.65, abs=0.02)
    frame = page.locator(".answer iframe").bounding_box()
    height = inside.locator("html").evaluate("one => one.offsetHeight")
    assert frame["height"] == pytest.approx(height, abs=4)
    # A second file replaces the answer.
    drop(page, job.music / "low/00.flac")
    page.locator(".answer h2", has_text="low").wait_for()
    assert server.left == []
    elsewhere = {u for u in page.requested if u.startswith(("http", "ws"))}
    assert {urlsplit(u).netloc for u in elsewhere} == {f"127.0.0.1:{server.port}"}
    assert page.errors == []
    assert {a for a in server.connections if "127.0.0.1" not in a} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_in_both_schemes(visit, job, scheme):
    page = visit(420, scheme)
    drop(page, job.music / "high/00.flac")
    page.locator(".answer h2").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    inside = page.frame_locator(".answer iframe").locator("body")
    for body in (page.locator("body"), inside):
        colour = body.evaluate("one => getComputedStyle(one).backgroundColor")
        level = max(map(int, re.findall(r"\d+", colour)[:3]))
        assert level < 64 if scheme == "dark" else level > 192


def test_the_keyboard_reaches_everything_by_name(visit, job):
    page = visit()
    drop(page, job.music / "high/00.flac")
    page.locator(".answer h2").wait_for()
    page.evaluate("document.body.focus(); document.activeElement.blur()")
    names = []
    for _ in range(5):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                "(({ariaLabel, labels, innerText, title}) =>"
                " ariaLabel || (labels && labels[0]?.innerText) || innerText || title)"
                "(document.activeElement)"
            )
        )
    assert [name.strip() for name in names] == [
        "Run",
        "Click to upload or drop files",
        "Clear",
        "Record",
        "Player, spectrogram and timeline",
    ]


def test_a_recording_is_answered(server, chromium):
    # A tone by Chromium itself takes the place of a microphone.
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    program = shutil.which("chromium")
    with chromium.browser_type.launch(executable_path=program, args=fake + options) as browser:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Record").click()
        page.wait_for_timeout(2500)
        page.get_by_role("button", name="Stop").first.click()
        page.locator(".answer h2").wait_for()
        sound = page.frame_locator(".answer iframe").locator("#sound")
        assert sound.evaluate("s => s.src").startswith("blob:")
    assert server.left == []


def test_another_run_is_chosen_by_keyboard(visit, server, job):
    page = visit()
    page.get_by_label("Run").focus()
    active = page.locator("[role=option].active")
    active.filter(has_text="tiny/").wait_for()
    page.keyboard.press("ArrowDown")
    active.filter(has_text="older/").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('input').value.startsWith('older/')")
    drop(page, job.music / "low/00.flac")
    page.locator(".answer .quiet").wait_for()
    assert f"{server.runs}/older/" in page.locator(".answer .quiet").inner_text()


def test_what_cannot_be_used_is_said(visit, tmp_path):
    page = visit()
    (tmp_path / "notes.mp3").write_text("no music at all\n" * 100)
    drop(page, tmp_path / "notes.mp3")
    said = page.get_by_role("alert")
    said.wait_for()
    assert said.inner_text() == "notes.mp3 is not audio but text, whatever its name; leave it out"
    soundfile.write(tmp_path / "large.wav", tone(200, 200, 0), RATE)
    drop(page, tmp_path / "large.wav")
    page.get_by_text("exceed the maximum allowed size of 2").wait_for()


def test_an_open_page_survives_a_killed_server(visit, server, job):
    page = visit()
    with (job.music / "low/00.flac").open("rb") as stream:
        requests.post(f"{server.url}/gradio_api/upload", files={"files": stream})
    ((folder,), port, children) = (server.folders, server.port, server.process.children())
    assert folder.stat().st_mode & 0o777 == 0o700
    server.stop(signal.SIGKILL)
    assert psutil.wait_procs(children, 10)[1] == []
    assert server.left != []
    drop(page, job.music / "high/00.flac")
    page.get_by_text("The server was stopped. Start kit serve again").wait_for()
    server.start()
    assert server.port == port
    assert not folder.exists()
    page.get_by_label("Clear").first.click()
    drop(page, job.music / "high/00.flac")
    page.locator(".answer h2", has_text="high").wait_for()

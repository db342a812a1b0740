"""The page of a run answers in Chromium as kit does, and sends nothing."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.special import expit, logit

from kit.config import replaced
from kit.errors import KitError
from kit.export.page import LONGEST_MIN
from kit.export.runtime import TARBALL, runtime
from kit.features.excerpts import excerpts
from kit.predict import Model, load
from tests.conftest import RATE, tone
from tests.page import Page, watched

ROOT = Path(__file__).parents[2]
# One for all tests of a checkout: 33 MB.
DATA = ROOT / ".pytest_cache" / "data"
READY = "Ready."


@pytest.fixture(scope="module")
def tarball():
    """The package that npm downloaded."""
    kept = DATA / "genre-kit" / TARBALL.file
    if not kept.is_file() and shutil.which("npm") is None:
        pytest.skip("npm is not here, which downloads onnxruntime-web; apt-get install npm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(DATA))
        runtime()
    return kept


@pytest.fixture(scope="module")
def exported(job, tarball, tmp_path_factory):
    """The folder that the command writes; in a process of its own, as in test_export."""
    run = Path(shutil.copytree(job.run, tmp_path_factory.mktemp("runs") / "run"))
    (run / "model-card.md").write_text("the <card>")
    out = tmp_path_factory.mktemp("web")
    command = [sys.executable, "-m", "kit", "export", run, "--to", "web", "--out", out]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, command), "--onnxruntime-web", str(tarball)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def opened(chromium):
    """A function that opens a page, and notes what it requests and what its policy forbids."""
    pages = []

    def opens(path):
        page = watched(chromium.new_page())
        page.goto(Path(path).as_uri())
        page.get_by_text(READY, exact=True).wait_for()
        pages.append(page)
        return page

    yield opens
    for page in pages:
        page.close()


def heard(page, count=1):
    """The answers and sentences of all tracks, by file name."""
    page.locator("[data-done]").nth(count - 1).wait_for()
    found = {}
    for card in page.locator("#tracks .body").all():
        p = card.get_attribute("data-probabilities")
        said = card.locator(".verdict").inner_text()
        found[card.locator("h3").inner_text()] = json.loads(p) if p else said
    return found


def mixture(seconds, rate, seed=0):
    """Two tones whose share changes, so that each part of it has another answer."""
    share = np.linspace(0, 1, round(seconds * rate), dtype=np.float32)
    y = share * tone(1500.0, seconds, seed, rate) + (1 - share) * tone(200.0, seconds, seed, rate)
    return np.stack([y, 0.5 * y], axis=1)


def drop(page, path):
    """Drop a file on the page."""
    page.dispatch_event(
        "body",
        "drop",
        {
            "dataTransfer": page.evaluate_handle(
                """([name, text]) => {
                    const transfer = new DataTransfer();
                    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
                    transfer.items.add(new File([bytes], name));
                    return transfer;
                }""",
                [path.name, base64.b64encode(path.read_bytes()).decode()],
            )
        },
    )


def test_it_answers_as_kit_does_and_requests_nothing(exported, job, opened, tmp_path):
    names = ("own.wav", "cd.wav", "cd.mp3", "dat.flac")
    files = [tmp_path / name for name in names]
    for path, rate in zip(files, (RATE, 44100, 44100, 48000), strict=True):
        soundfile.write(path, mixture(3.0, rate), rate)
    page = opened(exported / "model.html")
    drop(page, files[0])
    page.set_input_files("#files", files[1:])
    found = heard(page, len(files))
    model = load(job.run)
    want = {path.name: model.predict(path) for path in files}
    assert all(min(p.values()) > 0.02 for p in want.values())
    # Another resampler and another decoder.
    for name, within in zip(names, (1e-4, 5e-4, 5e-4, 5e-4), strict=True):
        assert found[name] == pytest.approx(want[name], abs=within)
    assert page.requests[0] == (exported / "model.html").as_uri()
    assert all(url.startswith("blob:null/") for url in page.requests[1:])
    assert page.errors == []
    assert page.evaluate("window.refused") == []


def test_a_file_that_is_dropped_while_the_network_loads(exported, chromium, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, mixture(3.0, RATE), RATE)
    page = chromium.new_page()
    # Until the metadata of the file is there, and the event that says so is over.
    page.add_init_script(
        """const create = WebAssembly.instantiate;
        WebAssembly.instantiate = async (...all) => {
            await new Promise((done) => setTimeout(done, 1000));
            return create(...all);
        };"""
    )
    page.goto((exported / "model.html").as_uri())
    assert page.get_by_text(READY, exact=True).count() == 0
    page.set_input_files("#files", path)
    assert heard(page)["a.wav"].keys() == {"high", "low"}
    page.close()


def test_a_browser_that_cannot_run_it_says_so(exported, chromium):
    page = chromium.new_page()
    page.add_init_script("window.URL = class { constructor() { throw TypeError('no URL'); } };")
    page.goto((exported / "model.html").as_uri())
    said = page.locator("#status").inner_text()
    assert said.startswith("This browser cannot run the page: ")
    assert said.endswith("no URL")
    page.close()


def test_onnxruntime_is_made_for_pages_that_are_files(exported, tarball):
    # In Firefox, the origin of a file is "null", which is no base of an address.
    script = (exported / "model.html").read_text(encoding="utf-8")
    assert runtime(tarball).script.count("location.origin") == 1
    assert script.count('(location.origin==="null"?void 0:location.origin)') == 1


def test_nothing_can_leave(exported, opened):
    page = opened(exported / "model.html")
    page.evaluate(
        """async () => {
            await fetch("https://example.org/").catch(() => 0);
            navigator.sendBeacon("https://example.org/", "x");
            try { new WebSocket("wss://example.org/"); } catch { }
            const image = new Image();
            await new Promise((done) => {
                image.onerror = done;
                image.src = "https://example.org/a.png";
            });
        }"""
    )
    assert page.evaluate("window.refused.sort()") == ["connect-src"] * 3 + ["img-src"]
    policy = Page(exported / "model.html").policy
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[^']+' 'wasm-unsafe-eval'", policy["script-src"])
    assert "connect-src" not in policy


def test_what_cannot_be_used_gets_a_sentence(exported, opened, tmp_path):
    sounds = {
        "short": (tone(200.0, 0.5, 0), "is 0.5 s long; 1.0 s are needed"),
        "silent": (np.zeros(2 * RATE), "is silent"),
        "constant": (np.full(2 * RATE, 0.3), "is silent"),
        "crossed": (tone(200.0, 2, 0)[:, None] * [1, -1], "channels that cancel"),
        "broken": (np.full(2 * RATE, np.nan), "samples that are not numbers"),
        "mix": (np.zeros(RATE * (60 * LONGEST_MIN + 1)), "is 15:01 long, more than 15:00"),
    }
    said = {f"{name}.wav": words for name, (_, words) in sounds.items()}
    for name, (y, _) in sounds.items():
        kind = "FLOAT" if name == "broken" else "PCM_16"
        soundfile.write(tmp_path / f"{name}.wav", y, RATE, subtype=kind)
    said |= {"empty.mp3": "is empty", "<b>text.mp3": "is no audio that this browser can decode"}
    (tmp_path / "empty.mp3").touch()
    said["large.wav"] = "has more than 1 GB"
    with (tmp_path / "large.wav").open("wb") as stream:
        stream.truncate(1_000_000_001)  # no block of the disk
    (tmp_path / "<b>text.mp3").write_text("no audio")
    page = opened(exported / "model.html")
    page.set_input_files("#files", [tmp_path / name for name in said])
    found = heard(page, len(said))
    assert {name for name, words in said.items() if words not in found[name]} == set()
    assert page.errors == []


@pytest.mark.parametrize("position", ["spread", "middle", "start"])
def test_several_excerpts_are_one_answer(exported, job, opened, tmp_path, position):
    several = position == "start"
    (body,) = Page(exported / "model.html").all("body")
    about = json.loads(body["data-about"]) | {"several_labels": several}
    changed = {"position": position, "offset_s": 0.7}
    about["excerpts"] |= changed | {"count": 3}
    source = (exported / "model.html").read_text(encoding="utf-8")
    told = f'data-about="{html.escape(json.dumps(about))}"'
    written = tmp_path / "other.html"
    written.write_text(re.sub('data-about="[^"]*"', lambda _: told, source), encoding="utf-8")
    path = tmp_path / "a.wav"
    soundfile.write(path, mixture(5.0, RATE), RATE)
    page = opened(written)
    page.set_input_files("#files", [path])

    restored = load(job.run).restored
    experiment = replaced(restored.experiment, "features.excerpts", 3)
    for name, value in changed.items():
        experiment = replaced(experiment, f"features.{name}", value)
    model = Model(replace(restored, experiment=experiment))
    want = model.predict(path)
    if several:
        # The network has one label a track: what the page makes of its answers is by hand.
        parts = [
            Model(restored).predict(one.y, RATE) for one in excerpts(path, experiment.features)
        ]
        assert len(parts) == 3
        want = {name: expit(np.mean([logit(p[name]) for p in parts])) for name in want}
    assert heard(page)["a.wav"] == pytest.approx(want, abs=1e-4)


def test_it_works_by_keyboard_and_fits_narrow_screens(exported, opened):
    page = opened(exported / "model.html")
    # The browser takes a moment to hand file choosers over; a key before that opens none.
    page.on("filechooser", lambda _: None)
    page.bring_to_front()
    page.wait_for_timeout(500)
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.locator("details pre").first.text_content() == "the <card>"


def test_another_file_than_the_package_is_refused(tmp_path):
    (tmp_path / TARBALL.file).write_bytes(b"something else")
    with pytest.raises(KitError, match=r"its SHA-512 is .* npm pack onnxruntime-web@"):
        runtime(tmp_path / TARBALL.file)
    with pytest.raises(KitError, match=r"cannot read .*missing\.tgz"):
        runtime(tmp_path / "missing.tgz")


def test_without_npm_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitError, match=r"npm is not on this machine\); .* --onnxruntime-web onnx"):
        runtime()
    assert list(tmp_path.iterdir()) == []

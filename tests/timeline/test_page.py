"""The page of a timeline in Chromium: pointer, keys, playing, three widths, two schemes."""

import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from kit.timeline.files import write
from kit.timeline.joins import Fade
from kit.timeline.listen import Answers
from kit.timeline.tempo import Tempo
from kit.timeline.timeline import assembled
from tests.conftest import RATE, tone
from tests.page import watched

STARTS = (0.0, 20.0, 45.0)
DURATION = 70.0


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of one timeline whose audio is embedded, beside the page, and gone."""
    folder = tmp_path_factory.mktemp("pages")
    mix = folder / "mix <1>.wav"
    soundfile.write(mix, tone(200.0, DURATION, 0), RATE)
    start = np.arange(0, 67.5, 1.5)
    logit = np.where((start > 20) & (start < 45), -2.0, 2.0)
    logs = np.stack([-np.logaddexp(0, -logit), -np.logaddexp(0, logit)], axis=1).astype(np.float32)
    made = assembled(
        str(mix),
        ("techno", "edm"),
        Answers(DURATION, start, start + 3.0, logs),
        stay_s=20.0,
        fades=[Fade(20.0, 8.0), Fade(45.0, 8.0)],
        tempo=tuple(Tempo(t, 125.0, 131.0 if 15 < t < 25 else None) for t in np.arange(8.0, 62, 5)),
        spectrogram=np.random.default_rng(0).integers(0, 255, (200, 64)).astype(np.uint8),
    )
    assert [one.start_s for one in made.sections] == list(STARTS)
    found = {name: folder / f"{name}.html" for name in ("embedded", "beside", "gone")}
    write(made, found["embedded"], embed_mib=24.0)
    write(made, found["beside"], embed_mib=0.1)
    mix.rename(folder / "other.wav")
    write(made, found["gone"])
    (folder / "other.wav").rename(mix)
    return found


@pytest.fixture
def opened(chromium, pages):
    """A function that opens one of the pages, and notes requests, errors and what is forbidden."""
    contexts = []

    def opens(name, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = watched(context.new_page())
        page.goto(pages[name].as_uri(), wait_until="load")
        return page

    yield opens
    for context in contexts:
        context.close()


def position(page):
    """Seconds at which the cursor stands."""
    return DURATION * float(page.locator("#cursor").get_attribute("x1")) / 10_000


@pytest.mark.parametrize("name", ["embedded", "beside", "gone"])
def test_pointer_keys_and_buttons_move_the_position(opened, pages, name):
    page = opened(name)
    stage = page.locator("#stage")
    box = stage.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert position(page) == pytest.approx(35, abs=0.2)
    stage.press("Home")
    for key, seconds in (
        *(("ArrowRight", 5), ("ArrowUp", 10), ("ArrowLeft", 5), ("ArrowDown", 0)),
        *(("ArrowLeft", 0), ("PageUp", 60), ("ArrowRight", 65), ("PageDown", 5)),
        *(("]", 20), ("]", 45), ("]", 45), ("[", 20), ("[", 0), ("[", 0)),
        *(("End", DURATION), ("ArrowRight", DURATION), ("[", 45), ("x", 45), ("Home", 0)),
    ):
        stage.press(key)
        assert position(page) == pytest.approx(seconds, abs=0.05), key
    page.get_by_role("button", name="Jump to 0:20").click()
    assert position(page) == pytest.approx(20, abs=0.05)
    assert page.locator("#now").inner_text() == "0:20 edm"
    assert stage.get_attribute("aria-valuetext") == "0:20 edm"
    assert page.locator("tr.is-now th").all_inner_texts() == ["0:20"]
    if name == "gone":
        assert page.locator("audio").count() == 0
        assert "missing or cannot be read: mix <1>.wav" in page.locator(".play").inner_text()
        stage.press(" ")
    else:
        assert page.locator("#sound").evaluate("(e) => e.currentTime") == pytest.approx(20, abs=0.1)
    sound = (pages[name].parent / "mix <1>.wav").as_uri()
    beside = [sound] if name == "beside" else []
    asked = [url for url in page.requests if not url.startswith("data:")]
    assert list(dict.fromkeys(asked)) == [pages[name].as_uri(), *beside]
    assert page.errors == []
    assert page.evaluate("window.refused") == []


@pytest.mark.parametrize("name", ["embedded", "beside"])
def test_the_cursor_runs_as_the_sound_plays(opened, name):
    page = opened(name)
    page.locator("#stage").press("]")
    page.locator("#stage").press(" ")
    page.wait_for_timeout(700)
    page.locator("#stage").press(" ")
    assert 20.1 < position(page) < 24
    assert page.locator("#sound").evaluate("(e) => e.paused")
    stopped = page.locator("#sound").evaluate("(e) => e.currentTime")
    page.wait_for_timeout(300)
    assert position(page) == pytest.approx(stopped, abs=0.3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 760, 1200])
def test_it_fits_screens_and_can_be_read_in_both_schemes(opened, width, scheme):
    page = opened("embedded", viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ticks = page.locator("#stage .ticks text").all()
    boxes = [box for tick in ticks if (box := tick.bounding_box()) is not None]
    stage = page.locator("#stage").bounding_box()
    assert len(boxes) >= 3
    for box, after in pairwise(boxes):
        assert box["x"] + box["width"] + 8 < after["x"]
    assert boxes[0]["x"] > stage["x"]
    assert boxes[-1]["x"] + boxes[-1]["width"] < stage["x"] + stage["width"]
    paper = luminance(page, "#stage", "backgroundColor")
    assert (paper > 0.5) == (scheme == "light")
    ground = luminance(page, "body", "backgroundColor")
    for place, on, kind in (
        *((".note", ground, "color"), ("#now", ground, "color"), ("tbody button", ground, "color")),
        *(("#stage .ticks text", paper, "fill"), ("#stage .tempo path", paper, "stroke")),
    ):
        light, dark = sorted((luminance(page, place, kind), on), reverse=True)
        # The Web Content Accessibility Guidelines, level AA.
        assert (light + 0.05) / (dark + 0.05) > 4.5, place


def luminance(page, place, kind):
    """Relative luminance of a colour of an element, by the definition of WCAG 2."""
    said = page.locator(place).first.evaluate("(e, kind) => getComputedStyle(e)[kind]", kind)
    values = np.array([int(x) for x in re.findall(r"\d+", said)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])

"""`kit timeline` on a mix of two labels, and the files that it writes."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.conftest import RATE, tone
from tests.page import Page


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    """Two minutes of each label, with a name that a page must escape."""
    y = np.concatenate([tone(1500.0, 120, 0), tone(200.0, 120, 1)])
    path = tmp_path_factory.mktemp("mix") / "a <b> & \"c\" 'd'.flac"
    soundfile.write(path, y, RATE)
    return path


def test_every_format_of_a_mix(command, job, mix, tmp_path):
    endings = ("json", "csv", "txt", "cue", "srt", "html", "png", "svg")
    outs = [tmp_path / f"out.{ending}" for ending in endings]
    code, out, err = command("timeline", job.run, mix, "--out", *outs)
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 2
    assert re.match(r" +0:00 – +[12]:\d\d  high +\d+\.\d%", lines[0])
    assert re.match(r" +[12]:\d\d – +4:00  low ", lines[1])
    for path in outs:
        assert f"wrote {path}" in err

    value = json.loads(outs[0].read_text(encoding="utf-8"))
    assert [one["label"] for one in value["sections"]] == ["high", "low"]
    assert value["sections"][0]["end_s"] == pytest.approx(120, abs=3)
    assert value["duration_s"] == 240.0
    rows = list(csv.DictReader(io.StringIO(outs[1].read_text(encoding="utf-8"))))
    assert [row["label"] for row in rows] == ["high", "low"]
    assert len(outs[2].read_text(encoding="utf-8").splitlines()) == 2
    assert "INDEX 01 00:00:00" in outs[3].read_text(encoding="utf-8")
    assert "00:04:00,000" in outs[4].read_text(encoding="utf-8")
    with Image.open(outs[6]) as image:
        assert image.width > 1000
    assert ET.parse(outs[7]).getroot().tag.endswith("svg")

    page = Page(outs[5])
    assert mix.name in page.text
    (sound,) = page.all("audio")
    assert sound["src"].startswith("data:audio/flac;base64,")
    (stage,) = [tag for tag in page.all("div") if tag.get("id") == "stage"]
    assert json.loads(stage["data-labels"]) == ["high", "low"]
    assert json.loads(stage["data-starts"])[1] == pytest.approx(120, abs=3)
    assert len([tag for tag in page.all("button") if "data-at" in tag]) == 2
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", page.source)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert page.policy["default-src"] == "'none'"
    assert page.policy["script-src"].startswith("'sha256-")


def test_large_audio_stays_beside_the_page(command, job, mix, tmp_path):
    out = mix.parent / "out.html"
    code, _, _ = command("timeline", job.run, mix, "--out", out, "--embed-mib", 0.1)
    assert code == 0
    (sound,) = Page(out).all("audio")
    assert sound["src"] == "a%20%3Cb%3E%20%26%20%22c%22%20%27d%27.flac"


def test_pictures_are_light_or_dark(command, job, mix, tmp_path):
    papers = {"light": (255, 255, 255), "dark": (0x17, 0x18, 0x1C)}
    for name, paper in papers.items():
        outs = [tmp_path / f"{name}.{ending}" for ending in ("png", "svg")]
        given = ["--dark"] if name == "dark" else []
        assert command("timeline", job.run, mix, "--out", *outs, *given)[0] == 0
        with Image.open(outs[0]) as image:
            assert image.convert("RGB").getpixel((0, 0)) == paper
        assert "#{:02x}{:02x}{:02x}".format(*paper) in outs[1].read_text(encoding="utf-8")


def test_the_length_of_sections_may_be_given(command, job, mix):
    code, out, _ = command("timeline", job.run, mix, "--section-minutes", 300)
    assert code == 0
    assert 1 <= len(out.splitlines()) <= 2


def test_a_damaged_mix_ends_early_and_says_so(command, job, mix, tmp_path):
    data = mix.read_bytes()
    torn = tmp_path / "torn.flac"
    torn.write_bytes(data[: len(data) * 3 // 4])
    code, out, err = command("timeline", job.run, torn)
    assert code == 1
    assert re.search(r"– +[23]:\d\d  low", out)
    assert "torn.flac" in err
    assert "the timeline ends at" in err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--risk", 0), "--risk is 0"),
        (("--section-minutes", 0), "--section-minutes is 0"),
        (("--out", "a.pdf"), "a.pdf: a timeline is written as .json"),
    ],
)
def test_wrong_usage_is_refused_before_work(command, tmp_path, flags, says):
    code, _, err = command("timeline", tmp_path / "no-run", tmp_path / "no.mp3", *flags)
    assert code == 2
    assert says in err


def test_what_is_no_audio(command, job, tmp_path):
    (tmp_path / "a.mp3").write_text("no audio")
    code, _, err = command("timeline", job.run, tmp_path / "a.mp3")
    assert code == 1
    assert "a.mp3" in err

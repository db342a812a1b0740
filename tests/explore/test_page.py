"""The page as a browser's parser sees it: one file, nothing fetched, nothing that can run."""

import base64
import io
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from kit.catalogue import Failure
from kit.config import FeatureConfig
from kit.explore.audio_figures import Detail, Wall
from kit.explore.page import write_page
from kit.explore.statistics import select
from kit.explore.table_figures import draw_table
from kit.explore.tracks import Track
from kit.plots.html import page_figure
from kit.plots.style import DARK, LIGHT, new_figure
from tests.page import Page

from .conftest import LIMIT_MIB, of_table

HOSTILE = '"><script>alert(1)</script></style><img src=https://example.com onerror=x>'


def sections(page):
    return re.findall(r'<h2 id="([\w-]+)">', page.source)


def test_the_page_is_one_file_that_fetches_and_runs_nothing(explored):
    page = explored.page
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in page.elements:
        assert not [a for a in attributes if a.startswith("on") or a == "style"]
        for key in ("src", "srcset"):
            if key in attributes and tag != "audio":
                assert attributes[key].startswith("data:image/")
        assert ":" not in attributes.get("href", "")
    (meta,) = [m for m in page.all("meta") if m.get("http-equiv")]
    assert meta["content"].startswith("default-src 'none'; style-src 'sha256-")
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page.source)


def test_it_begins_with_figures_and_ends_with_numbers(explored):
    page = explored.page
    order = ["features", "walls", "details", "alone", "numbers", "left-out"]
    assert sections(page) == order
    assert [a["href"] for a in page.all("a")][:6] == [f"#{name}" for name in order]
    assert page.source.index("<picture>") < page.source.index("<table>")


def test_it_says_what_differs_what_is_missing_and_what_is_left_out(explored):
    page = explored.page
    assert page.all("title") == [{}]
    assert "64 techno , 44 edm" in page.text
    assert "house" not in page.text
    assert "Instrumentalness differs most" in page.text
    assert re.search(
        r"instrumentalness: median 0\.\d\d in techno against 0\.\d\d in edm", page.text
    )
    assert "their source is spotify" in page.text
    assert "Some terms hold." in page.text
    # Of 54 techno tracks of the source seven lack their tempo, as four clips do.
    row = re.search(
        r"tempo \(BPM\)</th><td class=\"word\"><bdi>techno</bdi></td>(.*?)</tr>", page.source
    )
    assert row[1].startswith("<td>47</td><td>11</td>")


def test_every_figure_names_its_files(explored):
    links = {unquote(a["href"]) for a in explored.page.all("a")}
    assert {path.name for path in explored.result.figures} <= links


def test_every_track_that_is_shown_has_a_player_and_the_page_keeps_its_size(explored):
    page = explored.page
    players = page.all("audio")
    # Three tracks of two labels, and three in detail.
    assert len(players) == 9
    assert all("controls" in player and player["aria-label"] for player in players)
    kinds = ["data" if p["src"].startswith("data:audio/wav;base64,") else "file" for p in players]
    # The one of 120 seconds does not fit.
    assert kinds.count("file") == 1
    assert explored.result.page.stat().st_size <= LIMIT_MIB * 2**20
    linked = [unquote(p["src"]) for p in players if not p["src"].startswith("data:")]
    assert all((explored.result.page.parent / link).is_file() for link in linked)
    assert page.policy["media-src"] == "data: 'self' file:"
    assert "which must stay in place" in page.text


def test_every_picture_is_a_picture_of_its_size_with_words(explored):
    pictures = explored.page.all("img")
    assert all(picture["alt"] for picture in pictures)
    sized = [picture for picture in pictures if "width" in picture]
    # Four figures of the table, two of its labels, three tracks in detail.
    assert len(sized) == 9
    assert len(pictures) == 9 + 6 + 2
    for picture in sized:
        head, text = picture["src"].split(",")
        data = base64.b64decode(text, validate=True)
        if head == "data:image/svg+xml;base64":
            width = float(ElementTree.fromstring(data).attrib["width"].removesuffix("pt")) * 96 / 72
        else:
            width = Image.open(io.BytesIO(data)).width * 96 / 160
        assert round(width) == int(picture["width"])


def test_a_narrow_screen_has_figures_that_fit_it(explored):
    """A window of 420 pixels leaves 372 for a picture: more is scaled down, never cut off."""
    narrow = [a for a in explored.page.all("source") if "max-width" in a["media"]]
    assert len(narrow) == 2 * 9
    assert all(int(source["width"]) <= 400 for source in narrow)
    assert all("(prefers-color-scheme: dark)" in source["media"] for source in narrow[::2])


def test_a_label_has_one_colour_in_every_figure(explored):
    out = explored.result.page.parent
    for name, here, absent in (("techno", 0, 1), ("edm", 1, 0)):
        text = (out / f"histograms-{name}.svg").read_text()
        assert LIGHT.series[here] in text
        assert LIGHT.series[absent] not in text
        assert LIGHT.series[here] in (out / f"track-{name}.svg").read_text()
        assert LIGHT.series[absent] not in (out / f"track-{name}.svg").read_text()
        assert f'<span class="swatch c{here}"></span><bdi>{name}</bdi>' in explored.page.source
    for number in (0, 1):
        assert f".c{number}{{--dot:{DARK.series[number]}}}" in explored.page.source


def test_hostile_text_is_text(two_labels, tmp_path):
    table = two_labels[["track_id", "label", "tempo"]].replace({"techno": HOSTILE})
    figure = page_figure(
        lambda **_: new_figure(1, 1), tmp_path / "figure", HOSTILE, HOSTILE, raster=True
    )
    catalogue = of_table(tmp_path, table)
    labels = list(dict.fromkeys(table["label"]))
    report = draw_table(
        select(catalogue.table),
        dict(zip(labels, LIGHT.series, strict=False)),
        {label: f"label{i}" for i, label in enumerate(labels)},
        tmp_path,
        projection="pca",
    )
    track = Track({"track_id": "x", "label": HOSTILE, "title": HOSTILE}, catalogue)
    written = write_page(
        tmp_path / "page.html",
        counts={"a\udcff": 1, **dict.fromkeys(labels, 50)},
        numbers={HOSTILE: 0},
        report=report,
        walls=[Wall(HOSTILE, figure.files, (track,), ("data:image/png;base64,",), ("a", "b"))],
        details=[Detail(figure, track)],
        config=FeatureConfig(),
        notes=[HOSTILE],
        notices=[HOSTILE],
        failures=[Failure("x", "explore", "not_audio", HOSTILE)] * 25,
        limit_mib=1,
    )
    page = Page(written)
    assert "<script" not in page.source
    assert page.source.count("</style>") == 1
    assert page.text.count(HOSTILE) > 10
    assert "And 5 more." in page.text
    assert "The catalogue names no audio file." in page.text
    assert np.any([a["src"].startswith("data:image/jpeg;base64,") for a in page.all("img")])

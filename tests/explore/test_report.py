"""The page as a browser's parser sees it: one file, nothing fetched, nothing that can run."""

import base64
import dataclasses
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from kit.catalogue import Catalogue, Failure, validate
from kit.config import FeatureConfig
from kit.explore import explore
from kit.explore.canvas import new_figure, save_both
from kit.explore.page import Plate
from kit.explore.report import write_page
from tests.page import Page

from .conftest import make_two_labels

HOSTILE = '"><script>alert(1)</script></style><img src=https://example.com onerror=x>'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    table = make_two_labels().drop(columns="release_date")
    table.loc[:6, "tempo"] = np.nan
    notices = ("Some terms hold.",)
    catalogue = Catalogue(folder, validate(table, source="the test"), folder, notices)
    return Page(explore([catalogue], FeatureConfig(), folder / "out").page)


def test_the_page_is_one_file_that_fetches_and_runs_nothing(page):
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, attributes in page.elements:
        assert not [a for a in attributes if a.startswith("on") or a == "style"]
        for key in ("src", "href", "srcset"):
            if key in attributes:
                assert attributes[key].startswith("data:image/")
    (meta,) = [m for m in page.all("meta") if m.get("http-equiv")]
    assert meta["content"].startswith("default-src 'none'; style-src 'sha256-")
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page.source)


def test_it_says_what_differs_what_is_missing_and_what_is_left_out(page):
    assert page.all("title") == [{}]
    assert "Instrumentalness differs most" in page.text
    assert re.search(
        r"instrumentalness: median 0\.\d\d in techno against 0\.\d\d in edm", page.text
    )
    assert "Features of 100 tracks; the table does not name their source." in page.text
    assert "Some terms hold." in page.text
    assert "There are no figures of audio" in page.text
    assert "no track has both a release_date and a tempo" in page.text
    # Of 60 techno tracks seven lack their tempo.
    row = re.search(
        r"tempo \(BPM\)</th><td class=\"word\"><bdi>techno</bdi></td>(.*?)</tr>", page.source
    )
    assert row[1].startswith("<td>53</td><td>7</td>")


def test_every_picture_is_a_picture_of_its_size_with_words(page):
    pictures = page.all("img")
    assert len(pictures) == 5
    for picture in pictures:
        head, text = picture["src"].split(",")
        data = base64.b64decode(text, validate=True)
        if head == "data:image/svg+xml;base64":
            width = float(ElementTree.fromstring(data).attrib["width"].removesuffix("pt")) * 96 / 72
        else:
            width = Image.open(io.BytesIO(data)).width * 96 / 160
        assert round(width) == int(picture["width"])
        assert picture["alt"]


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_hostile_text_is_text(two_labels, tmp_path):
    table = two_labels[["track_id", "label", "artists", "tempo", "energy"]]
    table = table.replace({"techno": HOSTILE})
    catalogue = Catalogue(tmp_path, validate(table, source="the test"), tmp_path, (HOSTILE,))
    failure = Failure("x", "explore", "not_audio", HOSTILE)
    result = explore([catalogue], FeatureConfig(), tmp_path / "out")
    page = Page(result.page)
    assert "<script" not in page.source
    assert page.source.count("</style>") == 1
    assert page.text.count(HOSTILE) > 10
    plate = Plate.of(save_both(new_figure(1, 1), tmp_path / "figure"), HOSTILE, HOSTILE)
    written = write_page(
        tmp_path / "page.html",
        counts={"a\udcff": 1},
        report=None,
        audio=[plate],
        notes=[HOSTILE],
        notices=[],
        failures=[dataclasses.replace(failure)] * 25,
    )
    page = Page(written)
    assert "<script" not in page.source
    assert "And 5 more." in page.text
    assert page.all("img")[0]["src"].startswith("data:image/jpeg;base64,")

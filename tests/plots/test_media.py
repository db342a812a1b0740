"""Thumbnails by value, URLs against the standard library's own parser."""

import io
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest
from PIL import Image

from kit.plots.media import embed_players, linked_players, relative_url, thumbnail


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_thumbnail_has_time_to_the_right_and_low_notes_below():
    features = np.full((400, 16), -80, np.float32)
    features[300:, 2] = 0  # a low note late in the clip
    image = pixels(thumbnail(features)).sum(axis=2)
    assert image.shape == (16, 400)
    bright = np.argwhere(image > image.min())
    assert set(bright[:, 0]) == {13}
    assert (bright[:, 1].min(), bright[:, 1].max()) == (300, 399)


def test_thumbnail_averages_what_is_too_wide():
    features = np.tile(np.array([[-60.0], [0.0]], np.float32), (640, 8))
    image = pixels(thumbnail(features))
    assert image.shape == (8, 1280 // 3, 3)


@pytest.mark.parametrize("value", [0.0, -80.0, np.nan])
def test_thumbnail_of_one_value_is_a_picture(value):
    assert pixels(thumbnail(np.full((10, 4), value, np.float32))).shape == (4, 10, 3)


@pytest.mark.parametrize(
    "name", ["plain.mp3", "Ä & B #1 100%?.mp3", "a:b.mp3", "電子 音楽.flac", "\"q' <x>.wav"]
)
def test_relative_url_leads_back_to_the_file(tmp_path, name):
    page = (tmp_path / "runs" / "one").resolve()
    target = (tmp_path / "music" / name).resolve()
    url = relative_url(target, page)
    absolute = urlsplit(urljoin((page / "report.html").as_uri(), url))
    assert absolute.scheme == "file"
    assert not absolute.query
    assert not absolute.fragment
    assert Path(unquote(absolute.path)) == target


def test_relative_url_beside_the_page_is_no_scheme(tmp_path):
    assert urlsplit(relative_url(tmp_path / "a:b.mp3", tmp_path)).scheme == ""


def test_players_of_what_is_there_and_what_is_not(tmp_path):
    (tmp_path / "there.mp3").write_bytes(b"x" * 300)
    paths = [tmp_path / "there.mp3", tmp_path / "gone.mp3", tmp_path, None]
    players = linked_players(paths, tmp_path)
    assert [p.kind for p in players] == ["linked", "missing", "missing", "missing"]
    assert players[0].src == "there.mp3"
    assert "gone.mp3" in players[1].note
    assert embed_players(players, paths, 10_000)[1:] == players[1:]


def test_embedding_goes_in_order_and_takes_what_still_fits(tmp_path):
    sizes = (300, 3000, 300)
    paths = [tmp_path / f"{i}.mp3" for i in range(3)]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"x" * size)
    linked = linked_players(paths, tmp_path)
    kinds = [p.kind for p in embed_players(linked, paths, 1000)]
    assert kinds == ["embedded", "linked", "embedded"]
    uri = len("data:audio/mpeg;base64,") + 400
    for budget, expected in ((uri - 1, "linked"), (uri, "embedded"), (-5, "linked")):
        assert embed_players(linked, paths, budget)[0].kind == expected

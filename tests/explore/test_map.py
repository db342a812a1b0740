"""The map's page as a browser's parser sees it, its places, and its players."""

import base64
import hashlib
import itertools
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from kit.catalogue import Catalogue, validate
from kit.errors import UsageError
from kit.explore.map import SHAPES, write_map
from kit.explore.projection import plane
from kit.features.similar import nearest, units_of
from tests.page import Page

HOSTILE = '"></use><script>alert(1)</script></style><img src=https://example.com onerror=x>'


def catalogue_of(folder, labels, **columns):
    """A catalogue of tracks whose files are `folder/0.mp3`, `folder/1.mp3`, …"""
    count = len(labels)
    table = pd.DataFrame(
        {
            "track_id": [f"id{i}" for i in range(count)],
            "label": labels,
            "path": [f"{i}.mp3" for i in range(count)],
        }
        | columns
    )
    return Catalogue(folder, validate(table, source="the test"), folder)


def blobs(sizes, width=20, seed=0):
    """Rows about one centre for each size, and the number of the centre of each row."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), width))
    of = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[of] + 0.1 * rng.normal(size=(len(of), width))).astype(np.float32), of


def dots_of(page):
    return [a for a in page.all("use") if "data-title" in a]


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_tracks_of_similar_embeddings_lie_together(method):
    rows, of = blobs([20, 20, 20])
    points = plane(units_of(rows), method)
    assert points.shape == (60, 2)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_array_equal(of[apart.argmin(axis=1)], of)


def test_components_are_those_of_scikit_learn_on_unit_rows():
    units = units_of(blobs([10, 15])[0])
    np.testing.assert_allclose(
        np.abs(plane(units, "pca")), np.abs(PCA(2).fit_transform(units)), atol=1e-6
    )


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_copies_and_few_tracks_have_places_too(method):
    rows = blobs([3])[0]
    assert np.isfinite(plane(units_of(rows), method)).all()
    copies = plane(units_of(np.concatenate([rows, rows])), method)
    assert np.isfinite(copies).all()
    np.testing.assert_array_equal(plane(units_of(np.repeat(rows[:1], 4, axis=0)), method), 0)
    with pytest.raises(UsageError, match="a map takes three tracks; 2 have an embedding"):
        plane(units_of(rows[:2]), method)


def test_the_page_is_one_file_whose_policy_allows_its_own_script_alone(tmp_path):
    catalogue = catalogue_of(tmp_path, ["a", "b", "a", "b"])
    rows = blobs([2, 2])[0]
    ids = catalogue.table["track_id"].tolist()
    page = Page(write_map(tmp_path / "map.html", catalogue, ids, rows, projection="pca"))
    names = {tag for tag, _ in page.elements}
    assert not names & {"link", "iframe", "object", "embed", "form", "base", "img"}
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert not [a for _, attributes in page.elements for a in attributes if a == "style"]
    for tag, directive, count in (("script", "script-src", 1), ("style", "style-src", 2)):
        texts = [part.split(f"</{tag}>")[0] for part in page.source.split(f"<{tag}>")[1:]]
        digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
        assert page.policy[directive].split() == [f"'sha256-{digest}'" for digest in digests]
        assert len(texts) == count
    assert page.policy["default-src"] == "'none'"
    assert "https:" not in page.source


def test_a_dot_has_its_names_its_place_and_its_nearest_tracks(tmp_path):
    rows, of = blobs([6, 8])
    labels = [("techno", "edm")[i] for i in of]
    catalogue = catalogue_of(
        tmp_path, labels, title=["", "Ä & B", *[""] * 12], artists=["", "C", *[""] * 12]
    )
    # The embeddings are of some of the tracks, in an order of their own.
    ids = [f"id{i}" for i in (13, *range(12))]
    rows = rows[[13, *range(12)]]
    page = Page(write_map(tmp_path / "map.html", catalogue, ids, rows))
    dots = dots_of(page)
    assert [dot["data-title"] for dot in dots[:4]] == ["13", "0", "Ä & B", "2"]
    assert dots[2]["data-artists"] == "C"
    assert dots[2]["aria-label"] == "Ä & B, C, techno"
    # Labels are in order of the alphabet.
    assert [dot["data-kind"] for dot in dots] == ["0"] + ["1"] * 6 + ["0"] * 6
    assert "edm 7" in page.text
    for at, dot in enumerate(dots):
        expected = nearest(units_of(rows), at, 5)
        assert dot["data-near"] == " ".join(f"{i}:{cosine:.2f}" for i, cosine in expected)
    for axis in ("x", "y"):
        places = [float(dot[axis].removesuffix("%")) for dot in dots]
        assert (min(places), max(places)) == (4, 96)


def test_labels_differ_in_colour_and_in_shape(tmp_path):
    labels = [f"label {i:02}" for i in range(42)]
    catalogue = catalogue_of(tmp_path, labels)
    rows = blobs([42])[0]
    ids = catalogue.table["track_id"].tolist()
    page = Page(write_map(tmp_path / "map.html", catalogue, ids, rows, projection="pca"))
    signs = [(dot["class"], dot["href"]) for dot in dots_of(page)]
    assert len(set(signs)) == 42
    for (colour, shape), (next_colour, next_shape) in itertools.pairwise(signs):
        assert colour != next_colour
        assert shape != next_shape
    assert {f"#{a['id']}" for a in page.all("path")} == {shape for _, shape in signs}
    assert len(page.all("path")) == len(SHAPES)
    # Each colour is defined for light screens and for dark ones.
    assert all(page.source.count(f".{colour}{{--dot:#") == 2 for colour, _ in signs)


def test_audio_is_inside_if_all_of_it_fits_and_is_linked_if_not(tmp_path):
    music, out = tmp_path / "music", tmp_path / "pages" / "map.html"
    music.mkdir()
    for i in range(3):
        (music / f"{i}.mp3").write_bytes(bytes([i]) * 3000)
    catalogue = catalogue_of(music, ["a", "a", "b", "b"])
    rows, ids = blobs([4])[0], catalogue.table["track_id"].tolist()

    def page(limit_mib):
        written = write_map(out, catalogue, ids, rows, projection="pca", limit_mib=limit_mib)
        return Page(written), [dot["data-src"] for dot in dots_of(Page(written))]

    whole, sources = page(1)
    assert base64.b64decode(sources[1].removeprefix("data:audio/mpeg;base64,")) == b"\1" * 3000
    assert sources[3] == ""
    assert "3.mp3" in dots_of(whole)[3]["data-note"]
    assert whole.policy["media-src"] == "data:"
    beside, sources = page(0.01)
    assert [unquote(source) for source in sources] == [f"../music/{i}.mp3" for i in range(3)] + [""]
    assert beside.policy["media-src"] == "data: 'self' file:"
    assert "which must stay in place" in beside.text


def test_hostile_names_are_text(tmp_path):
    catalogue = catalogue_of(
        tmp_path, [HOSTILE, "a", "b"], title=[HOSTILE] * 3, artists=[HOSTILE] * 3
    )
    ids = catalogue.table["track_id"].tolist()
    page = Page(write_map(tmp_path / "map.html", catalogue, ids, blobs([3])[0]))
    assert len(page.all("script")) == 1
    assert page.source.count("</script>") == 1
    assert page.source.count("</style>") == 2
    assert dots_of(page)[0]["data-title"] == HOSTILE
    assert HOSTILE in page.text


def test_a_folder_is_no_place_for_a_page(tmp_path):
    catalogue = catalogue_of(tmp_path, ["a"] * 3)
    with pytest.raises(UsageError, match="is a folder; --out takes the name of a file"):
        write_map(tmp_path, catalogue, catalogue.table["track_id"].tolist(), blobs([3])[0])

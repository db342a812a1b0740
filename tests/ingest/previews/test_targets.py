"""Which rows, which files, and whose audio."""

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.catalogue.rights import NOTICE
from kit.ingest.previews.targets import folder_of, make_plan, path_of, source_of

LABELS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


@pytest.mark.parametrize("label", ["techno", "EDM", "Drum_and-Bass", "deep house", "テクノ", "Ünï"])
def test_a_plain_label_is_its_folder(label):
    assert folder_of(label) == label


@given(LABELS)
@example("..")
@example(".")
@example("../../etc")
@example("/etc")
@example("a/b")
@example("a\\b")
@example("con:x|y?*")
@example("~")
@example("\u202e")
@example(" a")
@example("音" * 200)
def test_any_label_is_one_folder_inside(label):
    path = PurePosixPath(path_of({"track_id": "t1", "label": label}, "audio"))
    assert len(path.parts) == 3
    assert path.parts[0] == "audio"
    assert path.parts[1] not in (".", "..")
    assert not path.parts[1].startswith((".", " "))
    assert not path.parts[1].endswith((".", " "))
    assert not set(path.parts[1]) & set('/\\:*?"<>|\0')
    assert len(path.parts[1].encode()) <= 100
    assert path.name == "t1.mp3"


@given(LABELS, LABELS)
@example("a/b", "a_b")
@example("a/b", "a:b")
def test_two_labels_have_two_folders(one, other):
    assert (folder_of(one) == folder_of(other)) == (one == other)


def rows(**more):
    return {"track_id": "t1", "label": "x", "preview_url": "https://p.scdn.co/1"} | more


def test_rows_that_are_wanted(tmp_path):
    def planned(row):
        wanted, failures = make_plan([row], (), prefix="audio", root=tmp_path)
        return [w.path for w in wanted], [f.reason for f in failures]

    assert planned(rows()) == (["audio/x/t1.mp3"], [])
    assert planned(rows(path="own/a.mp3")) == ([], [])
    assert planned(rows(preview_url="")) == ([], ["no_preview"])
    assert planned({"track_id": "t1", "label": "x"}) == ([], ["no_preview"])
    assert planned(rows(preview_url="http://a")) == ([], ["not_https"])
    assert planned(rows(preview_url="https://a.example/1")) == ([], ["refused_host"])
    # Downloaded before: left alone while it is there.
    assert planned(rows(path="audio/x/t1.mp3")) == (["audio/x/t1.mp3"], [])
    (tmp_path / "audio/x").mkdir(parents=True)
    (tmp_path / "audio/x/t1.mp3").touch()
    assert planned(rows(path="audio/x/t1.mp3")) == ([], [])


@pytest.mark.parametrize(
    ("host", "row", "notices", "source"),
    [
        ("p.scdn.co", {}, (), "spotify"),
        ("scdn.co", {}, (), "spotify"),
        ("open.spotify.com", {}, (), "spotify"),
        ("evilscdn.co", {}, (), "evilscdn.co"),
        ("p.scdn.co.example", {}, (), "p.scdn.co.example"),
        ("a.example", {}, (), "a.example"),
        ("a.example", {"feature_source": "kit-proxy-1"}, (), "a.example"),
        ("a.example", {"feature_source": "Spotify"}, (), "spotify"),
        ("a.example", {"audio_source": "spotify"}, (), "spotify"),
        ("a.example", {"audio_source": None}, ("Under Spotify's terms.",), "spotify"),
        ("a.example", {}, ("Made by hand.", NOTICE), "a.example"),
    ],
)
def test_whose_audio_it_is(host, row, notices, source):
    assert source_of(row, host, notices) == source

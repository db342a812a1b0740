"""Labels in predictions and catalogues, and the playlists made of them."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import soundfile

from kit.catalogue import Failure, from_folder, save
from kit.catalogue.sources import from_playlists
from kit.catalogue.sources.plain import m3u as read_m3u
from kit.cli.answers import LINES, header, row_of, stamp_of
from kit.errors import UsageError
from kit.evaluation.certainty import Verdict
from kit.predict.many import Prediction
from kit.write.labels import Track, read_labels
from kit.write.playlists import by_label, m3u, rekordbox

NAMES = ("techno/a b.flac", "techno/#1 ä=%20.flac", "house/c & 'd'.flac", "house/e.flac")


@pytest.fixture
def music(tmp_path):
    """A folder with the files of `NAMES`; the first one has tags."""
    import mutagen

    for seed, name in enumerate(NAMES):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(3000), 8000)
    file = mutagen.File(tmp_path / "music" / NAMES[0])
    file["artist"], file["title"] = ["X", "Ü"], '<T> & "U"'
    file.save()
    return tmp_path / "music"


def prediction(path, label, **more):
    whole = {"path": str(path), "start_s": 0.0, "end_s": 30.0, "label": label, "probability": 0.9}
    return whole | more


def test_predictions(music, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        prediction("music/techno/a b.flac", "techno", uncertain=False),
        prediction(music / NAMES[1], "techno", uncertain=True),
        prediction(music / NAMES[2], "house", uncertain=None),
        prediction(music / NAMES[2], "house", uncertain=None),
        prediction(music / NAMES[3], "house", uncertain=False),
        prediction(music / NAMES[3], "techno", uncertain=False),
        prediction("gone.flac", "techno", uncertain=False),
        prediction("", "techno", uncertain=False),
        prediction("a\nb.flac", "techno", uncertain=False),
    ]
    (tmp_path / "p.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_labels(tmp_path / "p.json")
    assert found.tracks == [
        Track(music / NAMES[0], ("techno",)),
        Track(music / NAMES[2], ("house",)),
    ]
    assert [why.reason for why in found.failures] == [
        *("two_labels", "missing_file", "missing_file", "bad_name")
    ]
    assert all(why.message.isprintable() for why in found.failures)
    assert (found.uncertain, found.unjudged) == (1, 2)
    assert len(read_labels(tmp_path / "p.json", uncertain=True).tracks) == 3


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_predictions_as_the_command_writes_them(music, tmp_path, ending):
    share = {"house": 0.25, "techno": 0.75}
    doubts = (True, False, None, False)
    rows = [
        Prediction(
            music / name, 0.0, 30.0, share, Verdict(0.7, doubt, ("techno",)), 128.0, "A minor"
        )
        for name, doubt in zip(NAMES, doubts, strict=True)
    ]
    bad = Failure(str(music / "cut.flac"), "predict", "truncated", f"{music / 'cut.flac'} is cut")
    lines = [
        LINES[ending](row_of(row, stamp_of(music), "run/0"), ("house", "techno"))
        for row in (*rows, bad)
    ]
    path = tmp_path / f"p.{ending}"
    path.write_text("".join([header(ending, ("house", "techno")), *lines]), encoding="utf-8")
    found = read_labels(path)
    assert found.tracks == [Track(music / name, ("techno",)) for name in NAMES[1:]]
    assert (found.uncertain, found.unjudged) == (1, 1)
    (why,) = found.failures
    assert (why.path, why.reason, why.message) == (bad.path, "truncated", bad.message)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "{", "is not JSON lines"),
        ("p.json", "[1]", "a line is not an object"),
        ("p.json", '{"label": "x"}', "has no column path; give what kit predict --out wrote"),
        ("p.csv", "path,genre\na,b\n", "has no column label"),
        ("none.json", None, "cannot be read"),
        ("", None, "is not a catalogue"),
    ],
)
def test_what_holds_no_labels(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        read_labels(tmp_path / name)


def test_playlists_of_a_catalogue_are_read_again(music, tmp_path):
    """M3U and Rekordbox's XML of a catalogue give the same catalogue."""
    scan = from_folder(music)
    save(scan, tmp_path / "c")
    found = read_labels(tmp_path / "c")
    assert found.failures == []
    lists = by_label(found.tracks)
    files = [tmp_path / name for name in m3u(lists)]
    for file, text in zip(files, m3u(lists).values(), strict=True):
        file.write_text(text, encoding="utf-8")
    assert sorted(file.name for file in files) == ["house.m3u8", "techno.m3u8"]
    (tmp_path / "r.xml").write_text(rekordbox(lists), encoding="utf-8")
    want = dict(zip(scan.table["path"], scan.table["label"], strict=True))
    for sources in (files, [tmp_path / "r.xml"]):
        again = from_playlists(sources)
        assert again.failures == []
        assert dict(zip(again.table["path"], again.table["label"], strict=True)) == want
        named = again.table.set_index("path").loc[NAMES[0]]
        assert (named["artists"], named["title"]) == ("X; Ü", '<T> & "U"')


def test_rekordbox_reads_its_xml(music, tmp_path):
    """By pyrekordbox's own reader of the format, and by its counts."""
    tracks = [Track(music / NAMES[0], ("a/b", "c")), Track(music / NAMES[1], ("c",))]
    text = rekordbox(by_label(tracks))
    root = ET.fromstring(text)
    assert root.find("COLLECTION").get("Entries") == "2"
    assert [n.get("Entries") for n in root.iterfind("PLAYLISTS/NODE/NODE")] == ["1", "2"]
    rbxml = pytest.importorskip("pyrekordbox.rbxml")
    (tmp_path / "r.xml").write_text(text, encoding="utf-8")
    read = rbxml.RekordboxXml(tmp_path / "r.xml")
    assert read.num_tracks == 2
    # It cuts "file://localhost/" off, as for a path of Windows.
    assert "/" + read.get_track(TrackID=1)["Location"] == str(music / NAMES[0])
    assert read.get_track(TrackID=1)["Genre"] == "a/b; c"
    assert read.get_playlist("c").get_tracks() == [1, 2]


def test_names_of_playlists(music):
    tracks = [
        Track(music / NAMES[0], (label,))
        for label in ("A/B", "A:B", "a_b", "...", "Drum \u266f Bass", "x\ufffe")
    ]
    files = m3u(by_label(tracks))
    assert list(files) == [
        "A_B.m3u8",
        "A_B (2).m3u8",
        "a_b (3).m3u8",
        "_.m3u8",
        "Drum \u266f Bass.m3u8",
        "x\ufffe.m3u8",
    ]
    assert [read_m3u(text.encode(), "").playlists[0].name for text in files.values()][:2] == [
        "A/B",
        "A:B",
    ]
    ET.fromstring(rekordbox(by_label(tracks)))

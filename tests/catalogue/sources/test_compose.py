"""Playlists of real files to a table of tracks."""

import os
import plistlib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import mutagen
import numpy as np
import pytest
import soundfile

from kit.catalogue import load, save
from kit.catalogue.labels import by_genre, by_table
from kit.catalogue.sources import Entry, Playlist, Source, from_playlists
from kit.catalogue.sources.compose import choose
from kit.errors import UsageError


@pytest.fixture
def track(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, seed: int = 0, **tags: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(3000), 8000)
        if tags:
            file = mutagen.File(path)
            file.update(tags)
            file.save()
        return path

    return write


@pytest.fixture
def playlist(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, *lines: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(os.fspath, lines)), encoding="utf-8")
        return path

    return write


@pytest.fixture
def collection(tmp_path: Path) -> Callable[..., Path]:
    """Tracks as attributes, and playlists as {path: numbers of tracks}."""

    def write(tracks: list[dict[str, str]], playlists: dict[str, list[int]]) -> Path:
        def attributes(values: dict[str, str]) -> str:
            return " ".join(f"{k}={quoteattr(v)}" for k, v in values.items())

        rows = "".join(f"<TRACK TrackID='{i}' {attributes(t)}/>" for i, t in enumerate(tracks))
        nodes = ""
        for name, numbers in playlists.items():
            *folders, last = name.split("/")
            keys = "".join(f"<TRACK Key='{i}'/>" for i in numbers)
            node = f"<NODE Type='1' KeyType='0' Name={quoteattr(last)}>{keys}</NODE>"
            for folder in reversed(folders):
                node = f"<NODE Type='0' Name={quoteattr(folder)}>{node}</NODE>"
            nodes += node
        path = tmp_path / "collection.xml"
        path.write_text(
            f"<DJ_PLAYLISTS><COLLECTION>{rows}</COLLECTION><PLAYLISTS>"
            f"<NODE Type='0' Name='ROOT'>{nodes}</NODE></PLAYLISTS></DJ_PLAYLISTS>",
            encoding="utf-8",
        )
        return path

    return write


def url(path):
    return f"file://localhost{quote(str(path))}"


def labels(scan):
    return dict(zip(scan.table["path"], scan.table["label"], strict=True))


def reasons(scan):
    return [(failure.path, failure.reason) for failure in scan.failures]


def test_playlists_of_every_kind(track, playlist, tmp_path):
    for number in range(5):
        track(f"music/{number}/ä {number}.flac", number)
    techno = playlist("lists/techno.m3u8", "../music/0/ä 0.flac", tmp_path / "music/1/ä 1.flac")
    edm = playlist("lists/edm.pls", "[playlist]", "File1=../music/2/ä 2.flac")
    house = playlist(
        "house.xspf",
        "<playlist xmlns='http://xspf.org/ns/0/'><title>House music</title><trackList>",
        f"<track><location>{url(tmp_path / 'music/3/ä 3.flac')}</location></track>",
        "<track><location>music/4/%C3%A4%204.flac</location></track></trackList></playlist>",
    )
    scan = from_playlists([techno, edm, house])
    assert labels(scan) == {
        "0/ä 0.flac": "techno",
        "1/ä 1.flac": "techno",
        "2/ä 2.flac": "edm",
        "3/ä 3.flac": "House music",
        "4/ä 4.flac": "House music",
    }
    assert scan.audio_root == tmp_path / "music"
    assert scan.failures == []
    save(scan, tmp_path / "c")
    catalogue = load(tmp_path / "c")
    for _, row in catalogue.table.iterrows():
        assert catalogue.path_of(row).is_file()
    assert set(labels(from_playlists([techno, edm], label="x")).values()) == {"x"}


def test_what_cannot_be_taken_is_a_row(track, playlist, tmp_path):
    track("a.flac", 1)
    track("plain.flac", 2).rename(tmp_path / os.fsdecode(b"\xff.flac"))
    (tmp_path / "text.mp3").write_text("text")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "dead.wav").symlink_to(tmp_path / "nowhere")
    path = playlist(
        "x.m3u",
        *("a.flac", "./a.flac", "https://example.org/a.mp3", "gone.mp3", "gone.mp3"),
        "C:\\Music\\b.mp3",
        *("file://localhost/C:/Music/b.mp3", "file:///%FF.mp3", f"file://{tmp_path}/%FF.flac"),
        *("text.mp3", "pipe.wav", "dead.wav", "x" * 5000, "file:///a%00b.mp3", "/dev/zero", "."),
    )
    scan = from_playlists([path])
    assert labels(scan) == {"a.flac": "x"}
    assert reasons(scan) == [
        ("https://example.org/a.mp3", "not_a_file"),
        ("gone.mp3", "missing_file"),
        ("C:\\Music\\b.mp3", "missing_file"),
        ("/C:/Music/b.mp3", "missing_file"),
        ("/\\xff.mp3", "missing_file"),
        (f"{tmp_path}/\\xff.flac", "bad_name"),
        (f"{tmp_path}/pipe.wav", "not_a_file"),
        ("dead.wav", "missing_file"),
        ("x" * 5000, "missing_file"),
        ("/a\\x00b.mp3", "missing_file"),
        ("/dev/zero", "not_a_file"),
        (f"{tmp_path}", "not_a_file"),
        (f"{tmp_path}/text.mp3", "not_audio"),
    ]
    assert all(failure.message.isprintable() for failure in scan.failures)


def test_paths_from_another_system(track, playlist, tmp_path):
    track(f"m/{unicodedata.normalize('NFD', 'é')}.flac", 1)
    track("m/b.flac", 2)
    path = playlist("x.m3u8", unicodedata.normalize("NFC", "m/é.flac"), "m\\b.flac")
    assert len(from_playlists([path]).table) == 2


def test_a_track_under_two_labels(track, playlist):
    for number in range(3):
        track(f"{number}.flac", number)
    one = playlist("one.m3u", "0.flac", "1.flac", "1.flac")
    two = playlist("two.m3u", "1.flac", "2.flac")
    scan = from_playlists([one, two])
    assert labels(scan) == {"0.flac": "one", "2.flac": "two"}
    ((path, reason),) = reasons(scan)
    assert (Path(path).name, reason) == ("1.flac", "two_labels")
    assert "'one' and 'two'" in scan.failures[0].message


def test_playlists_whose_names_differ_in_case(track, playlist):
    for number in range(3):
        track(f"{number}.flac", number)
    one = playlist("techno.m3u", "0.flac", "1.flac")
    two = playlist("Techno.m3u", "1.flac", "2.flac")
    scan = from_playlists([one, two])
    assert labels(scan) == {f"{number}.flac": "techno" for number in range(3)}
    assert scan.failures == []
    assert "'techno' (2) and 'Techno' (1) differ only in case" in scan.warnings[0]


def test_a_root_of_ones_own(track, playlist, tmp_path):
    track("in/a.flac", 1)
    track("out/b.flac", 2)
    path = playlist("x.m3u", "in/a.flac", "out/b.flac")
    scan = from_playlists([path], audio_root=tmp_path / "in")
    assert labels(scan) == {"a.flac": "x"}
    assert reasons(scan) == [(str(tmp_path / "out/b.flac"), "path_outside")]
    assert labels(from_playlists([path])) == {"in/a.flac": "x", "out/b.flac": "x"}
    # A root that is reached through a link.
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert labels(from_playlists([path], audio_root=tmp_path / "link")) == {"a.flac": "x"}


def test_a_collection(track, collection, tmp_path):
    files = [track(f"m/{i}.flac", i, title=f"tag {i}", artist="tag") for i in range(5)]
    tracks = [{"Location": url(f), "Name": f"Ñ {i}", "Genre": "G"} for i, f in enumerate(files)]
    tracks[0] |= {"AverageBpm": "128.00", "Tonality": "8A"}
    tracks.append({"Location": "file://localhost/C:/gone.mp3"})
    path = collection(
        tracks, {"Techno/Peak": [0], "Techno/Deep": [1, 99], "EDM": [2, 3], "Best of": [0, 5]}
    )
    scan = from_playlists([path])
    assert labels(scan) == {"1.flac": "Techno", "2.flac": "EDM", "3.flac": "EDM"}
    assert sorted(reason for _, reason in reasons(scan)) == [
        *("missing_file", "two_labels", "unknown_track")
    ]
    assert any("1 tracks of the collection are in none" in w for w in scan.warnings)

    scan = from_playlists([path], wanted=["Techno=techno", "EDM"])
    assert labels(scan) == {
        "0.flac": "techno",
        "1.flac": "techno",
        "2.flac": "EDM",
        "3.flac": "EDM",
    }
    row = scan.table.set_index("path").loc["0.flac"]
    assert (row["title"], row["artists"], row["tag_bpm"], row["tag_key"]) == (
        *("Ñ 0", "tag", 128, "8A"),
    )
    assert row["duration_s"] == pytest.approx(3000 / 8000)
    scan = from_playlists([path], wanted=["Techno/Peak=hard", "Deep"])
    assert labels(scan) == {"0.flac": "hard", "1.flac": "Deep"}

    scan = from_playlists([path], labels=by_genre())
    assert labels(scan) == {f"{i}.flac": "G" for i in range(5)}
    with pytest.raises(
        UsageError, match="no playlist 'House'; the playlists are 'Techno/Peak', 'Tech"
    ):
        from_playlists([path], wanted=["House=house"])


def nml(path):
    key = str(path.parent).replace("/", "/:") + "/:"
    place = f"DIR={quoteattr(key)} FILE={quoteattr(path.name)} VOLUME='Macintosh HD'"
    return f"<ENTRY><LOCATION {place}/></ENTRY>", "Macintosh HD" + key + path.name


def test_programs_say_the_same(track, collection, tmp_path):
    """One collection as Rekordbox, Traktor and iTunes write it."""
    names = ("ä b.flac", "#1 & 'c'.flac", "100% d.flac")
    files = [track(f"m/{name}", seed) for seed, name in enumerate(names)]
    lists = {"Fold/Techno": [0, 1], "House": [2]}
    sources = [collection([{"Location": url(file)} for file in files], lists)]
    entries, keys = zip(*map(nml, files), strict=True)
    nodes = "".join(
        f"<NODE TYPE='PLAYLIST' NAME='{name.split('/')[-1]}'><PLAYLIST>"
        + "".join(f"<ENTRY><PRIMARYKEY KEY={quoteattr(keys[at])}/></ENTRY>" for at in numbers)
        + "</PLAYLIST></NODE>"
        for name, numbers in lists.items()
    )
    (tmp_path / "c.nml").write_text(
        f"<NML VERSION='19'><COLLECTION>{''.join(entries)}</COLLECTION><PLAYLISTS>"
        f"<NODE TYPE='FOLDER' NAME='$ROOT'><SUBNODES>{nodes}</SUBNODES></NODE></PLAYLISTS></NML>"
    )
    items = {str(at): {"Track ID": at, "Location": url(file)} for at, file in enumerate(files)}
    playlists = [
        {"Name": name.split("/")[-1], "Playlist Items": [{"Track ID": at} for at in numbers]}
        for name, numbers in lists.items()
    ]
    (tmp_path / "Library.xml").write_bytes(
        plistlib.dumps({"Tracks": items, "Playlists": playlists})
    )
    sources += [tmp_path / "c.nml", tmp_path / "Library.xml"]
    for source in sources:
        scan = from_playlists([source], wanted=["Techno=t", "House"])
        assert labels(scan) == dict(zip(names, ("t", "t", "House"), strict=True))
        assert (scan.failures, len(scan.warnings) <= 1) == ([], True)


def test_a_volume_of_a_mac(track, tmp_path):
    """Traktor names the volume; its files are below /Volumes, if not where DIR says."""
    track("USB/Music/a.flac", 1)
    # As if there were a link from /Volumes to the test's folder.
    volume = f"..{tmp_path}/USB"
    (tmp_path / "c.nml").write_text(
        "<NML><COLLECTION><ENTRY><LOCATION DIR='/:Music/:' FILE='a.flac' "
        f"VOLUME={quoteattr(volume)}/></ENTRY></COLLECTION></NML>"
    )
    assert labels(from_playlists([tmp_path / "c.nml"], label="x")) == {"a.flac": "x"}


def test_labels_from_elsewhere(track, playlist, tmp_path):
    track("0.flac", 0, genre="Techno")
    track("1.flac", 1)
    path = playlist("x.m3u", "0.flac", "1.flac")
    scan = from_playlists([path], labels=by_genre())
    assert labels(scan) == {"0.flac": "Techno"}
    assert [reason for _, reason in reasons(scan)] == ["no_label"]
    table = playlist("labels.csv", "path,label", "1.flac,one")
    scan = from_playlists([path], labels=by_table(table, tmp_path))
    assert labels(scan) == {"1.flac": "one"}


def test_what_a_playlist_says_fills_in_for_tags(track, playlist):
    track("0.flac", 0, title="Tag")
    track("1.flac", 1)
    lines = ("#EXTINF:99,X - Y", "0.flac", "#EXTINF:99,X - Y", "1.flac")
    table = from_playlists([playlist("x.m3u", *lines)]).table
    assert list(table["title"]) == ["Tag", "Y"]
    assert list(table["artists"]) == ["X", "X"]
    assert table["duration_s"][0] == pytest.approx(3000 / 8000)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.m3u", "", "no track of .*x.m3u can be used: there is none in it"),
        ("x.m3u", "gone.mp3", "the first of 1: gone.mp3 is not there"),
        ("x.pls", "", r"x.pls cannot be used: it has no section \[playlist\]"),
        ("x.xspf", "<a/>", "x.xspf cannot be used: its outermost element is 'a'"),
        ("x.xml", "<DJ_PLAYLISTS/>", "there are no playlists to read labels from"),
        ("x.xml", "<!DOCTYPE a><DJ_PLAYLISTS/>", "declares a document type"),
        (
            "Library.xml",
            '<!DOCTYPE plist PUBLIC "-//Apple//DTD"><plist version="1.0"/>',
            r"Library.xml cannot be used: it is not a library of iTunes .*; export it by File >",
        ),
        ("x.xml", '<?xml version="1.0"?><NML VERSION="19"/>', "no playlists to read labels from"),
        ("x.nml", "<DJ_PLAYLISTS/>", "outermost element is 'DJ_PLAYLISTS', not 'NML'"),
        ("x.sqlite", "SQLite format 3\0", "x.sqlite cannot be used: it is not a database of Mixxx"),
    ],
)
def test_nothing_to_take(playlist, name, text, said):
    with pytest.raises(UsageError, match=said):
        from_playlists([playlist(name, text)])


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        from_playlists([tmp_path / "none.m3u"])


def test_a_file_without_end(tmp_path):
    (tmp_path / "x.m3u").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="more than 64 MiB"):
        from_playlists([tmp_path / "x.m3u"])


@pytest.mark.parametrize(
    ("text", "paths", "label"),
    [
        ("BPM=140", ["0"], "BPM=140"),
        ("BPM=140=x", ["0"], "x"),
        ("House/Deep=nice", ["1"], "Deep=nice"),
        ("House/Deep=nice=y", ["1"], "y"),
        # The one at the top goes before one of the same name in a folder.
        ("Techno=t", ["2"], "t"),
        ("techno", ["2"], "Techno"),
        ("Fold/Techno=t", ["3"], "t"),
        ("Fold", ["3", "4"], "Fold"),
        ("fold/CAFE\u0301", ["4"], "Caf\xe9"),
        ("Caf\xe9=c", ["4"], "c"),
        ("=", ["5"], "="),
        ("==e", ["5"], "e"),
    ],
)
def test_names_of_playlists(track, collection, text, paths, label):
    """Rows 18 (names with =) and 19 (equal names, one in a folder)."""
    tracks = [{"Location": url(track(f"m/{i}.flac", i))} for i in range(6)]
    path = collection(
        tracks,
        {
            "BPM=140": [0],
            "House/Deep=nice": [1],
            "Techno": [2],
            "Fold/Techno": [3],
            "Fold/Caf\xe9": [4],
            "=": [5],
        },
    )
    scan = from_playlists([path], wanted=[text])
    assert [failure.message for failure in scan.failures] == []
    assert labels(scan) == {f"{name}.flac": label for name in paths}


def test_each_playlist_of_a_folder(track, collection):
    tracks = [{"Location": url(track(f"m/{i}.flac", i))} for i in range(4)]
    path = collection(tracks, {"G/Techno": [0], "G/House/Deep": [1], "G/House/Acid": [2], "x": [3]})
    scan = from_playlists([path], wanted=["g/*"])
    assert labels(scan) == {"0.flac": "Techno", "1.flac": "House", "2.flac": "House"}
    assert labels(from_playlists([path], wanted=["House/*", "x"])) == {
        "1.flac": "Deep",
        "2.flac": "Acid",
        "3.flac": "x",
    }
    for text in ("x/*", "none/*", "G/*=label"):
        with pytest.raises(UsageError, match="there is no playlist"):
            from_playlists([path], wanted=[text])
    path = collection(tracks, {"G/*": [0], "G/Techno": [1]})
    assert labels(from_playlists([path], wanted=["Techno", "*=star"])) == {
        "1.flac": "Techno",
        "0.flac": "star",
    }


def test_a_name_with_a_slash_goes_before_a_folder():
    top = Playlist("a/b", (Entry("x.mp3"),))
    inside = Playlist("b", (Entry("y.mp3"),), ("a",))
    for playlists in ((top, inside), (inside, top)):
        source = Source(playlists, top.entries + inside.entries)
        assert [c.playlist for c in choose([source], ["a/b=t"])] == [top]
        assert [c.playlist for c in choose([source], ["b=t"])] == [inside]


def test_a_name_with_a_slash():
    playlist = Playlist("House/Deep=nice", (Entry("a.mp3"),))
    source = Source((playlist,), playlist.entries)
    for text, label in (("House/Deep=nice", "House/Deep=nice"), ("House/Deep=nice=x", "x")):
        (chosen,) = choose([source], [text])
        assert (chosen.playlist, chosen.label) == (playlist, label)


def test_a_name_that_may_be_two_playlists(track, collection):
    tracks = [{"Location": url(track(f"m/{i}.flac", i))} for i in range(2)]
    path = collection(tracks, {"A/Techno": [0], "B/Techno": [1]})
    with pytest.raises(UsageError, match="'Techno' may be 'A/Techno' or 'B/Techno'; give it with"):
        from_playlists([path], wanted=["Techno=t"])
    assert labels(from_playlists([path], wanted=["B/Techno=t"])) == {"1.flac": "t"}


@pytest.mark.parametrize("text", ["", " ", "=", "A=", "=a"])
def test_what_is_no_choice(track, collection, text):
    path = collection([{"Location": url(track("m/0.flac"))}], {"B": [0]})
    with pytest.raises(UsageError, match="must be NAME=label"):
        from_playlists([path], wanted=[text])

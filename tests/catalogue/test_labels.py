"""Labels from the genre tag, from a table, and one for all."""

import pytest

from kit.catalogue import from_csv, from_folder, load, save
from kit.catalogue.labels import by_genre, by_table
from kit.errors import UsageError


def reasons(scan):
    return {failure.path: failure.reason for failure in scan.failures}


def labels(scan):
    return dict(zip(scan.table["path"], scan.table["label"], strict=True))


def test_the_genre_tag(track, tmp_path):
    track("1.flac", 1, genre="Techno")
    track("deep/2.mp3", 2, genre="House; Techno")
    track("deep/3.ogg", 3, genre="Drum & Bass/Jungle")
    track("deep/4.flac", 4)
    track("5.wav", 5)
    scan = from_folder(tmp_path, labels=by_genre())
    assert labels(scan) == {
        "1.flac": "Techno",
        "deep/2.mp3": "House",
        "deep/3.ogg": "Drum & Bass",
    }
    assert reasons(scan) == {"deep/4.flac": "no_label", "5.wav": "no_label"}
    assert "genre tag" in scan.failures[0].message
    assert set(scan.table["genre"]) == {"Techno", "House; Techno", "Drum & Bass/Jungle"}


def test_none_with_a_genre(track, tmp_path):
    track("1.flac", 1)
    with pytest.raises(UsageError, match=r"1 no_label\); the last: 1\.flac has no label; write"):
        from_folder(tmp_path, labels=by_genre())


def test_one_for_all(track, tmp_path):
    track("1.flac", 1)
    track("a/2.flac", 2)
    assert labels(from_folder(tmp_path, label="x")) == {"1.flac": "x", "a/2.flac": "x"}


def test_a_table(track, tmp_path):
    track("1.flac", 1, artist="X", title="Öpera (Original Mix)")
    track("2.flac", 2, isrc="GBAYE6900001", artist="X", title="Opera")
    track("ä b/3.flac", 3)
    track("4.flac", 4, artist="X", title="Opera - Y Remix")
    track("5.flac", 5, artist="Z", title="Both")
    track("6.flac", 6)
    table = tmp_path / "labels.csv"
    table.write_text(
        "label,path,isrc,artist,title\n"
        "by name,,,x,OPERA\n"
        "by isrc,,gb-aye-69-00001,,\n"
        "by path,ä b/../ä b/3.flac,,,\n"
        f"absolute,{tmp_path / '6.flac'},,,\n"
        "one,,,Z,Both\n"
        "two,,,Z,Both\n"
        ",1.flac,,,\n",
        encoding="utf-8",
    )
    scan = from_folder(tmp_path, labels=by_table(table, tmp_path))
    assert labels(scan) == {
        "1.flac": "by name",
        "2.flac": "by isrc",
        "ä b/3.flac": "by path",
        "6.flac": "absolute",
    }
    assert reasons(scan) == {"4.flac": "no_label", "5.flac": "two_labels"}
    assert "'one' and 'two'" in next(f.message for f in scan.failures if f.path == "5.flac")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,genre\na,b\n", "needs a column label"),
        ("label,title\na,b\n", "needs a column label, and path, isrc, or artist and title"),
        ("label\n", "no tracks"),
    ],
)
def test_bad_tables(tmp_path, text, said):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        by_table(tmp_path / "l.csv", tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        by_table(tmp_path / "none.csv", tmp_path)


def test_paths_of_a_table_of_labels_as_other_programs_write_them(track, tmp_path):
    names = ("Beyonce\u0301.flac", "sub/a b.flac", "sub/c.flac", "d.flac")
    for seed, name in enumerate(names):
        track(name, seed)
    table = tmp_path / "labels.csv"
    table.write_text(
        f"path,label\nBeyonc\xe9.flac,1\nsub\\a b.flac,2\nfile://{tmp_path}/sub/c.flac,3\n"
        ".\\d.flac,4\n"
    )
    scan = from_folder(tmp_path, labels=by_table(table, tmp_path))
    assert labels(scan) == dict(zip(names, "1234", strict=True))


def test_labels_of_a_table_that_look_the_same_are_one(track, tmp_path):
    for seed in range(4):
        track(f"{seed}.flac", seed, artist="X", genre=["Techno", "techno", "TECHNO", "House"][seed])
    table = tmp_path / "t.csv"
    table.write_text("path,label\n0.flac,techno\n1.flac,techno \n2.flac,Techno\n3.flac,edm\n")
    want = {"0.flac": "techno", "1.flac": "techno", "2.flac": "techno", "3.flac": "edm"}
    assert labels(from_csv(table)) == want
    assert labels(from_folder(tmp_path, labels=by_table(table, tmp_path))) == want
    scan = from_folder(tmp_path, labels=by_genre())
    assert list(scan.table["label"]) == ["TECHNO"] * 3 + ["House"]
    assert "differ in case only" in scan.warnings[0]
    # A track with both spellings has one label.
    table.write_text("path,artist,title,label\n0.flac,,,techno\n0.flac,,,Techno\n")
    assert labels(from_folder(tmp_path, labels=by_table(table, tmp_path))) == {"0.flac": "techno"}


def test_a_csv_counts_before_the_tags(track, tmp_path):
    track("1.flac", 1, genre="Tag", bpm="128", title="Tag")
    (tmp_path / "t.csv").write_text("path,label,genre,tag_bpm,title\n1.flac,x,Mine,,\n")
    row = from_csv(tmp_path / "t.csv").table.iloc[0]
    assert (row["genre"], row["tag_bpm"], row["title"]) == ("Mine", 128, "Tag")


def test_tag_columns_keep_their_types(track, tmp_path):
    track("music/a/1.flac", 1, bpm="127.5", initialkey="8A")
    save(from_folder(tmp_path / "music"), tmp_path / "c")
    row = load(tmp_path / "c").table.iloc[0]
    assert (row["tag_bpm"], row["tag_key"]) == (127.5, "8A")
    text = (tmp_path / "c/tracks.csv").read_text().replace("127.5", "0.5")
    (tmp_path / "c/tracks.csv").write_text(text)
    with pytest.raises(
        UsageError, match=r"column tag_bpm is '0\.5'; it must be a number of at leas"
    ):
        load(tmp_path / "c")

"""Labels from the genre tag, from a table, and one for all."""

import pytest

from kit.catalogue import from_csv, from_folder, load, save
from kit.catalogue.gather import gather
from kit.catalogue.labels import by_genre, by_table
from kit.catalogue.split import split
from kit.config import SplitConfig
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


def test_a_placeholder_is_no_label_and_said(track, tmp_path):
    for seed, genre in enumerate(("Other", "Misc.", "<None>", "Other; Techno", "Techno")):
        track(f"{seed}.flac", seed, genre=genre)
    scan = from_folder(tmp_path, labels=by_genre())
    assert labels(scan) == {"3.flac": "Techno", "4.flac": "Techno"}
    assert reasons(scan) == dict.fromkeys(("0.flac", "1.flac", "2.flac"), "no_label")
    assert "its genre tag 'Misc.' is a placeholder: write its genre tag" in scan.failures[1].message


@pytest.mark.parametrize(
    ("several", "expected", "left_out"),
    [
        (None, {"1.flac": "Techno", "2.flac": "House", "3.flac": "Acid"}, {}),
        ("first", {"1.flac": "Techno", "2.flac": "House", "3.flac": "Acid"}, {}),
        ("each", {"1.flac": "Techno", "2.flac": "House; Techno", "3.flac": "Acid; Techno"}, {}),
        ("drop", {"1.flac": "Techno"}, {"2.flac": "two_labels", "3.flac": "two_labels"}),
    ],
)
def test_tags_of_several_genres(track, tmp_path, several, expected, left_out):
    for seed, genre in ((1, "Techno"), (2, "House/Techno; Other"), (3, "Acid; techno")):
        track(f"{seed}.flac", seed, genre=genre)
    scan = gather([tmp_path], labels="genre", several=several)
    assert (labels(scan), reasons(scan)) == (expected, left_out)
    assert any("train with --train.labels several" in text for text in scan.warnings) == (
        several == "each"
    )


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        (None, {"a": "House; vocal", "b": "House"}),
        ("first", {"a": "House", "b": "House"}),
        ("drop", {"b": "House"}),
    ],
)
def test_several_labels_in_a_table(track, tmp_path, several, expected):
    track("1.flac", 1)
    rows = "a,title A,1.flac,house ;vocal; House\nb,title B,,House\nc,title C,,House\n"
    (tmp_path / "t.csv").write_text(f"track_id,title,path,label\n{rows}")
    scan = gather([tmp_path / "t.csv"], several=several)
    found = dict(zip(scan.table["track_id"], scan.table["label"], strict=True))
    assert found == {**expected, "c": "House"}
    assert [f.reason for f in scan.failures] == ["two_labels"] * (several == "drop")
    assert all("line 2" in f.message for f in scan.failures)
    # The same table as labels of a folder.
    (tmp_path / "t.csv").write_text("path,label\n1.flac,house ;vocal\n")
    if several != "drop":
        scan = gather([tmp_path], labels=str(tmp_path / "t.csv"), several=several)
        assert list(scan.table["label"]) == [expected["a"].lower()]


def genre_folder(track, tmp_path):
    genres = ("Techno", "techno", "House", "Ambient; Drone", "Polka", "House; Techno")
    for seed, genre in enumerate(genres):
        track(f"{seed}.flac", seed, genre=genre, artist=f"artist {seed}")
    return tmp_path


def test_some_labels_only(track, tmp_path):
    folder = genre_folder(track, tmp_path)
    scan = gather([folder], labels="genre", only=("TECHNO", "house"))
    assert labels(scan) == {
        **{"0.flac": "Techno", "1.flac": "Techno", "2.flac": "House", "5.flac": "House"}
    }
    assert (
        scan.warnings[0] == "2 tracks of 2 other labels are left out: Ambient; Drone (1), Polka (1)"
    )
    assert scan.failures == []
    each = gather([folder], labels="genre", several="each", only=("techno",))
    assert labels(each) == dict.fromkeys(("0.flac", "1.flac", "5.flac"), "Techno")


def test_a_label_for_all_others(track, tmp_path):
    folder = genre_folder(track, tmp_path)
    scan = gather([folder], labels="genre", only=("techno",), background="none of these")
    assert labels(scan) == {
        **dict.fromkeys(("0.flac", "1.flac", "5.flac"), "Techno"),
        **dict.fromkeys(("2.flac", "3.flac", "4.flac"), "none of these"),
    }
    assert scan.warnings[0].startswith(
        "3 tracks of 3 other labels now have the label 'none of these'"
    )
    # It is a label like the others, to the split and so to the training.
    parts = split(scan.table, SplitConfig(validation_fraction=0.0))
    for part in ("train", "test"):
        assert set(parts.loc[parts["part"] == part, "label"]) == {"Techno", "none of these"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "genre", "only": ("trance",)}, "--only trance: no track.*Ambient, Drone"),
        ({"labels": "genre", "background": "x"}, "add --only LABEL"),
        ({"label": "x", "several": "first"}, "--several is for --labels and for a table"),
    ],
)
def test_choices_of_labels_that_cannot_be_followed(track, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        gather([genre_folder(track, tmp_path)], **options)


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
    assert "differ only in case" in scan.warnings[0]
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

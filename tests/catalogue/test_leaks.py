"""Leaks through a split are listed once, under their most certain kind."""

import pandas as pd
import pytest

from kit.catalogue.given import given_parts
from kit.catalogue.leaks import KINDS, Leak, in_words, leaks
from kit.errors import UsageError

TABLE = pd.DataFrame(
    {
        "track_id": list("abcdefgh"),
        "label": ["x", "y"] * 4,
        "path": [f"{part}/{n}.mp3" for n, part in enumerate(["train", "test"] * 4)],
        "artists": ["Ann", "Ann feat. Bob", "Cy", "", "", "Dee", "Dee", "Dee"],
        "album": ["One", "Two", "Three", "Three", "", "", "", ""],
        "isrc": ["", "", "", "", "GBAYE0000351", "gb-aye-00-00351", "", ""],
        "source_hash": ["1" * 64, "2" * 64, "1" * 64, "1" * 64, "5" * 64, "6" * 64, "", ""],
    }
)
PARTS = ["train", "test"] * 4


def test_each_kind_is_named_with_both_tracks():
    audio = {"a": "p", "b": "q", "c": "p", "d": "p", "e": "r", "f": "r"}
    found = leaks(TABLE, PARTS, audio, [("b", "c", "12 s"), ("e", "f", "9 s"), ("a", "c", "-")])
    assert found == [
        Leak("bytes", "1" * 64, "train", "train/0.mp3", "test", "test/3.mp3"),
        Leak("bytes", "1" * 64, "train", "train/2.mp3", "test", "test/3.mp3"),
        # Found by its sound too, and named by the more certain kind.
        Leak("audio", "r", "train", "train/4.mp3", "test", "test/5.mp3"),
        Leak("acoustic", "12 s", "train", "train/2.mp3", "test", "test/1.mp3"),
        Leak("isrc", "GBAYE0000351", "train", "train/4.mp3", "test", "test/5.mp3"),
        Leak("artist", "ann", "train", "train/0.mp3", "test", "test/1.mp3"),
        Leak("artist", "dee", "train", "train/6.mp3", "test", "test/5.mp3", 2),
    ]
    assert in_words(found, 8).startswith("the split leaks (the same file 2, the same audio with")
    assert {one.kind for one in found} <= set(KINDS)


def test_albums_are_those_of_one_folder():
    table = TABLE.assign(path="x/y.mp3")
    assert [one.key for one in leaks(table, PARTS) if one.kind == "album"] == ["three"]


def test_tracks_of_one_part_and_of_none_leak_nothing():
    assert leaks(TABLE, ["train"] * 8, {}, [("b", "c", "")]) == []
    assert leaks(TABLE, ["train", ""] * 4, {}, [("b", "c", "")]) == []
    assert in_words([], 8).startswith("nothing leaks")


def test_a_bare_table_leaks_by_its_copies_alone():
    bare = TABLE[["track_id", "label"]]
    assert leaks(bare, PARTS, {}, [("a", "b", "5 s"), ("a", "gone", "")]) == [
        Leak("acoustic", "5 s", "train", "a", "test", "b")
    ]


def test_a_given_split_is_read_of_folders_columns_and_files(tmp_path):
    assert given_parts(TABLE, "folders") == PARTS
    odd = TABLE.assign(path=["a/Validation/x/train.mp3", "train.mp3", *["Test/a.mp3"] * 6])
    assert given_parts(odd, "folders") == ["validation", "", *["test"] * 6]
    assert given_parts(TABLE.assign(fold=list("11223312")), "fold") == list("11223312")
    (tmp_path / "s.csv").write_text("path,part\ntrain/0.mp3,train\ntest/1.mp3,test\n")
    assert given_parts(TABLE, str(tmp_path / "s.csv")) == ["train", "test", *[""] * 6]
    # Paths as another system writes them.
    names = ["Caf\xe9/a.wav", "b c.wav", "D.wav", "sub/e.wav", "gone.wav"]
    (tmp_path / "s.csv").write_text(
        "Path;part\nCafe\u0301\\a.wav;train\nfile:b c.wav;x\nd.WAV;test\n./sub/../sub/e.wav;test\n"
    )
    table = pd.DataFrame({"track_id": list("abcde"), "path": names})
    assert given_parts(table, str(tmp_path / "s.csv")) == ["train", "", "test", "test", ""]
    (tmp_path / "s.csv").write_text("track_id,part\nh,test\na,train\n")
    assert given_parts(TABLE, str(tmp_path / "s.csv")) == ["train", *[""] * 6, "test"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", "is not a column of the catalogue; use one of track_id, label"),
        ("empty", "the column empty is empty"),
        ("same", "gives only one part, '1'"),
        ("x.csv", "it needs part, and track_id or path"),
        ("y.csv", "names no track of the catalogue"),
    ],
)
def test_a_split_that_is_none_is_refused(given, words, tmp_path):
    (tmp_path / "x.csv").write_text("path,where\ntrain/0.mp3,train\n")
    (tmp_path / "y.csv").write_text("path,part\nelsewhere.mp3,train\n")
    given = str(tmp_path / given) if given.endswith(".csv") else given
    with pytest.raises(UsageError, match=words):
        given_parts(TABLE.assign(empty="", same="1"), given)

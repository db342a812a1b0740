"""Tables of tracks from CSV files."""

import hashlib
import re

import pandas as pd
import pytest

from kit.catalogue import from_csv, load, read_table, save
from kit.catalogue.scan_warnings import duplicates
from kit.errors import UsageError

ORIGINAL = (
    ",album_date,artist_id,artist_name,mp3,track_id,track_length,track_name,track_pop,"
    "acousticness,danceability,duration_ms,energy,track_id,instrumentalness,key\n"
    '3,2016,6ioOE,XYLØ,https://p.example/a?cid=1,1pXeZ,282187,"America, Young ""Bombs"" Remix",37,'
    "0.131,0.575,282188,0.909,1pXeZ,0.000299,7\n"
    "9,2015-07-06,4YLQa,3LAU,,2Y7iO,221250,NA,33,0.00488,0.454,221250,0.651,2Y7iO,1.54e-06,9\n"
)


def reasons(scan):
    return [(failure.path, failure.reason) for failure in scan.failures]


def test_the_original_format(csv):
    scan = from_csv(csv(ORIGINAL))
    row = scan.table.iloc[0]
    assert list(scan.table["track_id"]) == ["1pXeZ", "2Y7iO"]
    assert set(scan.table["label"]) == {"edm"}
    assert row["artists"] == "XYLØ"
    assert row["title"] == 'America, Young "Bombs" Remix'
    assert list(scan.table["title"])[1] == "NA"
    assert list(scan.table["release_date"]) == ["2016", "2015-07-06"]
    assert list(scan.table["preview_url"]) == ["https://p.example/a?cid=1", ""]
    assert (row["artist_ids"], row["popularity"], row["key"]) == ("6ioOE", 37, 7)
    assert scan.table["instrumentalness"][1] == 1.54e-06
    assert (row["duration_ms"], row["track_length"]) == (282188, "282187")
    assert "" not in scan.table
    assert not any(name.startswith(("Unnamed", "track_id.")) for name in scan.table)


def test_a_table_is_read_without_a_look_at_its_files(csv):
    text = "track_id,path,artist_name,tempo\na,none.mp3,A,120\nb,,B,\na,x.mp3,C,121\n"
    table, repeats = read_table(csv(text))
    assert table["track_id"].tolist() == ["a", "b"]
    assert table["path"].tolist() == ["none.mp3", ""]
    assert table["artists"].tolist() == ["A", "B"]
    assert table["label"].tolist() == ["edm", "edm"]
    assert table["tempo"].isna().tolist() == [False, True]
    assert repeats[["track_id", "artists", "label"]].values.tolist() == [["a", "C", "edm"]]


def test_a_table_without_ids_gets_them_from_its_lines(csv):
    table, repeats = read_table(csv("label,tempo\nx,120\ny,121\n"))
    assert table["track_id"].tolist() == ["row-2", "row-3"]
    assert len(repeats) == 0
    with pytest.raises(UsageError, match="line 2, column tempo is 'fast'"):
        read_table(csv("label,tempo\nx,fast\n"))


def test_a_label_that_is_given_counts(csv):
    assert set(from_csv(csv(ORIGINAL), label="house").table["label"]) == {"house"}
    table = "track_id,label\na,x\nb,y\n"
    assert list(from_csv(csv(table)).table["label"]) == ["x", "y"]
    assert set(from_csv(csv(table), label="z").table["label"]) == {"z"}


def test_a_table_that_pandas_has_written(csv, tmp_path):
    pandas = pd.read_csv(csv(ORIGINAL))
    pandas.to_csv(tmp_path / "again.csv")
    assert "track_id.1" in pandas
    scan = from_csv(tmp_path / "again.csv", label="edm")
    assert list(scan.table.columns).count("track_id") == 1
    assert list(scan.table["track_id"]) == ["1pXeZ", "2Y7iO"]


def test_length_in_milliseconds_where_there_is_no_other(csv):
    scan = from_csv(csv("track_id,track_length,album_name\na,1000,Al\n"))
    assert (scan.table["duration_ms"][0], scan.table["album"][0]) == (1000, "Al")


@pytest.mark.parametrize("name", ["artist", "Artist", "artist_name", "artists", "Artists"])
def test_other_names_of_the_column_artists(csv, name):
    scan = from_csv(csv(f"track_id,Label,{name}\na,x,A\nb,y,B\n"))
    assert list(scan.table["artists"]) == ["A", "B"]
    assert list(scan.table["label"]) == ["x", "y"]
    assert scan.warnings == ()


def test_two_columns_that_could_be_the_artists(csv):
    table = from_csv(csv("track_id,artist,artists\na,A,B\n")).table
    assert (table["artists"][0], table["artist"][0]) == ("B", "A")
    table = from_csv(csv("track_id,artist_name,artist\na,A,B\n")).table
    assert (table["artists"][0], table["artist"][0]) == ("A", "B")


def test_an_id_twice_is_kept_once(csv):
    scan = from_csv(csv("track_id,label,title\na,x,1\nb,x,2\na,x,3\na,y,4\n"))
    assert list(scan.table["title"]) == ["1", "2"]
    assert [(f.track_id, f.reason) for f in scan.failures] == [("a", "duplicate_id")] * 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no tracks"),
        ("track_id,label\n", "has no tracks"),
        ("\n\n\n", "has no tracks"),
        ("track_id,label\n,\n , \n", "has no tracks"),
        ("genre,tempo\na,b\n", "path, track_id, or artist and title; it has 'genre', 'tempo'$"),
        ("filename,label\na,b\n", "'filename' is not used; if it is the path, rename it to path"),
        ("track_id,label\nb,\n", "none of the 1 .*line 2, column label is empty"),
        ("track_id,label\na\n", "has no tracks; .*, line 2 has 1 cells"),
        ("track_id,label,label\na,x,y\n", "column 'label' twice"),
        ("track_id,track_id\na,a\nb,c\n", "line 3: the two columns track_id are 'b' and 'c'"),
        ('track_id,"label\na,b\n', "names its columns, with path"),
    ],
)
def test_bad_tables(csv, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        from_csv(csv(text))
    assert str(caught.value).isprintable()
    assert "edm.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b,", "line 3, column label is empty"),
        ("b c,x", "line 3, column track_id is 'b c'"),
        (",x", "line 3 has no path, id, ISRC or title; fill one in"),
        ('b,"two\nli\x00nes",9,9', "line 3 has 4 cells, the header has 3"),
        ("b,x,1,2", "line 3 has 4 cells, the header has 3; add the missing cells, or quote"),
        ("b", "line 3 has 1 cells"),
        ('b,"x', r"line 3 is not valid CSV \(unexpected end of data\); correct its quotes"),
        ('b,"12" mix",', "line 3 is not valid CSV"),
        ("b,x,N/A", "line 3, column tempo is 'N/A'; it must be a number"),
        ('b,x,"128,0"', "line 3, column tempo is '128,0'"),
        ("b,x,inf", "line 3, column tempo is 'inf'"),
    ],
)
def test_a_bad_row_costs_that_row_only(csv, row, said):
    if row.count(",") == 1 and not row.startswith('b,"'):
        row += ","
    scan = from_csv(csv(f"track_id,label,tempo\na,x,120\n{row}\nc,y,121\nd,y,\n"))
    ids = [track for track in scan.table["track_id"] if track in "acd"]
    assert ids == ["a", "c", "d"]
    assert scan.failures[0].reason == "bad_row"
    assert re.search(said, scan.failures[0].message)
    # The other lines of a row of several lines are not tracks.
    assert len(scan.table) == 3


def test_a_row_without_an_id_gets_one_of_its_file_or_names(csv, track):
    digest = hashlib.sha256(track("1.wav", 1).read_bytes()).hexdigest()
    scan = from_csv(csv("track_id,path,label,title\na,,x,A\n,1.wav,x,\n,,y,B\nrow-3,,y,C\n"))
    ids = list(scan.table["track_id"])
    assert (ids[0], ids[1], ids[3]) == ("a", digest[:16], "row-3")
    assert len(set(ids)) == 4
    assert scan.failures == []


def test_genres_that_are_not_the_labels_are_said(csv):
    text = "track_id,genre\na,Techno\n"
    assert "rename the column genre to label" in from_csv(csv(text)).warnings[0]
    assert "rename" not in " ".join(from_csv(csv(text), label="x").warnings)


def test_no_table(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv cannot be read: No such file"):
        from_csv(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        from_csv(tmp_path)


def test_a_mark_of_byte_order_and_windows_line_ends(csv):
    scan = from_csv(csv(b"\xef\xbb\xbftrack_id,label\r\na,x\r\n"))
    assert list(scan.table["track_id"]) == ["a"]


def test_paths(csv, track, tmp_path):
    good = track(
        "audio/ä, 1.wav",
        1,
    )
    track("audio/2.wav", 2)
    (tmp_path / "audio/bad.mp3").write_text("text")
    table = (
        "track_id,label,path,title,duration_s\n"
        'a,x,"audio/ä, 1.wav",Mine,99\n'
        "b,x,./audio/../audio/2.wav,,\n"
        "c,x,../audio/2.wav,,\n"
        "d,x,/etc/passwd,,\n"
        "e,x,audio/none.wav,,\n"
        "f,x,audio/bad.mp3,,\n"
        "g,y,,No audio,\n"
        "h,y,audio,,\n"
        "i,y,audio/../..,,\n"
    )
    scan = from_csv(csv(table))
    assert list(scan.table["track_id"]) == ["a", "b", "g"]
    assert list(scan.table["path"]) == ["audio/ä, 1.wav", "audio/2.wav", ""]
    assert list(scan.table["title"]) == ["Mine", "", "No audio"]
    assert scan.table["duration_s"][0] == pytest.approx(6000 / 22050)
    assert scan.table["source_hash"][0] == hashlib.sha256(good.read_bytes()).hexdigest()
    assert sorted(reasons(scan)) == [
        ("../audio/2.wav", "path_outside"),
        ("/etc/passwd", "path_outside"),
        ("audio", "unreadable"),
        ("audio/../..", "path_outside"),
        ("audio/bad.mp3", "not_audio"),
        ("audio/none.wav", "missing_file"),
    ]
    assert {f.track_id for f in scan.failures} == set("cdefhi")


def test_paths_as_other_programs_write_them(csv, track, tmp_path):
    composed, decomposed = "Beyonc\xe9.wav", "Beyonce\u0301.wav"
    track(f"m/{decomposed}", 1)
    track("m/\xe9.wav", 2)
    track("m/sub/a b.wav", 3)
    track("m/c.wav", 4)
    track("out.wav", 5)
    table = (
        f"path,label\n{composed},x\ne\u0301.wav,x\nsub\\a b.wav,x\n.\\c.wav,x\n"
        f"../out.wav,x\n{tmp_path}/out.wav,x\nhttps://example.org/a.wav,x\nC:\\c.wav,x\n"
    )
    scan = from_csv(csv(table, "m/t.csv"))
    assert list(scan.table["path"]) == [decomposed, "\xe9.wav", "sub/a b.wav", "c.wav"]
    assert [reason for _, reason in reasons(scan)] == [
        *("path_outside", "path_outside", "not_a_file", "missing_file")
    ]
    assert "--audio-root" in scan.failures[0].message
    path = csv(f"path,label\nfile://{tmp_path}/m/sub/a%20b.wav,x\n{tmp_path}/m/c.wav,x\n", "t.csv")
    (tmp_path / "link").symlink_to(tmp_path / "m")
    for root, top in (("m", ""), (".", "m/"), ("/", f"{tmp_path}/m/"[1:]), ("link", "")):
        scan = from_csv(path, audio_root=tmp_path / root)
        assert list(scan.table["path"]) == [f"{top}sub/a b.wav", f"{top}c.wav"]
        assert scan.failures == []
    save(scan, tmp_path / "c")
    catalogue = load(tmp_path / "c")
    assert all(catalogue.path_of(row).is_file() for _, row in catalogue.table.iterrows())


def test_a_file_twice_in_a_table(csv, track):
    for seed, name in enumerate("abcd"):
        track(f"{name}.wav", seed)
    table = (
        "path,label,title\na.wav,x,1\n./a.wav,x,2\nb.wav,x,3\nc.wav,x,4\nc.wav,y,5\nd.wav,y,6\n"
        "d.wav,Y,7\n"
    )
    scan = from_csv(csv(table))
    assert list(scan.table["title"]) == ["1", "3", "6"]
    assert reasons(scan) == [
        ("a.wav", "duplicate_path"),
        ("c.wav", "two_labels"),
        ("c.wav", "two_labels"),
        ("d.wav", "duplicate_path"),
    ]
    assert scan.failures[0].message == "a.wav occurs in 2 rows; the first one is kept"
    assert "labels 'x' and 'y'; keep one" in scan.failures[1].message


def test_another_root(csv, track, tmp_path):
    track("elsewhere/1.wav")
    path = csv("track_id,label,path\na,x,1.wav\n")
    assert from_csv(path, audio_root=tmp_path / "elsewhere").audio_root == tmp_path / "elsewhere"
    with pytest.raises(UsageError, match=r"none of the 1 tracks .* does not exist"):
        from_csv(path)


def test_ids_from_the_content(csv, track):
    digest = hashlib.sha256(track("1.wav", 1).read_bytes()).hexdigest()
    track("2.wav", 1)
    track("3.wav", 2)
    scan = from_csv(csv("path,label\n1.wav,x\n2.wav,x\n3.wav,y\n,y\n4.wav,y\n"))
    assert list(scan.table["track_id"][:2]) == [digest[:16], f"{digest[:16]}-2"]
    assert duplicates(scan.table) == ((digest[:16], f"{digest[:16]}-2"),)
    assert [f.reason for f in scan.failures] == ["missing_file", "bad_row"]
    assert "line 5 has no path, id, ISRC or title" in scan.failures[1].message


@pytest.mark.parametrize(
    ("name", "tracks", "failures"),
    [
        ("music/labels.csv", 105, 0),
        ("tables/original_format/edm.csv", 6, 0),
        ("tables/original_format/techno.csv", 6, 0),
        ("tables/techno_vs_edm_features.csv", 1311, 5),
    ],
)
def test_real_tables(shared, tmp_path, name, tracks, failures):
    scan = from_csv(shared / name)
    assert (len(scan.table), len(scan.failures)) == (tracks, failures)
    save(scan, tmp_path)
    pd.testing.assert_frame_equal(load(tmp_path).table, scan.table)


def test_real_speech(shared, tmp_path):
    lines = (shared / "fsdd/labels.csv").read_text().splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join(lines[:1] + lines[1::50]) + "\n")
    scan = from_csv(few, audio_root=shared / "fsdd")
    assert len(scan.table) == 60
    assert set(scan.table["label"]) == set("0123456789")
    assert {"speaker", "index", "split"} <= set(scan.table)

import hashlib
import json
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest

from kit.catalogue import (
    from_csv,
    from_folder,
    load,
    read_failures,
    read_table,
    save,
    write_table,
)
from kit.catalogue.io import move_root
from kit.catalogue.scan import duplicates
from kit.errors import KitError, UsageError

ORIGINAL = (
    ",album_date,artist_id,artist_name,mp3,track_id,track_length,track_name,track_pop,"
    "acousticness,danceability,duration_ms,energy,track_id,instrumentalness,key\n"
    '3,2016,6ioOE,XYLØ,https://p.example/a?cid=1,1pXeZ,282187,"America, Young ""Bombs"" Remix",37,'
    "0.131,0.575,282188,0.909,1pXeZ,0.000299,7\n"
    "9,2015-07-06,4YLQa,3LAU,,2Y7iO,221250,NA,33,0.00488,0.454,221250,0.651,2Y7iO,1.54e-06,9\n"
)


@pytest.fixture
def csv(tmp_path):
    def write(text: str | bytes, name: str = "edm.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


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
        ("name,genre\na,b\n", r"needs a column track_id \(or path.*; it has 'name', 'genre'"),
        ("track_id,label\na,x\nb,\n", "line 3, column label is empty"),
        ("track_id,label\na,x\nb c,x\n", "line 3, column track_id is 'b c'"),
        ('track_id,label,title\na,x,"two\nlines"\nb c,x,y\n', "line 4, column track_id"),
        ("track_id,label\na,x\nb,x,y\n", "line 3 has 3 cells, the header has 2; quote"),
        ("track_id,label\na,x\nb\n", "line 3 has 1 cells"),
        ('track_id,label\na,x\nb,"x\n', "not valid CSV after line 2"),
        ("track_id,label,label\na,x,y\n", "column 'label' twice"),
        ("track_id,track_id\na,a\nb,c\n", "line 3: the two columns track_id are 'b' and 'c'"),
        (b"track_id,label\na,\xe9t\xe9\n", r"not UTF-8 \(byte 17\)"),
        ("track_id,popularity\na,high\n", "line 2, column popularity is 'high'"),
    ],
)
def test_bad_tables(csv, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        from_csv(csv(text))
    assert str(caught.value).isprintable()
    assert "edm.csv" in str(caught.value)


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
    assert scan.failures[0].message == "a.wav is in the table 2 times; the first row is kept"
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
    assert [f.reason for f in scan.failures] == ["missing_file", "missing_file"]


def test_save_and_load(track, tmp_path):
    track(
        "music/a/1.wav",
        1,
    )
    track("music/a/2.mp3", 2, artist="Ä; B", title='q "x", y')
    track("music/b/3.wav", 3)
    (tmp_path / "music/b/4.wav").write_text("text")
    scan = from_folder(tmp_path / "music")
    save(scan, tmp_path / "data/mine")
    catalogue = load(tmp_path / "data/mine")
    pd.testing.assert_frame_equal(catalogue.table, scan.table)
    assert read_failures(tmp_path / "data/mine") == scan.failures
    for _, row in catalogue.table.iterrows():
        assert catalogue.path_of(row).read_bytes()
    head = (tmp_path / "data/mine/tracks.csv").read_bytes().split(b"\n")[0]
    assert head.startswith(b"track_id,label,path,artists,title,album,release_date,duration_s")
    meta = json.loads((tmp_path / "data/mine/catalogue.json").read_text())
    assert meta["format"] == 1
    assert meta["audio_root"] == str((tmp_path / "music").resolve())
    assert meta["labels"] == {"a": 2, "b": 1}
    # Once more, and it is the same.
    save(scan, tmp_path / "data/mine")
    pd.testing.assert_frame_equal(load(tmp_path / "data/mine").table, scan.table)


def test_audio_inside_the_folder_moves_with_it(track, tmp_path):
    track("demo/audio/a/1.wav", 1)
    save(from_folder(tmp_path / "demo/audio"), tmp_path / "demo")
    assert json.loads((tmp_path / "demo/catalogue.json").read_text())["audio_root"] == "audio"
    (tmp_path / "demo").rename(tmp_path / "moved")
    catalogue = load(tmp_path / "moved")
    assert catalogue.path_of(catalogue.table.iloc[0]).is_file()


def test_audio_that_has_moved_is_said_once(track, tmp_path):
    paths = [track(f"music/{label}/1.wav", seed) for seed, label in enumerate("ab")]
    save(from_folder(tmp_path / "music"), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""
    shutil.rmtree(paths[0].parent)
    assert load(tmp_path / "c").missing_audio() == ""
    (tmp_path / "music").rename(tmp_path / "moved")
    said = load(tmp_path / "c").missing_audio()
    assert f"none of the audio of {tmp_path / 'c'} is in {tmp_path / 'music'} any more" in said
    assert said.endswith(f"kit scan NEW_FOLDER --out {tmp_path / 'c'}")
    # A mount point that is empty now.
    (tmp_path / "music").mkdir()
    assert load(tmp_path / "c").missing_audio() == said
    save(from_folder(tmp_path / "moved"), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""


def test_a_table_without_audio_misses_none(csv, tmp_path):
    save(from_csv(csv(ORIGINAL)), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""


# --- another folder that paths start from


KILLED = """
import os, signal, sys
from pathlib import Path
from kit.catalogue import Scan, load, save
from kit.catalogue.io import move_root
from kit.catalogue.scan import duplicates

folder, root, left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def before_a_rename(event, _):
    global left
    if event == "os.rename":
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(before_a_rename)
if load(folder).audio_root == root:
    save(Scan(load(folder).table.assign(mine="x"), [], root), folder)
else:
    move_root(folder, root)
"""


def audio_of(folder):
    """Where the rows of a catalogue lead to, and whether it is there."""
    catalogue = load(folder)
    paths = [catalogue.path_of(row) for _, row in catalogue.table.iterrows()]
    return paths, all(path.is_file() for path in paths)


@pytest.fixture
def catalogued(track, tmp_path):
    for n in (1, 2):
        track(f"music/a/{n}.wav", n)
    save(from_folder(tmp_path / "music"), tmp_path / "data/c")
    return tmp_path / "data/c"


def test_paths_from_a_folder_further_up(catalogued, tmp_path):
    paths, there = audio_of(catalogued)
    assert there
    table = load(catalogued).table
    # A path that leaves the root is still refused, and does not come to lie inside.
    write_table(table.assign(path=["a/1.wav", "../x"]), catalogued)
    moved = move_root(catalogued, tmp_path)
    assert moved.audio_root == tmp_path
    assert list(moved.table["path"]) == ["music/a/1.wav", "../x"]
    assert moved.path_of(moved.table.iloc[0]) == paths[0]
    with pytest.raises(KitError, match=r"path '\.\./x' leaves"):
        moved.path_of(moved.table.iloc[1])
    meta = json.loads((catalogued / "catalogue.json").read_text())
    assert meta["labels"] == {"a": 2}
    assert set(meta) == {"format", "audio_root", "tracks", "labels", "duplicates", "notices"}


def killed(folder, root, renames):
    """A process that dies before its rename of this number: `move_root`, or `save` after that."""
    command = [sys.executable, "-c", KILLED, str(folder), str(root), str(renames)]
    return subprocess.run(command).returncode == -signal.SIGKILL


@pytest.mark.parametrize("renames", range(3))
def test_killed_between_two_files_every_path_leads_to_its_file(catalogued, tmp_path, renames):
    want = audio_of(catalogued)
    assert killed(catalogued, tmp_path, renames)
    assert audio_of(catalogued) == want
    # Also after another command has written the table that it read.
    write_table(load(catalogued).table.assign(mine="x"), catalogued)
    assert audio_of(catalogued) == want
    moved = move_root(catalogued, tmp_path)
    assert list(moved.table["path"]) == ["music/a/1.wav", "music/a/2.wav"]
    assert audio_of(catalogued) == want
    assert "coming" not in (catalogued / "catalogue.json").read_text()


def test_killed_twice(catalogued, tmp_path):
    want = audio_of(catalogued)
    assert killed(catalogued, tmp_path, 2)
    for renames in range(4):
        again = tmp_path / f"data/{renames}"
        shutil.copytree(catalogued, again)
        assert killed(again, tmp_path, renames)
        assert audio_of(again) == want


def test_text_survives(csv, tmp_path):
    values = ["a\rb", "a\nb", 'q"', ",", " spaces ", "NA", "", "ünï 音", "-1", "=1+1", "1e5"]
    table = "\n".join(["track_id,label,title,other"] + [f"t{i},x,T,T" for i in range(len(values))])
    scan = from_csv(csv(table))
    scan.table["title"] = values
    scan.table["other"] = values
    save(scan, tmp_path / "out")
    got = load(tmp_path / "out").table
    assert list(got["title"]) == values
    assert list(got["other"]) == values


def test_what_is_no_catalogue(csv, track, tmp_path):
    with pytest.raises(UsageError, match=r"is not a catalogue .* kit scan FOLDER"):
        load(tmp_path / "none")
    track("music/a/1.wav")
    save(from_folder(tmp_path / "music"), tmp_path / "c")
    meta = tmp_path / "c/catalogue.json"
    for text, said in [
        ('{"format": 2, "audio_root": "."}', "not of format 1"),
        ("[]", "not of format 1"),
        ('{"format": 1}', "audio_root is None"),
        ("{", "not valid JSON"),
    ]:
        meta.write_text(text)
        with pytest.raises(KitError, match=said):
            load(tmp_path / "c")


def test_path_of_a_row_without_audio(csv, tmp_path):
    save(from_csv(csv(ORIGINAL)), tmp_path / "c")
    catalogue = load(tmp_path / "c")
    with pytest.raises(KitError, match="track 1pXeZ has no audio"):
        catalogue.path_of(catalogue.table.iloc[0])
    with pytest.raises(KitError, match=r"track x: path '\.\./x' leaves"):
        catalogue.path_of({"track_id": "x", "path": "../x"})


def test_nothing_is_written_where_it_cannot_be(track, tmp_path):
    track("music/a/1.wav")
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="cannot write"):
        save(from_folder(tmp_path / "music"), tmp_path / "file/c")


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

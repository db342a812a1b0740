"""A catalogue without audio, a folder of real files, the questions and the answers."""

import csv
import dataclasses
import io
import os
import shutil

import mutagen
import numpy as np
import pytest
import soundfile

from kit.catalogue import from_csv, load, read_failures, save
from kit.cli.match import match as command
from kit.errors import KitError, UsageError
from kit.ingest.review import NAME, Question, read_review, write_review
from kit.ingest.spreadsheet import may_be

RATE = 8000


def match(catalogue, folder, out):
    """Run the command, and return the number of files and answers that cannot be used."""
    code = command(catalogue, folder, out)
    refused = sum(failure.stage == "match" for failure in read_failures(out))
    assert code == (refused > 0)
    return refused


@pytest.fixture
def music(tmp_path):
    """Write a file of so many tenths of a second below `music`, and return it."""

    def write(name, seed=0, tenths=10, **tags):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        soundfile.write(path, 0.1 * rng.standard_normal(RATE * tenths // 10), RATE)
        if tags:
            file = mutagen.File(path)
            file.update(tags)
            file.save()
        return path

    return write


@pytest.fixture
def table(tmp_path):
    """A catalogue of these lines of CSV, and where it lies."""

    def write(*lines):
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save(from_csv(tmp_path / "t.csv"), tmp_path / "c")
        return tmp_path / "c"

    return write


HEAD = "track_id,label,artists,title,isrc,duration_ms,tempo,genre"


def paths(folder):
    rows = load(folder).table
    return dict(zip(rows["track_id"], rows.get("path", [""] * len(rows)), strict=True))


def answer(folder, **answers):
    """Write answers into the review, as a person would with a spreadsheet."""
    with (folder / NAME).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["accept"] = answers.get(row["file"].rpartition("/")[2].partition(".")[0], row["accept"])
    with (folder / NAME).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_rows_get_their_files(music, table, tmp_path, capsys):
    one = music("deep/a b.flac", 1, isrc="GBAYE6900001", artist="Q", title="Q", bpm="128")
    music("ä.flac", 2, artist="Röyksopp", title="Lila (Original Mix)")
    music("03 - Klangkuenstler - Jugend Ohen Gott.flac", 3)
    music("nobody.flac", 4, artist="No", title="Body")
    music("broken.mp3").write_text("text")
    folder = table(
        HEAD,
        "t1,techno,A,X,GBAYE6900001,,127.5,Mine",
        "t2,edm,Royksopp,Lila,,1000,126,",
        "t3,edm,Klangkuenstler,Jugend Ohne Gott,,1000,126,",
        "t4,edm,Nobody,Knows,,,,",
    )
    assert match(folder, tmp_path / "music", folder) == 1
    assert paths(folder) == {
        "t1": "deep/a b.flac",
        "t2": "ä.flac",
        "t3": "03 - Klangkuenstler - Jugend Ohen Gott.flac",
        "t4": "",
    }
    catalogue = load(folder)
    rows = catalogue.table.set_index("track_id")
    assert catalogue.path_of(catalogue.table.iloc[0]) == one
    assert list(rows["audio_source"]) == ["own", "own", "own", ""]
    assert rows["duration_s"]["t1"] == pytest.approx(1.0)
    assert len(rows["source_hash"]["t1"]) == 64
    first = rows.loc["t1"]
    # The table's own words and its Spotify features stay; the file's tags fill in.
    assert (first["artists"], first["genre"], first["tempo"]) == ("A", "Mine", 127.5)
    assert first["tag_bpm"] == 128
    assert [(f.stage, f.reason) for f in read_failures(folder)] == [("match", "not_audio")]
    said = capsys.readouterr().err
    assert "3 of 4 tracks without audio have a file now" in said
    assert "1 by ISRC, 1 by artist and title, 1 by similar names" in said
    assert not (folder / NAME).exists()
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    match(folder, tmp_path / "music", folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_questions_and_answers(music, table, tmp_path, capsys):
    for name, seed, tenths in (("one", 1, 10), ("two", 2, 10), ("long", 3, 90), ("no", 4, 90)):
        title = {"long": "Strobe", "no": "Lila"}.get(name, "Opera")
        music(f"{name}.flac", seed, tenths, artist="A Name", title=title)
    folder = table(
        HEAD,
        "t1,x,A Name,Opera,,1000,,",
        "t2,y,A Name,Strobe,,1000,,",
        "t3,y,A Name,Lila,,1000,,",
    )
    match(folder, tmp_path / "music", folder)
    assert set(paths(folder).values()) == {""}
    asked = {(q.track_id, q.file.rpartition("/")[2]): q.why for q in read_review(folder)}
    assert set(asked) == {
        *(("t1", "one.flac"), ("t1", "two.flac"), ("t2", "long.flac"), ("t3", "no.flac"))
    }
    assert "another file is as near" in asked["t1", "one.flac"]
    assert "differ by 8 s" in asked["t2", "long.flac"]
    assert "3 are doubtful: write yes or no" in capsys.readouterr().err

    answer(folder, one="No", long="YES", no="n")
    match(folder, tmp_path / "music", folder)
    # One was refused, so that two is sure.
    assert paths(folder) == {"t1": "two.flac", "t2": "long.flac", "t3": ""}
    said = capsys.readouterr().err
    assert "1 by your answers" in said
    assert "doubtful" not in said
    match(folder, tmp_path / "music", folder)
    assert "doubtful" not in capsys.readouterr().err
    assert sorted(q.accept for q in read_review(folder)) == ["No", "YES", "n"]
    assert paths(folder)["t3"] == ""


def test_answers_that_cannot_be_followed(music, table, tmp_path):
    for name in ("one", "two"):
        music(f"{name}.flac", len(name) + ord(name[0]), artist="A Name", title="Opera")
    folder = table(HEAD, "t1,x,A Name,Opera,,1000,,", "t2,y,A Name,Opera,,1000,,")
    match(folder, tmp_path / "music", folder)
    answer(folder, one="yes", two="yes")
    assert match(folder, tmp_path / "music", folder) == 4
    assert {f.reason for f in read_failures(folder)} == {"two_files"}
    assert set(paths(folder).values()) == {""}

    questions = [q for q in read_review(folder) if q.file.endswith("one.flac")]
    write_review(folder, questions)
    assert match(folder, tmp_path / "music", folder) == 2
    assert {f.reason for f in read_failures(folder)} == {"two_rows"}

    gone = Question("t1", "", "", "", str(tmp_path / "music/gone.flac"), *[""] * 5, accept="yes")
    relative = Question("t2", "", "", "", "music/one.flac", *[""] * 5, accept="yes")
    write_review(folder, [gone, relative])
    assert match(folder, tmp_path / "music", folder) == 2
    assert {f.reason for f in read_failures(folder)} == {"unreadable", "missing_file"}
    assert set(paths(folder).values()) == {""}


def test_audio_that_is_there_stays(music, table, tmp_path):
    old = tmp_path / "old/x.flac"
    old.parent.mkdir()
    shutil.copy(music("tmp.flac", 9), old)
    music("tmp.flac", 9).unlink()
    music("lila.flac", 2, artist="A Name", title="Lila")
    folder = table(
        "track_id,label,path,artists,title", "t1,x,old/x.flac,A Name,Lila", "t2,y,,A Name,Lila"
    )
    match(folder, tmp_path / "music", tmp_path / "out")
    assert paths(folder) == {"t1": "old/x.flac", "t2": ""}
    assert paths(tmp_path / "out") == {"t1": "old/x.flac", "t2": "music/lila.flac"}
    catalogue = load(tmp_path / "out")
    assert catalogue.audio_root == tmp_path
    assert all(catalogue.path_of(row).is_file() for _, row in catalogue.table.iterrows())
    # Once more: a file that has its row is no candidate, and a root that is deep goes up.
    match(tmp_path / "out", tmp_path / "music", tmp_path / "out")
    assert paths(tmp_path / "out")["t2"] == "music/lila.flac"


def test_another_folder_later(music, table, tmp_path):
    music("a/opera.flac", 1, artist="A Name", title="Opera")
    music("b/lila.flac", 2, artist="A Name", title="Lila")
    music("a/strobe.flac", 3, 90, artist="A Name", title="Strobe")
    folder = table(
        HEAD,
        "t1,x,A Name,Opera,,,,",
        "t2,y,A Name,Lila,,,,",
        "t3,y,A Name,Strobe,,1000,,",
    )
    match(folder, tmp_path / "music/a", folder)
    assert paths(folder) == {"t1": "opera.flac", "t2": "", "t3": ""}
    match(folder, tmp_path / "music/b", folder)
    assert paths(folder) == {"t1": "a/opera.flac", "t2": "b/lila.flac", "t3": ""}
    # What was open about the first folder is still to be answered.
    assert [q.track_id for q in read_review(folder)] == ["t3"]
    answer(folder, strobe="yes")
    match(folder, tmp_path / "music/b", folder)
    assert paths(folder)["t3"] == "a/strobe.flac"


def test_copies_are_no_tie(music, table, tmp_path):
    path = music("opera.flac", 1, artist="A Name", title="Opera")
    shutil.copy(path, path.with_name("copy.flac"))
    folder = table(HEAD, "t1,x,A Name,Opera,,,,")
    match(folder, tmp_path / "music", folder)
    assert paths(folder) == {"t1": "copy.flac"}


def test_notices_and_failures_stay(music, table, tmp_path):
    music("opera.flac", 1, artist="A Name", title="Opera")
    folder = table(HEAD, "t1,x,A Name,Opera,,,,", "t1,x,Again,Again,,,,")
    text = (folder / "catalogue.json").read_text()
    (folder / "catalogue.json").write_text(text.replace('"notices": []', '"notices": ["Terms."]'))
    match(folder, tmp_path / "music", folder)
    assert load(folder).notices == ("Terms.",)
    assert [(f.stage, f.reason) for f in read_failures(folder)] == [("scan", "duplicate_id")]


def test_nothing_there(table, tmp_path):
    folder = table(HEAD, "t1,x,A,B,,,,")
    (tmp_path / "music").mkdir()
    with pytest.raises(UsageError, match="contains no audio"):
        match(folder, tmp_path / "music", folder)
    bad = tmp_path / os.fsdecode(b"\xff")
    bad.mkdir()
    with pytest.raises(UsageError, match="control characters, or bytes that are not UTF-8"):
        match(folder, bad, folder)


# --- the file of questions


QUESTION = Question("t", 'a, "b"', "ö\nx", "1.0", "/m/ä;b.flac", "c", "d", "2.0", "90", "why", "")


def test_review_comes_back(tmp_path):
    assert read_review(tmp_path) == []
    write_review(tmp_path, [])
    assert not (tmp_path / NAME).exists()
    write_review(tmp_path, [QUESTION])
    assert read_review(tmp_path) == [QUESTION]
    returned = dataclasses.replace(QUESTION, title="a\rb")
    write_review(tmp_path, [returned])
    assert read_review(tmp_path) == [returned]
    write_review(tmp_path, [])
    assert read_review(tmp_path) == []


def test_review_from_a_spreadsheet(tmp_path):
    write_review(tmp_path, [QUESTION])
    with (tmp_path / NAME).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    with (tmp_path / NAME).open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerows([[*reversed(row), "more"] for row in rows])
    assert read_review(tmp_path) == [QUESTION]


def saved(folder, change, **how):
    """Change the review row by row, and save it as a spreadsheet does."""
    with (folder / NAME).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=how.get("delimiter", ","))
    writer.writeheader()
    writer.writerows(row | change(row) for row in rows)
    (folder / NAME).write_bytes(text.getvalue().encode(how.get("encoding", "utf-8"), "replace"))


@pytest.mark.parametrize(
    ("track_id", "cell", "encoding"),
    [
        ("000003", "3", "utf-8-sig"),
        ("000003", "3,00", "cp1252"),
        ("1234567890123456", "1.23457E+15", "utf-16"),
        ("1234567890123456", "1234567890123450", "utf-8"),
        ("12e45", "1,2E+46", "cp1252"),
        ("1-2", "02. Jan", "utf-8-sig"),
        ("MAR1", "01-Mar", "utf-16"),
        ("true", "TRUE", "utf-8-sig"),
        ("7", "#NAME?", "cp1252"),
    ],
)
def test_an_answer_is_followed_where_a_spreadsheet_changed_its_id(
    music, table, tmp_path, track_id, cell, encoding
):
    file = music("ä→é.flac", 1, 90, artist="A Name", title="Strobe")
    folder = table(HEAD, f"{track_id},x,A Name,Strobe,,1000,,", "other,y,B Name,Lila,,1000,,")
    assert match(folder, tmp_path / "music", folder) == 0
    saved(folder, lambda _: {"track_id": cell, "accept": "Ja"}, delimiter=";", encoding=encoding)
    assert match(folder, tmp_path / "music", folder) == 0
    assert paths(folder) == {track_id: file.name, "other": ""}
    assert [(q.track_id, q.file, q.accept) for q in read_review(folder)] == [
        (track_id, str(file), "Ja")
    ]
    assert match(folder, tmp_path / "music", folder) == 0


@pytest.mark.parametrize(
    ("cell", "word", "reason"),
    [
        ("3", "yes", "unknown_track"),
        ("4", "yes", "unknown_track"),
        ("", "no", "unknown_track"),
        ("#REF!", "yes", "unknown_track"),
        ("0003", "perhaps", "bad_answer"),
    ],
)
def test_an_answer_that_fits_no_track_or_several_is_said(
    music, table, tmp_path, cell, word, reason
):
    music("one.flac", 1, 90, artist="A Name", title="Strobe")
    folder = table(HEAD, "0003,x,A Name,Strobe,,1000,,", "003,y,A Name,Lila,,1000,,")
    assert match(folder, tmp_path / "music", folder) == 0
    saved(folder, lambda _: {"track_id": cell, "accept": word, "artists": "", "title": ""})
    assert match(folder, tmp_path / "music", folder) == 1
    (failure,) = read_failures(folder)
    assert (failure.reason, failure.stage) == (reason, "match")
    assert repr(cell if reason == "unknown_track" else word) in failure.message
    assert set(paths(folder).values()) == {""}
    # What was not followed is asked again, and an answer is not thrown away.
    questions = read_review(folder)
    assert [q.track_id for q in questions if not q.accept] == ["0003"]
    assert [q.accept for q in questions if q.answer is not None] == [word] * (word != "perhaps")


def test_names_tell_ids_apart_that_a_spreadsheet_made_equal(music, table, tmp_path):
    music("one.flac", 1, 90, artist="A Name", title="Strobe")
    folder = table(HEAD, "0003,x,A Name,Strobe,,1000,,", "003,y,A Name,Lila,,1000,,")
    match(folder, tmp_path / "music", folder)
    saved(folder, lambda _: {"track_id": "3", "accept": "yes"})
    assert match(folder, tmp_path / "music", folder) == 0
    assert paths(folder) == {"0003": "one.flac", "003": ""}


def test_answers_that_contradict_each_other_or_the_table_are_said(music, table, tmp_path):
    one = music("one.flac", 1, 90, artist="A Name", title="Strobe")
    two = music("two.flac", 2, 90, artist="A Name", title="Strobe")
    folder = table(HEAD, "t1,x,A Name,Strobe,,1000,,", "t2,x,A Name,Lila,,1000,,")

    def say(*answers):
        rows = [Question("t1", "", "", "", str(f), *[""] * 5, accept=word) for f, word in answers]
        write_review(folder, rows)
        refused = match(folder, tmp_path / "music", folder)
        return refused, [failure.reason for failure in read_failures(folder)]

    assert say((one, "yes"), (one, "no")) == (1, ["two_answers"])
    assert say((one, "yes")) == (0, [])
    assert paths(folder)["t1"] == "one.flac"
    # The track has a file by now: another answer for it is not followed, and not ignored.
    assert say((one, "yes"), (two, "yes")) == (1, ["two_files"])
    assert paths(folder)["t1"] == "one.flac"
    # A file that has been renamed since is an old answer.
    two.rename(two.with_name("three.flac"))
    assert say((two, "yes")) == (0, [])


@pytest.mark.parametrize(
    ("word", "decision"),
    [
        ("WAHR", True),
        ("Oui.", True),
        ("sí", True),
        ("FALSCH", False),
        ("Nein", False),
        ("yes", True),
        (" Y ", True),
        ("x", True),
        ("NO", False),
        ("0", False),
        ("", None),
        ("?", None),
    ],
)
def test_words(word, decision):
    assert Question(*[""] * 10, accept=word).answer is decision


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"track_id,file\na,b\n", "has no column accept"),
        (b"track_id,file,accept\na,b,yes\nc,d\n", "line 3 has 2 cells, the header has 3"),
        (b"\xff\xfe", "has no column track_id"),
        (b'a,b\n"x', "line 2 is not valid CSV"),
    ],
)
def test_a_review_that_cannot_be_read(tmp_path, data, said):
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(KitError, match=said):
        read_review(tmp_path)


@pytest.mark.parametrize(
    ("track_id", "cell"),
    [
        ("007", "'7"),
        ("007", '="7"'),
        ("0a1B", "0A1b"),
        ("1e5", "100000"),
        ("4-5-06", "05/04/2006"),
        ("12-11", "Nov 12"),
        ("oct2", "2-Okt"),
        ("may-2020", "Mai 20"),
    ],
)
def test_ids_as_spreadsheets_write_them(track_id, cell):
    assert may_be(track_id, cell)


@pytest.mark.parametrize(
    ("track_id", "cell"),
    [
        ("000003", "30"),
        ("000003", ""),
        ("3", "03. Feb"),
        ("abc", "abcd"),
        ("1-2", "1-3"),
        ("mix1", "1-Jan"),
        ("1e5", "1e6"),
        ("1e9999", "1"),
    ],
)
def test_ids_that_a_spreadsheet_does_not_make(track_id, cell):
    assert not may_be(track_id, cell)

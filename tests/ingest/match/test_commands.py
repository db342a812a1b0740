"""`kit scan` with labels and playlists, and `kit ingest match`, as a person types them."""

from urllib.parse import quote

import mutagen
import numpy as np
import pytest
import soundfile

from kit.catalogue import load
from kit.lock import only_one


@pytest.fixture
def music(tmp_path):
    """Four files; all but the last have a genre."""
    folder = tmp_path / "my music"
    folder.mkdir()
    for number, genre in enumerate(["Techno", "EDM", "Techno", ""]):
        path = folder / f"ä{number}.flac"
        noise = np.random.default_rng(number).standard_normal(3000)
        soundfile.write(path, 0.1 * noise, 8000)
        file = mutagen.File(path)
        file["artist"], file["title"] = "Ann Artist", f"Title {'abcd'[number] * 5}"
        if genre:
            file["genre"] = genre
        file.save()
    return folder


def labels(folder):
    table = load(folder).table
    return dict(zip(table["path"], table["label"], strict=True))


def test_genre_table_and_one_for_all(command, music, tmp_path):
    out = tmp_path / "c"
    code, _, err = command("scan", music, "--out", out, "--labels", "genre")
    assert (code, labels(out)) == (
        1,
        {"ä0.flac": "Techno", "ä1.flac": "EDM", "ä2.flac": "Techno"},
    )
    assert "1 left out (1 no_label)" in err
    table = tmp_path / "labels.csv"
    table.write_text("artist,title,label\nann artist,TITLE AAAAA,one\nx,y,z\n")
    assert command("scan", music, "--out", out, "--labels", table)[0] == 1
    assert labels(out) == {"ä0.flac": "one"}
    assert command("scan", music, "--out", out, "--label", "all")[0] == 0
    assert set(labels(out).values()) == {"all"}


def test_playlists(command, music, tmp_path):
    for name, files in (("techno", (0, 2)), ("edm", (1,))):
        lines = [f"my music/ä{n}.flac" for n in files]
        (tmp_path / f"{name}.m3u8").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "c"
    assert command("scan", tmp_path / "techno.m3u8", tmp_path / "edm.m3u8", "--out", out)[0] == 0
    assert labels(out) == {"ä0.flac": "techno", "ä1.flac": "edm", "ä2.flac": "techno"}
    assert load(out).audio_root == music


def test_a_collection(command, music, tmp_path):
    tracks = "".join(
        f'<TRACK TrackID="{n}" Location="file://localhost{quote(str(music / f"ä{n}.flac"))}"/>'
        for n in range(4)
    )
    (tmp_path / "rekordbox.xml").write_text(
        f'<DJ_PLAYLISTS><COLLECTION>{tracks}</COLLECTION><PLAYLISTS><NODE Type="0" Name="ROOT">'
        '<NODE Type="1" KeyType="0" Name="Peak time"><TRACK Key="0"/></NODE>'
        '<NODE Type="1" KeyType="0" Name="Warm up"><TRACK Key="1"/></NODE>'
        '<NODE Type="1" KeyType="0" Name="Other"><TRACK Key="2"/></NODE>'
        "</NODE></PLAYLISTS></DJ_PLAYLISTS>",
        encoding="utf-8",
    )
    out = tmp_path / "c"
    chosen = ("--playlist", "Peak time=techno", "--playlist", "Warm up=house")
    code, _, err = command("scan", tmp_path / "rekordbox.xml", "--out", out, *chosen)
    assert (code, labels(out)) == (0, {"ä0.flac": "techno", "ä1.flac": "house"})
    assert "2 tracks of the collection are in none of the playlists used" in err
    assert command("scan", tmp_path / "rekordbox.xml", "--out", out, "--labels", "genre")[0] == 1
    assert labels(out) == {"ä0.flac": "Techno", "ä1.flac": "EDM", "ä2.flac": "Techno"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to scan"),
        (("my music", "my music"), "only playlists can be scanned together"),
        (("my music", "x.m3u"), "only playlists can be scanned together"),
        (("my music", "--label", "x", "--labels", "genre"), "use one of them"),
        (("my music", "--playlist", "x"), "is not a collection of playlists"),
        (("my music", "--labels", "none.csv"), "none.csv cannot be read"),
        (("t.csv", "--labels", "genre"), "leave out --labels"),
        (("x.m3u", "--playlist", "="), "must be NAME=label"),
        (("x.m3u", "gone.m3u"), "gone.m3u does not exist"),
    ],
)
def test_what_does_not_go_together(command, music, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("path,label\nmy music/ä0.flac,x\n", encoding="utf-8")
    (tmp_path / "x.m3u").write_text("my music/ä0.flac\n", encoding="utf-8")
    code, out, err = command("scan", *arguments, "--out", "c")
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "c").exists()


def test_match(command, music, tmp_path):
    (tmp_path / "t.csv").write_text(
        "track_id,label,artist_name,track_name\n1,x,Ann Artist,Title aaaaa\n2,y,Nobody,Nothing\n"
    )
    assert command("scan", tmp_path / "t.csv", "--out", tmp_path / "c")[0] == 0
    code, out, err = command("ingest", "match", tmp_path / "c", music, "--out", tmp_path / "d")
    assert (code, out) == (0, "")
    assert "1 of 2 tracks without audio have a file now (1 by artist and title)" in err
    assert f"1 have no file in {music}" in err
    assert list(load(tmp_path / "d").table["path"]) == ["ä0.flac", ""]
    assert "path" not in load(tmp_path / "c").table
    code, _, err = command("ingest", "match", tmp_path / "c", tmp_path / "none")
    assert (code, "is not a folder" in err) == (2, True)
    code, _, err = command("ingest", "match", tmp_path / "none", music)
    assert (code, "is not a catalogue" in err) == (2, True)


def test_a_match_waits_for_no_download_and_no_other_match(command, music, tmp_path):
    (tmp_path / "t.csv").write_text("track_id,label,artist_name,track_name\n1,x,Ann Artist,Title")
    command("scan", tmp_path / "t.csv", "--out", tmp_path / "c")
    before = {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}
    with only_one(tmp_path / "c/audio"):
        code, _, err = command("ingest", "match", tmp_path / "c", music)
        assert code == 1
        assert "another run matches files or downloads previews for" in err
        # One catalogue to another is nobody else's business.
        assert command("ingest", "match", tmp_path / "c", music, "--out", tmp_path / "d")[0] == 0
    assert {name: (tmp_path / "c" / name).read_bytes() for name in before} == before
    assert command("ingest", "match", tmp_path / "c", music)[0] == 0


def test_help(command):
    assert "ingest" in command("--help")[1]
    code, out, _ = command("ingest", "match", "--help")
    assert (code, "usage: kit ingest match" in out) == (0, True)
    out = command("scan", "--help")[1]
    assert all(option in out for option in ("--label", "--labels", "--playlist", "--audio-root"))

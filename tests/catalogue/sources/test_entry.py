"""Entries of playlists as players and people write them, and the files that they mean."""

import pytest

from kit.catalogue.sources import from_playlists


def reasons(scan):
    return [(failure.path, failure.reason) for failure in scan.failures]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("a%20b.flac", "a b.flac"),
        ("./a%20b.flac", "a b.flac"),
        ("s%C3%BCb\\c%23.flac", "s\xfcb/c#.flac"),
        ("100%25 Pure.flac", "100%25 Pure.flac"),
        ("100%25%20Pure.flac", "100% Pure.flac"),
        ("#1 Crush.flac", "#1 Crush.flac"),
        ("#sub/x.flac", "#sub/x.flac"),
        ("#Extra Life.flac", "#Extra Life.flac"),
        ("#Artist: Title.flac", "#Artist: Title.flac"),
        ("A B.FLAC", "a b.flac"),
        ("blank.flac", " blank.flac"),
        ("  a b.flac\t", "a b.flac"),
        ("d  e.flac", "d\xa0e.flac"),
        ("S\xdcB/C#.flac", "s\xfcb/c#.flac"),
        ("file:///BASE/a%20b.flac", "a b.flac"),
        ("file://localhost/BASE/a b.flac", "a b.flac"),
        ("mixe\u0301/d\xe9j\xe0.flac", "mix\xe9/de\u0301ja\u0300.flac"),
    ],
)
def test_lines_as_players_write_them(track, tmp_path, line, name):
    for seed, there in enumerate({name, "100% Pure.flac", "other.flac"}):
        track(f"m/{there}", seed)
    line = line.replace("/BASE", str(tmp_path / "m"))
    (tmp_path / "m/p.m3u8").write_bytes(
        f"\ufeff#EXTM3U\r\n#EXTINF:12,X – Y\r\n{line}\r\n\r\nother.flac\r\n".encode()
    )
    scan = from_playlists([tmp_path / "m/p.m3u8"])
    assert scan.failures == []
    assert list(scan.table["path"]) == [name, "other.flac"]
    assert list(scan.table["title"]) == ["Y", ""]


def test_comments_and_directives_are_no_entries(track, tmp_path):
    track("a.flac", 1)
    track("b.flac", 2)
    (tmp_path / "p.m3u").write_text(
        "#EXTM3U\n# made by hand\n#b.flac\n## b.flac\n#EXTVLCOPT:input-slave=x.flac\n"
        "#EXTIMG:cover.flac\n#KODIPROP:x=y.flac\n#EXTREM: a.flac\n#EXTBYT:12\n#EXTM3U\n"
        "#2 Gone.flac\na.flac\n"
    )
    scan = from_playlists([tmp_path / "p.m3u"])
    assert list(scan.table["path"]) == ["a.flac"]
    assert reasons(scan) == [("#2 Gone.flac", "missing_file")]


def test_two_files_that_an_entry_may_mean(track, tmp_path):
    track("Ab.flac", 1)
    track("aB.flac", 2)
    (tmp_path / "p.m3u").write_text("AB.flac\naB.flac\n")
    scan = from_playlists([tmp_path / "p.m3u"])
    assert list(scan.table["path"]) == ["aB.flac"]
    assert reasons(scan) == [("AB.flac", "missing_file")]

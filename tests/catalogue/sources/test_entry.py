"""Entries of playlists as players and people write them, and the files that they mean.

Rows 10 (percent-encoded), 11 (names that begin with #), 13 (case and blanks) and 14 (encodings).
"""

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
        ("#1%20Crush.FLAC", "#1 Crush.flac"),
        ("#sub\\x.flac", "#sub/x.flac"),
        ("a+b.flac", "a+b.flac"),
        ("a%2Bb.flac", "a+b.flac"),
        ("%23x.flac", "#x.flac"),
        ("100% %c3%a9.flac", "100% é.flac"),
        ("e%CC%81.flac", "é.flac"),
        ("STRASSE.flac", "Straße.flac"),
        (".\\.\\x/..\\a.flac", "a.flac"),
        ("file:/BASE/a b.flac", "a b.flac"),
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


@pytest.mark.parametrize("name", ["#DJ: Title.flac", "#EXTRA: Title.flac", "#EXTREM:x.flac"])
def test_a_file_that_is_named_like_a_directive(track, tmp_path, name):
    """Row 11: it is an entry if it is there, and else no failure."""
    track(name, 1)
    track("b.flac", 2)
    (tmp_path / "p.m3u").write_text(f"#EXTM3U\n{name}\n#EXTIMG:front.flac\nb.flac\n")
    scan = from_playlists([tmp_path / "p.m3u"])
    assert (list(scan.table["path"]), scan.failures) == ([name, "b.flac"], [])


def test_two_files_that_an_entry_may_mean(track, tmp_path):
    track("Ab.flac", 1)
    track("aB.flac", 2)
    (tmp_path / "p.m3u").write_text("AB.flac\naB.flac\n")
    scan = from_playlists([tmp_path / "p.m3u"])
    assert list(scan.table["path"]) == ["aB.flac"]
    assert reasons(scan) == [("AB.flac", "missing_file")]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("日.flac\r\né.flac\r\n".encode("utf-16-le"), ["日.flac", "é.flac"]),
        ("日.flac\r\né.flac\r\n".encode("utf-16-be"), ["日.flac", "é.flac"]),
        # Lists that were joined: one line is not UTF-8.
        (
            "é.flac\n".encode() + "#EXTINF:1,\xe9\n\xe4.flac\n".encode("cp1252"),
            ["é.flac", "ä.flac"],
        ),
        (b"a.flac\n./a.flac\nA.FLAC\na%2eflac\n", ["a.flac"]),
        (b"a.flac\0\n\xef\xbb\xbfb.flac\n\0\0", ["a.flac", "b.flac"]),
    ],
)
def test_encodings_of_lists(track, tmp_path, data, names):
    """Row 14, and a file that is named several times."""
    for seed, name in enumerate(names):
        track(name, seed)
    (tmp_path / "p.m3u8").write_bytes(data)
    scan = from_playlists([tmp_path / "p.m3u8"])
    assert (list(scan.table["path"]), scan.failures) == (names, [])

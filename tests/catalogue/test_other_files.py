"""Files that kit does not read are named, with what to do (row 16)."""

import pytest

from kit.catalogue.gather import gather
from kit.errors import UsageError

XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("collection.csv", XML + b'<NML VERSION="19"/>', "of Traktor .*; rename it to NAME.nml"),
        ("Library", XML + b'<plist version="1.0"/>', "of iTunes or Apple Music .*NAME.xml"),
        ("set.cue", b'FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n', "a CUE sheet.*one file per track"),
        ("a.wav", b"RIFF", "is one audio file; give its folder"),
        ("A.MP3", b"ID3", "is one audio file"),
        ("t.xlsx", b"PK\3\4", "a spreadsheet, which kit does not read; save it as CSV"),
        ("t.csv", b"PK\3\4" + bytes(40), "a spreadsheet or an archive"),
        ("library.musicdb", b"hfma", "a database of a player.*as M3U"),
        ("m.db3", b"SQLite format 3\0", "a database without .sqlite.*as M3U"),
        ("x.csv", b"\xef\xbb\xbf <html>", "is XML or HTML"),
        ("x.wpl", b"<?wpl?>", "a playlist of another format, which .*as M3U"),
        ("list.txt", b"a.wav\nb.wav\n", "if it is a list of files, rename it to LIST.m3u"),
        ("list.txt", b"a.wav\n", "if it is a list of files, rename it to LIST.m3u"),
    ],
)
def test_other_kinds_of_files(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        gather([path], label="x")
    assert name in str(caught.value)
    assert str(caught.value).isprintable()

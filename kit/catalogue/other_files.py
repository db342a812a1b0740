"""Identify files that kit does not read, and say what to do."""

from pathlib import Path

from kit.audio.errors import shown
from kit.catalogue.scan import AUDIO_EXTENSIONS
from kit.errors import UsageError

_M3U = "export its playlists as M3U, or scan the folder of the music with --labels genre"
_CSV = "save it as CSV (UTF-8)"

_BY_EXTENSION = {
    "cue": (
        "a CUE sheet, which lists tracks inside one audio file",
        "split that file into one file per track, and scan their folder",
    ),
    **dict.fromkeys(("xlsx", "xls", "ods", "numbers"), ("a spreadsheet", _CSV)),
    **dict.fromkeys(("wpl", "zpl", "asx", "b4s"), ("a playlist of another format", _M3U)),
    **dict.fromkeys(("itl", "musicdb", "crate"), ("a database of a player", _M3U)),
    **dict.fromkeys(("zip", "rar", "7z"), ("an archive", "unpack it, and scan the folder")),
    "json": ("JSON", _CSV),
}

_BY_CONTENT = (
    (b"PK\x03\x04", "a spreadsheet or an archive", f"{_CSV}, or unpack it"),
    (
        b"SQLite format 3\0",
        "a database without .sqlite",
        f"rename it to NAME.sqlite if it is Mixxx's, or {_M3U}",
    ),
    (b"{\\rtf", "rich text", _CSV),
    (b"%PDF", "a PDF", _CSV),
)


def refuse_other_files(path: Path, head: bytes) -> None:
    """Raise an error that names the kind of a file, if it is known and kit does not read it.

    Raises:
        UsageError: the file is neither a playlist nor a table.
    """
    extension = path.suffix[1:].lower()
    kind = _BY_EXTENSION.get(extension)
    if extension in AUDIO_EXTENSIONS:
        raise UsageError(
            f"{shown(path)} is one audio file; give its folder, such as "
            f"{shown(path.parent)}, with --label NAME if all its tracks have one label"
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind is None and text.startswith(b"<") and extension not in ("xml", "xspf", "nml"):
        kind = ("XML or HTML", _M3U)
        if b"<plist" in head or b"<!DOCTYPE plist" in head:
            kind = ("a library of iTunes or Apple Music without .xml", "rename it to NAME.xml")
        elif b"<NML" in head:
            kind = ("a collection of Traktor without .nml", "rename it to NAME.nml")
    for start, name, remedy in _BY_CONTENT:
        if kind is None and head.startswith(start):
            kind = (name, remedy)
    if kind is not None:
        raise UsageError(f"{shown(path)} is {kind[0]}, which kit does not read; {kind[1]}")

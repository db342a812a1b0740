"""Format playlists of labelled tracks as M3U8 and as XML for Rekordbox."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from kit.catalogue.schema import SEPARATOR
from kit.errors import UsageError
from kit.write.labels import Track

MARK = "kit write"
"""Text in the first lines of each file, so that kit replaces only its own files."""

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\0-\x1f]')
# Characters that XML 1.0 does not allow.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def require_own(paths: Iterable[Path]) -> None:
    """Check that files to write are new, or were written by kit.

    Raises:
        UsageError: another file, such as the user's own collection, would be replaced.
    """
    for path in paths:
        if path.is_dir() or (path.is_file() and MARK.encode() not in path.read_bytes()[:500]):
            raise UsageError(f"{path} was not written by kit write; give another --out")


def by_label(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Return the tracks of each label; a track of several labels is in each list."""
    lists: dict[str, list[Track]] = {}
    for track in tracks:
        for label in track.labels:
            lists.setdefault(label, []).append(track)
    return lists


def m3u(lists: dict[str, list[Track]]) -> dict[str, str]:
    """Return the text of an M3U8 playlist for each label, by file name."""
    files: dict[str, str] = {}
    taken: set[str] = set()
    for label, tracks in lists.items():
        stem = _NOT_IN_NAMES.sub("_", label).strip(" .") or "_"
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem} ({number})", number + 1
        taken.add(name.casefold())
        lines = ["#EXTM3U", f"# {MARK}", f"#PLAYLIST:{label}"]
        for track in tracks:
            artists, title = track.names()
            lines += [f"#EXTINF:-1,{f'{artists} - ' if artists else ''}{title}", str(track.path)]
        files[f"{name}.m3u8"] = "\n".join(lines) + "\n"
    return files


def rekordbox(lists: dict[str, list[Track]]) -> str:
    """Return XML for Rekordbox: a collection of all tracks, and a playlist for each label.

    Source: https://cdn.rekordbox.com/files/20200410160904/xml_format_list.pdf
    """
    tracks = list(dict.fromkeys(track for tracks in lists.values() for track in tracks))
    ids = {track: str(number) for number, track in enumerate(tracks, start=1)}
    root = ElementTree.Element("DJ_PLAYLISTS", Version="1.0.0")
    ElementTree.SubElement(root, "PRODUCT", Name=MARK, Version="", Company="")
    collection = ElementTree.SubElement(root, "COLLECTION", Entries=str(len(tracks)))
    for track in tracks:
        artists, title = track.names()
        path = track.path.as_posix().lstrip("/")
        ElementTree.SubElement(
            collection,
            "TRACK",
            TrackID=ids[track],
            Name=_NOT_IN_XML.sub("", title),
            Artist=_NOT_IN_XML.sub("", artists),
            Genre=_NOT_IN_XML.sub("", SEPARATOR.join(track.labels)),
            Location=f"file://localhost/{quote(path)}",
        )
    playlists = ElementTree.SubElement(root, "PLAYLISTS")
    top = ElementTree.SubElement(playlists, "NODE", Type="0", Name="ROOT", Count=str(len(lists)))
    for label, entries in lists.items():
        node = ElementTree.SubElement(
            top,
            "NODE",
            Name=_NOT_IN_XML.sub("", label),
            Type="1",
            KeyType="0",
            Entries=str(len(entries)),
        )
        for track in entries:
            ElementTree.SubElement(node, "TRACK", Key=ids[track])
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"

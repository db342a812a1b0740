"""Collections that Rekordbox exports as XML.

The format: https://cdn.rekordbox.com/files/20200410160904/xml_format_list.pdf. `COLLECTION` holds
a `TRACK` for each track; `PLAYLISTS` a tree of `NODE`s, Type 0 for a folder and 1 for a playlist,
whose own `TRACK`s have a `Key`, by KeyType 0 the track's TrackID and by 1 its Location.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError
from kit.catalogue.sources.locate import from_url
from kit.catalogue.sources.xml import feed
from kit.catalogue.tags import bpm

_COLUMNS = {
    "Artist": "artists",
    "Name": "title",
    "Album": "album",
    "Genre": "genre",
    "Tonality": "tag_key",
}
_FOLDER, _LIST = "0", "1"
_BY_ID = "0"
_DEEPEST = 100  # folders in folders: each playlist keeps the names of all of its own


def parse(data: bytes, name: str = "") -> Source:
    """Return the tracks and playlists of a collection.

    Args:
        data: the file.
        name: not used: each playlist has a name of its own.
    Raises:
        SourceError: it is no XML of this kind, or not safe to read.
    """
    reader = _Reader()
    feed(data, reader)
    return Source(
        tuple(_playlist(node, reader.by_id, reader.by_place) for node in reader.playlists),
        tuple(reader.tracks),
    )


@dataclass
class _Node:
    kind: str
    name: str
    folders: tuple[str, ...] = ()
    by_id: bool = True
    keys: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.tracks: list[Entry] = []
        self.by_id: dict[str, Entry] = {}
        self.by_place: dict[str, Entry] = {}
        self.playlists: list[_Node] = []
        self._depth = 0
        self._section = ""
        self._nodes: list[_Node] = []

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != "DJ_PLAYLISTS":
            raise SourceError(
                f"its outermost element is {tag!r}, not 'DJ_PLAYLISTS'; export the collection "
                "from Rekordbox as XML"
            )
        if self._depth == 2:
            self._section = tag
        elif tag == "TRACK" and self._section == "COLLECTION" and self._depth == 3:
            self._track(attrib)
        elif tag == "NODE" and self._section == "PLAYLISTS":
            self._node(attrib)
        elif tag == "TRACK" and self._nodes and self._nodes[-1].kind == _LIST:
            self._nodes[-1].keys.append(attrib.get("Key", ""))

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "NODE" and self._nodes:
            self._nodes.pop()

    def data(self, data: str) -> None:
        pass

    def close(self) -> None:
        pass

    def _track(self, attrib: Mapping[str, str]) -> None:
        entry = _entry(attrib)
        self.tracks.append(entry)
        self.by_id.setdefault(attrib.get("TrackID", ""), entry)
        self.by_place.setdefault(attrib.get("Location", ""), entry)

    def _node(self, attrib: Mapping[str, str]) -> None:
        if len(self._nodes) >= _DEEPEST:
            raise SourceError(f"its folders are nested more than {_DEEPEST} deep; export it again")
        # The outermost folder, ROOT, is nobody's.
        folders = tuple(node.name for node in self._nodes[1:])
        by_id = attrib.get("KeyType", _BY_ID) == _BY_ID
        node = _Node(attrib.get("Type", _FOLDER), attrib.get("Name", ""), folders, by_id)
        self._nodes.append(node)
        if node.kind == _LIST:
            self.playlists.append(node)


def _entry(attrib: Mapping[str, str]) -> Entry:
    columns: dict[str, Any] = {
        column: attrib[name].strip()
        for name, column in _COLUMNS.items()
        if attrib.get(name, "").strip()
    }
    if not math.isnan(tempo := bpm(attrib.get("AverageBpm", ""))):
        columns["tag_bpm"] = tempo
    if attrib.get("Year", "0").strip("0 "):
        columns["release_date"] = attrib["Year"].strip()
    location, is_file = from_url(attrib.get("Location", ""))
    return Entry(location, is_file and bool(location), columns, counts=True)


def _playlist(node: _Node, by_id: Mapping[str, Entry], by_place: Mapping[str, Entry]) -> Playlist:
    entries, lost = [], []
    for key in node.keys:
        if key in (by_id if node.by_id else by_place):
            entries.append((by_id if node.by_id else by_place)[key])
        elif node.by_id or not key:
            lost.append(key)
        else:
            entries.append(Entry(*from_url(key), counts=True))
    return Playlist(node.name, tuple(entries), node.folders, tuple(lost))

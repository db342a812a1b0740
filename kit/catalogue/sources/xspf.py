"""XSPF playlists, https://www.xspf.org/spec."""

import math
from collections.abc import Mapping

from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError
from kit.catalogue.sources.locate import from_url
from kit.catalogue.sources.xml import feed, local

_COLUMNS = {"creator": "artists", "title": "title", "album": "album"}


def parse(data: bytes, name: str) -> Source:
    """Return the entries of a playlist.

    Args:
        data: the file.
        name: what it is called if it has no title.
    Raises:
        SourceError: it is no XML of this kind, or not safe to read.
    """
    reader = _Reader()
    feed(data, reader)
    found = tuple(reader.entries)
    return Source((Playlist(reader.name.strip() or name, found),), found)


class _Reader:
    def __init__(self) -> None:
        self.name = ""
        self.entries: list[Entry] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._locations: list[str] = []
        self._fields: dict[str, str] = {}

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        self._path.append(local(tag))
        self._text = []
        if self._path == ["playlist"]:
            return
        if len(self._path) == 1:
            raise SourceError(
                f"its outermost element is {local(tag)!r}, not 'playlist'; export the playlist as "
                "XSPF"
            )
        if self._path == ["playlist", "trackList", "track"]:
            self._locations, self._fields = [], {}

    def data(self, data: str) -> None:
        self._text.append(data)

    def end(self, tag: str) -> None:
        text, self._text = "".join(self._text).strip(), []
        match self._path:
            case ["playlist", "title"]:
                self.name = text
            case ["playlist", "trackList", "track"]:
                self.entries.append(self._entry())
            case ["playlist", "trackList", "track", "location"]:
                self._locations.append(text)
            case ["playlist", "trackList", "track", field]:
                self._fields.setdefault(field, text)
        self._path.pop()

    def close(self) -> None:
        pass

    def _entry(self) -> Entry:
        columns: dict[str, object] = {
            column: self._fields[field]
            for field, column in _COLUMNS.items()
            if self._fields.get(field)
        }
        try:
            length_s = float(self._fields.get("duration", "")) / 1000
        except ValueError:
            length_s = math.nan
        if 0 < length_s < math.inf:
            columns["duration_s"] = length_s
        # A track may have several places; the first file is taken.
        places = [from_url(text) for text in self._locations if text]
        location, is_file = next((p for p in places if p[1]), places[0] if places else ("", False))
        return Entry(location, is_file, columns, counts=True)

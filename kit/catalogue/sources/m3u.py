"""M3U and M3U8 playlists: a path or URL a line, and lines that begin with #.

Of the latter are read: `#EXTINF:SECONDS,ARTIST - TITLE`, `#PLAYLIST:NAME`, and for the next entry
`#EXTART:`, `#EXTALB:` and `#EXTGENRE:`.
"""

import re
from typing import Any

from kit.catalogue.sources.entry import Entry, Playlist, Source
from kit.catalogue.sources.locate import from_text
from kit.catalogue.sources.text import decode, described

_EXTINF = re.compile(r'#EXTINF:\s*(-?[0-9.]*)((?:[^,"]|"[^"]*")*),?(.*)', re.IGNORECASE)
_COLUMNS = {"#EXTART:": "artists", "#EXTALB:": "album", "#EXTGENRE:": "genre"}
_NAME = "#PLAYLIST:"


def parse(data: bytes, name: str) -> Source:
    """The entries of a playlist.

    Args:
        data: the file; any text is one, so that nothing is refused.
        name: what it is called if it has no title.
    """
    entries: list[Entry] = []
    columns: dict[str, Any] = {}
    for line in map(str.strip, re.split(r"[\r\n]", decode(data))):
        if not line:
            continue
        if not line.startswith("#"):
            location, is_file = from_text(line)
            entries.append(Entry(location, is_file, columns))
            columns = {}
        elif match := _EXTINF.fullmatch(line):
            columns = described(match[3], match[1]) | columns
        elif line.upper().startswith(_NAME):
            name = line[len(_NAME) :].strip() or name
        else:
            for mark, column in _COLUMNS.items():
                if line.upper().startswith(mark) and line[len(mark) :].strip():
                    columns = {**columns, column: line[len(mark) :].strip()}
    found = tuple(entries)
    return Source((Playlist(name, found),), found)

"""M3U and M3U8 playlists: a path or URL a line, and lines that begin with #.

Of the latter are read: `#EXTINF:SECONDS,ARTIST - TITLE`, `#PLAYLIST:NAME`, and for the next entry
`#EXTART:`, `#EXTALB:` and `#EXTGENRE:`. A line that is no directive and ends like the name of a
file of audio, such as `#1 Crush.mp3`, is an entry too.
"""

import re
from typing import Any

from kit.catalogue.scan import AUDIO_EXTENSIONS
from kit.catalogue.sources.entry import Entry, Playlist, Source
from kit.catalogue.sources.locate import from_text
from kit.catalogue.sources.text import decode, described

_EXTINF = re.compile(r'#EXTINF[:\s]\s*(-?[0-9.]*)((?:[^,"]|"[^"]*")*),?(.*)', re.IGNORECASE)
_COLUMNS = {"#EXTART:": "artists", "#EXTALB:": "album", "#EXTGENRE:": "genre"}
_NAME = "#PLAYLIST:"
_DIRECTIVE = re.compile(r"#(?:(?i:EXTM3U\b|EXTINF\b|EXT[A-Z0-9-]*:)|[A-Z][A-Z0-9-]+:)")


def parse(data: bytes, name: str) -> Source:
    """Return the entries of a playlist.

    Args:
        data: the file; any text is one, so that nothing is refused.
        name: what it is called if it has no title.
    """
    entries: list[Entry] = []
    columns: dict[str, Any] = {}
    for line in (line.strip(" \t\0\ufeff") for line in re.split(r"[\r\n]", decode(data))):
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
        elif _DIRECTIVE.match(line) is None:
            if line.rpartition(".")[2].lower() in AUDIO_EXTENSIONS:
                entries.append(Entry(line, True, columns, comment=True))
                columns = {}
        else:
            for mark, column in _COLUMNS.items():
                if line.upper().startswith(mark) and line[len(mark) :].strip():
                    columns = {**columns, column: line[len(mark) :].strip()}
    found = tuple(entries)
    return Source((Playlist(name, found),), found)

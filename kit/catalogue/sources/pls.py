"""Parser of PLS playlists: a section [playlist] with File1, Title1, Length1, File2 and so on."""

import re

from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError
from kit.catalogue.sources.locate import from_text
from kit.catalogue.sources.text import decode, described

_LINE = re.compile(r"\s*(File|Title|Length)([0-9]{1,9})\s*=\s*(.*?)\s*", re.IGNORECASE | re.ASCII)


def parse(data: bytes, name: str) -> Source:
    """Return the entries of a playlist, in the order of their numbers.

    Args:
        data: the file.
        name: what it is called; it has no title of its own.
    Raises:
        SourceError: it has no section [playlist].
    """
    lines = re.split(r"[\r\n]", decode(data))
    if not any(line.strip().lower() == "[playlist]" for line in lines):
        raise SourceError("it has no section [playlist]; export the playlist again")
    fields: dict[str, dict[int, str]] = {"file": {}, "title": {}, "length": {}}
    for line in lines:
        if match := _LINE.fullmatch(line):
            fields[match[1].lower()].setdefault(int(match[2]), match[3])
    entries = []
    for number, text in sorted(fields["file"].items()):
        if text:
            location, is_file = from_text(text)
            columns = described(fields["title"].get(number, ""), fields["length"].get(number, ""))
            entries.append(Entry(location, is_file, columns))
    found = tuple(entries)
    return Source((Playlist(name, found),), found)

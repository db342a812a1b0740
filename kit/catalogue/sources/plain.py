"""Read playlists in plain text: M3U (one path or URL per line) and PLS (a section [playlist])."""

import codecs
import re
from typing import Any

from kit.catalogue.scan import AUDIO_EXTENSIONS
from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError, filled, from_text

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ANSI = "cp1252"
_DASH = re.compile(r"\s[-\u2013\u2014]\s")

_EXTINF = re.compile(r'#EXTINF[:\s]\s*(-?[0-9.]*)((?:[^,"]|"[^"]*")*),?(.*)', re.IGNORECASE)
_COLUMNS = {"#EXTART:": "artists", "#EXTALB:": "album", "#EXTGENRE:": "genre"}
_NAME = "#PLAYLIST:"
_DIRECTIVE = re.compile(r"#(?:(?i:EXTM3U\b|EXTINF\b|EXT[A-Z0-9-]*:)|[A-Z][A-Z0-9-]+:)")
_PLS = re.compile(r"\s*(File|Title|Length)([0-9]{0,9})\s*=\s*(.*?)\s*", re.IGNORECASE | re.ASCII)


def m3u(data: bytes, name: str) -> Source:
    """Return the entries of an M3U playlist; any text is valid M3U.

    `#EXTINF:SECONDS,ARTIST - TITLE`, `#EXTART:`, `#EXTALB:` and `#EXTGENRE:` describe the next
    entry, and `#PLAYLIST:` names the list. Another line that begins with # and ends like the name
    of an audio file, such as `#1 Crush.mp3`, is also an entry.
    """
    entries: list[Entry] = []
    columns: dict[str, Any] = {}
    for line in (line.strip(" \t\0\ufeff") for line in re.split(r"[\r\n]", decode(data))):
        if not line:
            continue
        if not line.startswith("#"):
            entries.append(Entry(*from_text(line), columns))
            columns = {}
        elif match := _EXTINF.fullmatch(line):
            columns = _described(match[3], match[1]) | columns
        elif line.upper().startswith(_NAME):
            name = line[len(_NAME) :].strip() or name
        elif mark := next((mark for mark in _COLUMNS if line.upper().startswith(mark)), ""):
            columns = columns | filled(**{_COLUMNS[mark]: line[len(mark) :]})
        elif line.rpartition(".")[2].lower() in AUDIO_EXTENSIONS:
            directive = _DIRECTIVE.match(line) is not None
            doubt = "directive" if directive else "comment"
            entries.append(Entry(line, True, {} if directive else columns, doubt=doubt))
            columns = columns if directive else {}
    return Source((Playlist(name, tuple(entries)),), tuple(entries))


def pls(data: bytes, name: str) -> Source:
    """Return the entries of a PLS playlist, in the order of their numbers.

    Raises:
        SourceError: the section [playlist] is missing.
    """
    lines = re.split(r"[\r\n]", decode(data))
    if not any(line.strip().lower() == "[playlist]" for line in lines):
        raise SourceError("it has no section [playlist]; export the playlist again")
    files: list[tuple[int, str]] = []
    about: dict[tuple[str, int], str] = {}
    for line in lines:
        if match := _PLS.fullmatch(line):
            kind, n, text = match[1].lower(), int(match[2] or 0), match[3]
            if kind != "file":
                about.setdefault((kind, n), text)
            elif text:
                files.append((n, text))
    entries = tuple(
        Entry(
            *from_text(text), _described(about.get(("title", n), ""), about.get(("length", n), ""))
        )
        for n, text in sorted(files, key=lambda file: file[0])
    )
    return Source((Playlist(name, entries),), entries)


def encoding_of(data: bytes) -> str:
    """Return the encoding of a text: by its byte order mark, else UTF-8, else Windows-1252.

    UTF-16 without a mark has many zero bytes, nearly all at even or all at odd positions.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    even, odd = data[:2000:2].count(0), data[1:2000:2].count(0)
    if max(even, odd) > max(2, 4 * min(even, odd), len(data[:2000]) / 20):
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return ANSI
    return "utf-8"


def decode(data: bytes) -> str:
    """Decode bytes, see `encoding_of`; invalid bytes become U+FFFD.

    Lines are decoded separately, because joined lists may mix UTF-8 and other encodings.
    """
    encoding = encoding_of(data)
    if encoding != ANSI:
        return data.decode(encoding, "replace").removeprefix("\ufeff")
    return "\n".join(line.decode(encoding_of(line), "replace") for line in data.split(b"\n"))


def number(text: str) -> float:
    """Return a number above 0; 0 if invalid."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 < value < float("inf") else 0.0


def _described(text: str, seconds: str) -> dict[str, Any]:
    """Return the columns in "Artist - Title" and a length."""
    parts = _DASH.split(text, maxsplit=1)
    names = dict(zip(("artists", "title")[-len(parts) :], parts, strict=True))
    return filled(**names, duration_s=number(seconds))

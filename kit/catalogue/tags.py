"""Read the tags of audio files: ID3, Vorbis comments, MP4, ASF, APEv2 and RIFF INFO.

Source of the names: ID3v2.4's list of frames, MusicBrainz Picard's table of tag names, and, for key
and tempo, the names that DJ software writes.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mutagen
import soundfile
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, TCON

from kit.catalogue.names import plain
from kit.catalogue.schema import SEPARATOR, is_absent, one_line

_MP4 = "----:com.apple.iTunes:"

# Names of each column in ID3, Vorbis and APEv2 (both ignore case), MP4 and ASF. No name has another
# meaning in another format, so every name is looked up in every file.
_NAMES = {
    "artists": ("TPE1", "artist", "\xa9ART", "Author"),
    "title": ("TIT2", "title", "\xa9nam", "Title"),
    "album": ("TALB", "album", "\xa9alb", "WM/AlbumTitle"),
    "release_date": ("TDRC", "date", "year", "\xa9day", "WM/Year"),
    "genre": ("TCON", "genre", "\xa9gen", "WM/Genre"),
    "isrc": ("TSRC", "TXXX:ISRC", "isrc", f"{_MP4}ISRC", f"{_MP4}isrc", "WM/ISRC"),
    "tag_bpm": ("TBPM", "TXXX:BPM", "bpm", "tempo", f"{_MP4}BPM", "tmpo", "WM/BeatsPerMinute"),
    "tag_key": (
        *("TKEY", "TXXX:initialkey", "TXXX:INITIALKEY", "initialkey", "key"),
        *(f"{_MP4}initialkey", f"{_MP4}INITIALKEY", f"{_MP4}KEY", "WM/InitialKey"),
    ),
}

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_BPM = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*(?:bpm)?\s*", re.IGNORECASE | re.ASCII)
_FASTEST_BPM = 1000.0
# In the form of `plain`: words that players, shops and databases use for an unknown genre.
_NO_GENRE = frozenset(
    (
        *("unknown", "unknown genre", "genre", "no genre", "other", "others", "other genre"),
        *("none", "null", "nil", "na", "n a", "not set", "not available", "not specified"),
        *("misc", "miscellaneous", "various", "undefined", "unspecified", "unclassifiable"),
        *("general unclassifiable", "unclassified", "uncategorized", "uncategorised", "unsorted"),
        *("untitled", "default", "blank", "empty", "tbd", "todo", "music", "audio", "genres"),
        *("unbekannt", "andere", "sonstige", "sonstiges", "keine", "kein genre", "inconnu"),
        *("autre", "autres", "desconocido", "otro", "otros", "ninguno", "sconosciuto", "altro"),
        *("desconhecido", "outros", "onbekend", "overig"),
    )
)
_NUMBERS = re.compile(r"[0-9]{1,3}|(?:\((?:[0-9]{1,3}|RX|CR)\))+.*")
_SIGNS = re.compile(r"[-?._…–—*#\s]*")
_BETWEEN_BLANKS = re.compile(r"\s/\s+[^\s;\0]")
# Such as Discogs' "Folk, World, & Country".
_LAST_COMMA = re.compile(r"[^;\0|\\]*,\s*(?:&|and\b)")


@dataclass(frozen=True)
class Tags:
    """The tags of one file, named like the columns; "" and NaN are unknown.

    Attributes:
        artists: names, separated by "; ".
        title: title of the track.
        album: title of the album.
        release_date: unchanged text, mostly a year or YYYY-MM-DD.
        genre: names, separated by "; ".
        isrc: 12 characters.
        tag_bpm: beats per minute.
        tag_key: unchanged text, such as Am, 8A or 1m.
    """

    artists: str = ""
    title: str = ""
    album: str = ""
    release_date: str = ""
    genre: str = ""
    isrc: str = ""
    tag_bpm: float = math.nan
    tag_key: str = ""


def read_tags(path: Path) -> Tags:
    """Return the tags of a file; broken or missing ones are unknown and never an error.

    A file may have tags of several formats: later ones fill the gaps of earlier ones.
    """
    found = Tags()
    for read in _READERS:
        try:
            tags = read(path)
        except Exception:
            # A file with broken tags can still be used, and mutagen raises other errors than its
            # own for damaged bytes.
            continue
        if tags:
            more = {name: value for name, value in asdict(_view(tags)).items() if value}
            known = {name: value for name, value in asdict(found).items() if not is_absent(value)}
            found = Tags(**(more | known))
        if found.artists and found.title and found.genre:
            break
    return found


def _container(path: Path) -> Any:
    file: Any = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    return None if file is None else file.tags


def _chunks(path: Path) -> dict[str, str] | None:
    """Return the tags that libsndfile reads, such as RIFF INFO."""
    if path.suffix.lower() not in (".wav", ".wave", ".rf64", ".w64", ".caf", ".aif", ".aiff"):
        return None
    with soundfile.SoundFile(path) as file:
        return file.copy_metadata()


# mutagen reads neither APEv2 tags of MP3 files, nor ID3 tags of AAC and FLAC files, nor RIFF INFO.
_READERS: tuple[Callable[[Path], Any], ...] = (_container, ID3, APEv2, _chunks)


def _view(tags: Any) -> Tags:
    values = {column: list(_values(tags, names)) for column, names in _NAMES.items()}
    return Tags(
        **{name: joined(values[name]) for name in ("artists", "title", "album", "release_date")},
        genre=joined([name for text in values["genre"] for name in _id3_genres(text)]),
        isrc=next(filter(None, map(isrc, values["isrc"])), ""),
        tag_bpm=next((n for n in map(bpm, values["tag_bpm"]) if not math.isnan(n)), math.nan),
        tag_key=joined(values["tag_key"][:1]),
    )


def _values(tags: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the values of the first name that has any."""
    for name in names:
        try:
            texts = list(_texts(tags[name]))
        except Exception:
            # A missing tag, a name that the format does not allow, or invalid bytes.
            continue
        if any(text.strip() for text in texts):
            yield from texts
            return


def _texts(raw: Any) -> Iterator[str]:
    if hasattr(raw, "genres"):
        # ID3's genres may be numbers; mutagen returns "Unknown" for numbers without a name.
        yield from (name for name in raw.genres if name != "Unknown")
        return
    values = getattr(raw, "text", raw)
    for value in [values] if isinstance(values, str) else list(values):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        # ID3v2.4 separates values by NUL; some programs do so in other formats.
        yield from text.split("\0")


def _id3_genres(text: str) -> list[str]:
    """Return the genres of ID3 numbers such as "18" and "(4)(18)", which occur in all formats."""
    text = text.strip()
    if not _NUMBERS.fullmatch(text):
        return [text]
    return [name for name in TCON(encoding=3, text=[text]).genres if name != "Unknown"]


def joined(values: list[str]) -> str:
    """Return the distinct values as one cell."""
    return SEPARATOR.join(dict.fromkeys(filter(None, map(one_line, values))))


def isrc(text: str) -> str:
    """Return an ISRC (ISO 3901) in its short form, 12 capitals and digits; "" if invalid."""
    short = re.sub(r"[\s-]", "", text).upper().removeprefix("ISRC").lstrip(":")
    return short if _ISRC.fullmatch(short) else ""


def bpm(text: str) -> float:
    """Return beats per minute; NaN if invalid, such as the 0 that some programs write."""
    match = _BPM.fullmatch(text)
    value = float(match[1].replace(",", ".")) if match else math.nan
    return value if 1 <= value <= _FASTEST_BPM else math.nan


def first_genre(genre: str) -> str:
    """Return the first genre in a tag, "" if none; see `genres`."""
    return next(iter(genres(genre)), "")


def genres(text: str) -> tuple[str, ...]:
    r"""Return the distinct genres in a tag, separated by ";", "/", ",", "|", a backslash or NUL.

    Only ";" and NUL separate inside brackets. A "/" between spaces is part of the name, as in
    Beatport's "Minimal / Deep Tech", and so are commas before ", &". Placeholders such as "Unknown"
    and "Other" are left out.
    """
    names = map(one_line, _divided(text))
    return tuple(dict.fromkeys(name for name in names if _is_genre(name)))


def _is_genre(name: str) -> bool:
    return _SIGNS.fullmatch(name) is None and plain(name) not in _NO_GENRE


def _divided(text: str) -> Iterator[str]:
    if plain(text) in _NO_GENRE:  # "N/A" is not two genres
        return
    text = text.lstrip(" ;/,|\\\0")
    depth = begin = 0
    for at, sign in enumerate(text):
        depth = max(depth + (sign in "([") - (sign in ")]"), 0)
        if sign in ";\0" or (not depth and _divides(text, at)):
            yield text[begin:at]
            begin, depth = at + 1, 0
    yield text[begin:]


def _divides(text: str, at: int) -> bool:
    match text[at]:
        case "/":
            return not _BETWEEN_BLANKS.match(text, at - 1)
        case ",":
            return not _LAST_COMMA.match(text, at)
        case sign:
            return sign in "|\\"

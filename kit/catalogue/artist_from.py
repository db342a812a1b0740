"""Find the artist and title of a track in the name of its file or folder."""

import re
from collections.abc import MutableMapping
from pathlib import PurePosixPath
from typing import Any, Literal

import pandas as pd

from kit.catalogue.schema import alike, is_absent, one_line

ArtistFrom = Literal["filename", "folder"]

_DASH = re.compile(r"\s+[-\u2010-\u2015\u2212]\s+")
_NUMBER = re.compile(r"[(\[]?\d{1,3}[)\].]?")
_SIDE = re.compile(r"[A-H]\d{1,2}", re.IGNORECASE)
# A track number before a name, without a dash between them. A number followed by only a space must
# begin with 0: "808 State" and "50 Cent" are artists.
_BEFORE_NAME = re.compile(
    r"^(?:"
    r"[(\[]\d{1,3}[)\]]\s*"  # (01) Name
    r"|\d{1,3}[.)]\s*(?=\D)"  # 01. Name
    r"|[A-H]\d{1,2}\.\s+"  # A1. Name
    r"|\d{1,2}-\d{2}[\s.)]+"  # 1-03 Name
    r"|\d{2}-(?=\D)"  # 01-Name
    r"|0\d{1,2}\s+"  # 01 Name
    r")(?=\S)",
    re.IGNORECASE,
)
# Bandcamp: "Artist - Album - 01 Title".
_BEFORE_TITLE = re.compile(r"^\d\d\s+(?!inch\b)(?=\S)", re.IGNORECASE)
_DISC = re.compile(r"(?:cd|dis[ck])[\s_-]*\d{1,2}", re.IGNORECASE)
_NOBODY = frozenset(
    ("various artists", "various", "va", "v.a.", "v/a", "unknown artist", "unknown", "compilations")
)


def artist_from(path: str, source: ArtistFrom, label: str = "") -> tuple[str, str]:
    """Return the artist and the title in a path, "" if unknown.

    Args:
        path: of the file, with "/" between folders, relative to the scanned folder.
        source: "filename" reads "Artist - Title", with or without a track number before it;
            "folder" reads the first folder of the path, up to a dash ("Artist - Album").
        label: the track's label. If the first folder has this name, the next one is read.
    """
    file = PurePosixPath(path)
    parts = _parts(file.stem)
    if source == "filename":
        artist = parts[0] if len(parts) > 1 else ""
        title = _title(parts[1:]) if len(parts) > 1 else ""
        return _somebody(artist), title
    folders = file.parts[:-1]
    if folders and _same(folders[0], label):
        folders = folders[1:]
    if not folders or _DISC.fullmatch(folders[0].strip()):
        return "", ""
    artist = _somebody(_DASH.split(_blanks(folders[0]))[0])
    rest = parts[1:] if len(parts) > 1 and _same(parts[0], artist) else parts
    return artist, _title(rest) if artist else ""


def fill_artist(row: MutableMapping[Any, Any], source: ArtistFrom | None) -> None:
    """Fill missing `artists` and `title` of a row from its path.

    Args:
        row: one track: `path`, and `label` if known.
        source: as for `artist_from`; with None the row stays unchanged.
    """
    if source is None or is_absent(row.get("path")):
        return
    found = artist_from(str(row["path"]), source, str(row.get("label", "")))
    for column, value in zip(("artists", "title"), found, strict=True):
        if value and is_absent(row.get(column)):
            row[column] = value


def unknown_artists(table: pd.DataFrame) -> str:
    """Return a warning about tracks without an artist, with the flag that helps; "" if none."""
    rows = [row for row in table.to_dict("records") if is_absent(row.get("artists"))]
    if not rows:
        return ""

    def named(source: ArtistFrom) -> int:
        return sum(
            bool(artist_from(str(row.get("path", "")), source, str(row["label"]))[0])
            for row in rows
        )

    if names := named("filename"):
        look = "looks" if names == 1 else "look"
        remedy = (
            f'{names} of their file names {look} like "Artist - Title": add --artist-from filename'
        )
    elif folders := named("folder"):
        remedy = (
            'files named "Artist - Title" need --artist-from filename; '
            f"{folders} of them {'is' if folders == 1 else 'are'} in a folder that may be named "
            "after the artist: if so, add --artist-from folder"
        )
    else:
        remedy = (
            'write artists into the tags, name the files "Artist - Title" and add --artist-from '
            "filename, or scan a CSV file with a column artists"
        )
    have = "has" if len(rows) == 1 else "have"
    return (
        f"{len(rows)} of {len(table)} tracks {have} no artist, so a split by artist cannot "
        f"keep the tracks of one artist in one part; {remedy}"
    )


def _parts(stem: str) -> list[str]:
    """Split a file's name at its dashes, without its track number."""
    parts = [one_line(part) for part in _DASH.split(_blanks(stem))]
    numbered = _NUMBER.fullmatch(parts[0]) or (len(parts) > 2 and _SIDE.fullmatch(parts[0]))
    if len(parts) > 1 and numbered:
        return parts[1:]
    return [_BEFORE_NAME.sub("", parts[0], count=1), *parts[1:]]


def _blanks(name: str) -> str:
    """Replace underscores by spaces, unless the name has a dash between spaces already."""
    name = name.strip()
    return name if _DASH.search(name) else name.replace("_", " ").strip()


def _title(parts: list[str]) -> str:
    """Join the parts after the artist, from the title on."""
    for at, part in enumerate(parts[:-1]):
        if _NUMBER.fullmatch(part):
            return " - ".join(parts[at + 1 :])
    if len(parts) > 1 and (bare := _BEFORE_TITLE.sub("", parts[-1], count=1)) != parts[-1]:
        return bare
    return " - ".join(parts)


def _somebody(name: str) -> str:
    name = one_line(name)
    return "" if name.casefold() in _NOBODY else name


def _same(one: str, other: str) -> bool:
    return alike(one) == alike(other)

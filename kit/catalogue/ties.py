"""Find groups of tracks that a split keeps in one part: of an artist, a file or a recording.

Tracks with a common key are tied, and a group is a connected component. A split across groups would
test a network on recordings and artists of its training.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kit.catalogue.names import plain
from kit.catalogue.schema import SEPARATOR, alike
from kit.errors import UsageError

RECORDING = "recording"
"""Column with the name of a track's recording; tracks of one recording stay together."""

# Separators of the artists in one name, in lower case.
_BETWEEN = re.compile(
    r"\s*[,/|、，；]\s*|\s[&+×]\s+|\s*[\s(\[](?:feat|ft|featuring)\b\.?\s*"
    r"|\s(?:vs|versus|x|and|und|et|y|b2b|meets|presents|pres|with|w/)[\s.]+"
)

_ISRC = re.compile("[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
# Album names without meaning.
_NO_ALBUM = frozenset(
    ("", "unknown", "unknown album", "various", "various artists", "va", "single", "singles")
)
_MOST_ARTISTS = 3  # more artists make an album a compilation


def components(keys: Iterable[Sequence[Sequence[Any]]], count: int) -> np.ndarray:
    """Return the index of each track's connected component, (tracks,).

    Args:
        keys: for each kind of tie, the keys of each track; equal keys tie tracks.
        count: number of tracks.
    """
    # SciPy's sparse arrays take a quarter of a second to import.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[tuple[int, Any], int] = {}
    tracks: list[int] = []
    nodes: list[int] = []
    for kind, of_tracks in enumerate(keys):
        for track, names in enumerate(of_tracks):
            for name in names:
                tracks.append(track)
                nodes.append(numbers.setdefault((kind, name), count + len(numbers)))
    size = count + len(numbers)
    graph = coo_array((np.ones(len(tracks), bool), (tracks, nodes)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:count]


def groups_by(table: pd.DataFrame, by: str) -> np.ndarray:
    """Return the name of each track's group: the first name of its members in sorted order.

    Tracks are tied by the names of `keys_by`, identical files, identical audio with other tags,
    ISRC and the column `recording`; in a split by artist also by album.
    """
    names = names_by(table, by)
    ties: list[Sequence[Sequence[Any]]] = [keys_by(table, by)]
    if by != "random":
        ties += [codes(table, "isrc"), codes(table, RECORDING), codes(table, "audio_hash")]
    if by == "artist":
        ties.append(albums(table))
    ties.append(codes(table, "source_hash"))
    member = components(ties, len(table))
    least: dict[int, tuple[bool, str]] = {}
    for number, track_id, found in zip(member, table["track_id"], names, strict=True):
        # A track without a name uses its id, which sorts after names.
        own = min([(False, name) for name in found] or [(True, str(track_id))])
        least[number] = min(least.get(number, own), own)
    return np.array([least[number][1] for number in member], dtype=object)


def codes(table: pd.DataFrame, column: str) -> list[list[str]]:
    """Return the normalised code of each track in a column; none for an empty cell."""
    if column not in table:
        return [[]] * len(table)
    cells = _cells(table[column])
    if column == "isrc":
        cells = [cell.upper().replace("-", "") for cell in cells]
        cells = [cell if _ISRC.fullmatch(cell) else "" for cell in cells]
    return [[cell] if cell else [] for cell in cells]


def albums(table: pd.DataFrame) -> list[list[tuple[str, str]]]:
    """Return the album of each track as its name and the track's folder; none if unknown.

    Albums of many artists are compilations. They are not ties, because they would join most artists
    of a collection in one group.
    """
    if "album" not in table:
        return [[]] * len(table)
    cells = ["" if pd.isna(cell) else alike(str(cell)) for cell in table["album"]]
    paths = table["path"] if "path" in table else [""] * len(table)
    folders = ["" if pd.isna(path) else str(path).rpartition("/")[0] for path in paths]
    keys = list(zip(cells, folders, strict=True))
    who = names_by(table, "artist") if "artists" in table else [()] * len(table)
    artists: dict[tuple[str, str], set[str]] = {}
    for key, names in zip(keys, who, strict=True):
        artists.setdefault(key, set()).update(names[:1])
    return [
        [key] if key[0] not in _NO_ALBUM and len(artists[key]) <= _MOST_ARTISTS else []
        for key in keys
    ]


def keys_by(table: pd.DataFrame, by: str) -> Sequence[Sequence[str]]:
    """Return the names that tie each track to others; none if it has none.

    For artists, these are the main artist of each name, and those others of "a & b" or "a feat. b"
    who have a track alone. The remaining artists would tie too many tracks: in a real table they
    join 521 of 1,311 tracks in one group, against 283 for those with a track alone. Case, accents
    and punctuation do not matter.
    """
    names = names_by(table, by)
    if by != "artist":
        return names
    found = [[artists_in(name) for name in artists_of(cell)] for cell in _cells(table["artists"])]
    alone = {parts[0] for of_track in found for parts in of_track if len(parts) == 1}
    return [
        list(
            dict.fromkeys(
                part
                for parts in of_track
                for at, part in enumerate(parts)
                if at == 0 or part in alone
            )
        )
        for of_track in found
    ]


def names_by(table: pd.DataFrame, by: str) -> Sequence[Sequence[str]]:
    """Return each track's values of the column `by`; for artists, main artists in lower case.

    Raises:
        UsageError: the table lacks the column.
    """
    if by == "random":
        return [()] * len(table)
    column = {"artist": "artists"}.get(by, by)
    if by == "track" and "track" not in table:
        column = "track_id"
    if column not in table:
        raise UsageError(
            f"--split.by is {by!r}, but the catalogue has no column {column!r}; add it, or use "
            f"--split.by track, or another of its columns: {', '.join(map(str, table.columns))}"
        )
    cells = _cells(table[column])
    if by != "artist":
        return [[cell] if cell else [] for cell in cells]
    return [list(dict.fromkeys(map(_main_artist, artists_of(cell)))) for cell in cells]


def without_guests(table: pd.DataFrame, keys: Sequence[Sequence[str]]) -> int:
    """Return the number of tracks by an artist whom a split by artist may divide."""
    cells = _cells(table["artists"])
    return sum(
        not {part for name in artists_of(cell) for part in artists_in(name)} <= set(kept)
        for cell, kept in zip(cells, keys, strict=True)
    )


def artists_of(cell: str) -> list[str]:
    """Return the names in a cell, in lower case and normalised Unicode."""
    names = (alike(name) for name in cell.split(SEPARATOR.strip()))
    return [name for name in names if name]


def artists_in(name: str) -> list[str]:
    """Return the artists of a name such as "a, b", "a & b" or "a feat. b", the main one first.

    The names are in lower case without accents and punctuation.
    """
    parts = [plain(part) for part in _BETWEEN.split(name)]
    return [part for part in parts if part] or [plain(name)]


def _main_artist(name: str) -> str:
    return _BETWEEN.split(name)[0].strip() or name


def _cells(column: Any) -> list[str]:
    return ["" if pd.isna(cell) else str(cell).strip() for cell in column]

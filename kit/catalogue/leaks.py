"""Find copies, recordings, artists and albums that are in several parts of a split."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from kit.catalogue.ties import RECORDING, albums, codes, keys_by

KINDS = {
    "bytes": "the same file",
    "audio": "the same audio with other tags",
    "acoustic": "the same recording",
    "isrc": "the same ISRC",
    "recording": "the same recording in the table",
    "artist": "the same artist",
    "album": "the same album",
}
"""Description of each kind of leak, the most certain kind first."""


@dataclass(frozen=True)
class Leak:
    """Tracks in two parts of a split that should be in one, with one example.

    `key` is the artist, album or code that they share; for an acoustic copy, a description.
    """

    kind: str
    key: str
    part: str
    path: str
    other_part: str
    other_path: str
    pairs: int = 1


def leaks(
    table: pd.DataFrame,
    parts: Sequence[str],
    audio: Mapping[str, str] | None = None,
    acoustic: Iterable[tuple[str, str, str]] = (),
) -> list[Leak]:
    """Return the leaks of a split, the most certain kind first.

    Two copies are listed once, as the most certain kind.

    Args:
        table: one row per track: `track_id`, `path` and other columns.
        parts: part of each track; "" for a track in no part.
        audio: hash of each track's audio without tags, by track_id.
        acoustic: pairs of track_ids with the same recording, each with a description.
    """
    by_id = {str(track_id): row for row, track_id in enumerate(table["track_id"])}
    paths = table["path"] if "path" in table else table["track_id"]
    names = ["" if pd.isna(path) else str(path) for path in paths]
    names = [name or str(track) for name, track in zip(names, table["track_id"], strict=True)]

    def leak(kind: str, key: str, one: int, other: int, pairs: int = 1) -> Leak:
        one, other = sorted((one, other), key=lambda row: (_ORDER.get(parts[row], 0), row))
        return Leak(kind, key, parts[one], names[one], parts[other], names[other], pairs)

    hashes = [[(audio or {}).get(str(track), "")] for track in table["track_id"]]
    hashes = [found if found[0] else [] for found in hashes]
    copies: dict[tuple[int, int], tuple[str, str]] = {}
    for kind, keys in (("bytes", codes(table, "source_hash")), ("audio", hashes)):
        for key, rows in _rows_of(keys).items():
            for pair in combinations(rows, 2):
                copies.setdefault(pair, (kind, key))
    for one, other, text in acoustic:
        if one in by_id and other in by_id:
            pair = (min(by_id[one], by_id[other]), max(by_id[one], by_id[other]))
            copies.setdefault(pair, ("acoustic", text))
    found = [
        leak(kind, key, *pair)
        for pair, (kind, key) in copies.items()
        if _differ(parts[pair[0]], parts[pair[1]])
    ]
    shared: dict[str, Sequence[Sequence[Any]]] = {
        "isrc": codes(table, "isrc"),
        "recording": codes(table, RECORDING),
        "artist": keys_by(table, "artist") if "artists" in table else [],
        "album": albums(table),
    }
    for kind, keys in shared.items():
        for key, rows in _rows_of(keys).items():
            inside: dict[str, list[int]] = {}
            for row in rows:
                inside.setdefault(parts[row], []).append(row)
            text = str(key[0]) if isinstance(key, tuple) else str(key)
            for one, other in combinations(inside, 2):
                if _differ(one, other):
                    pairs = len(inside[one]) * len(inside[other])
                    found.append(leak(kind, text, inside[one][0], inside[other][0], pairs))
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.kind))


def in_words(found: Sequence[Leak], tracks: int) -> str:
    """Return one sentence about the leaks of a split of `tracks` tracks."""
    if not found:
        return f"nothing leaks: no two parts of {tracks:,} tracks have a copy, artist or album"
    kinds = Counter(leak.kind for leak in found)
    each = ", ".join(f"{KINDS[kind]} {kinds[kind]:,}" for kind in KINDS if kind in kinds)
    return (
        f"the split leaks ({each}): a network is tested on music of its training, and its "
        "accuracy is too high"
    )


# Training parts come before the parts that they leak into.
_ORDER = {"train": -2, "validation": -1}


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _rows_of(keys: Sequence[Sequence[Any]]) -> dict[Any, list[int]]:
    rows: dict[Any, list[int]] = {}
    for row, names in enumerate(keys):
        for name in names:
            rows.setdefault(name, []).append(row)
    return {name: found for name, found in rows.items() if len(found) > 1}

"""Match rows of a table to audio files, one to one. Pure functions.

Three passes over the remaining rows and files compare ISRCs, then artists and titles, then similar
names. A pair is sure if nothing contradicts it and no other pair has nearly the same score. Other
pairs above a threshold are doubtful, and the user decides. The thresholds were set with
benchmarks/match.py.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any, Literal

import numpy as np
from rapidfuzz import fuzz

from kit.catalogue.names import Name, parse

LENGTHS_AGREE_S = 3.0
"""Largest difference of matching lengths, seconds, because of cut fades and added silence."""

# Scores are weighted percentages of rapidfuzz. Equal lengths allow a lower score.
_SURE = 88.0
_SURE_WITHOUT_LENGTH = 95.0
_DOUBTFUL = 78.0
_DOUBTFUL_OTHER_LENGTH = 92.0
# Minimum score of the artist and of the title.
_LEAST_PART = 62.0
# A pair within this margin makes a better pair doubtful.
_MARGIN = 3.0
_VERSIONS_AGREE = 86.0
_TITLE_SHARE = 0.55
_SWAPPED = 3.0
_THE_SAME = 99.0
_DOUBT = 8.0
# Maximum number of files offered for a row.
_OFFERED = 3
# Candidates of a row, and their minimum cosine.
_NEAREST = 8
_LEAST_COSINE = 0.2
# Memory for a block of cosines, MiB: the default of scikit-learn is 1024.
_BLOCK_MIB = 64


Pass = Literal["isrc", "name", "likeness"]


@dataclass(frozen=True)
class Item:
    """Facts about a row, or about a file.

    Attributes:
        artists: unchanged text; "" if unknown.
        title: unchanged text; "" if unknown.
        isrc: 12 characters; "" if unknown.
        duration_s: seconds; NaN if unknown.
    """

    artists: str = ""
    title: str = ""
    isrc: str = ""
    duration_s: float = math.nan


@dataclass(frozen=True)
class Match:
    """A row and a file by their indices, with a score of 0 to 100 and its reasons as text.

    A good match is sure, unless another one has nearly the same score.
    """

    row: int
    file: int
    score: float
    why: str
    by: Pass
    good: bool


@dataclass(frozen=True)
class Decision:
    """Result of `match`.

    Attributes:
        sure: sure pairs in the order of rows, each row and file at most once.
        doubtful: pairs of other rows and files in the order of rows, best first.
    """

    sure: tuple[Match, ...]
    doubtful: tuple[Match, ...]


def match(
    rows: Sequence[Item],
    files: Sequence[Item],
    *,
    refused: AbstractSet[tuple[int, int]] = frozenset(),
) -> Decision:
    """Find the file of each row.

    Args:
        rows: tracks without audio.
        files: audio without a track.
        refused: pairs (row, file) that the user has refused.
    """
    sides = tuple(rows), tuple(files)
    names = tuple(tuple(parse(item.artists, item.title) for item in side) for side in sides)
    state = _State(sides, names)
    for found in (_by_isrc, _by_name, _by_likeness):
        _settle([m for m in found(state) if (m.row, m.file) not in refused], state)
    return Decision(tuple(sorted(state.sure, key=lambda m: m.row)), tuple(_offered(state)))


@dataclass
class _State:
    """Rows and files, in this order, with their parsed names, and the decisions so far."""

    items: tuple[tuple[Item, ...], ...]
    names: tuple[tuple[Name, ...], ...]
    done: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    sure: list[Match] = field(default_factory=list)
    doubtful: dict[tuple[int, int], Match] = field(default_factory=dict)

    def apart(self, row: int, file: int) -> float:
        return abs(self.items[0][row].duration_s - self.items[1][file].duration_s)

    def is_open(self, row: int, file: int) -> bool:
        return row not in self.done[0] and file not in self.done[1]


def _settle(pairs: list[Match], state: _State) -> None:
    """Accept good pairs without a rival, best first; the others are doubtful."""
    pairs = sorted(pairs, key=lambda p: (-p.score, p.row, p.file))
    of_row, of_file = defaultdict(list), defaultdict(list)
    for pair in pairs:
        of_row[pair.row].append(pair)
        of_file[pair.file].append(pair)
    for pair in pairs:
        if not state.is_open(pair.row, pair.file):
            continue
        rival = _rival(pair, (of_row[pair.row], of_file[pair.file]), state)
        found = replace(pair, score=round(pair.score, 1))
        if pair.good and rival is None:
            state.done[0].add(pair.row)
            state.done[1].add(pair.file)
            state.sure.append(found)
            continue
        if pair.good and rival is not None:
            tie = "another file" if rival.row == pair.row else "another row"
            found = replace(found, why=f"{pair.why}; {tie} is as near")
        state.doubtful.setdefault((pair.row, pair.file), found)


def _rival(pair: Match, others: Iterable[Sequence[Match]], state: _State) -> Match | None:
    """Return an open pair with nearly the same or a higher score. Lists are sorted best first."""
    for among in others:
        for other in among:
            if other.score <= pair.score - _MARGIN:
                break
            if other is not pair and state.is_open(other.row, other.file):
                return other
    return None


def _offered(state: _State) -> Iterable[Match]:
    found = [m for m in state.doubtful.values() if state.is_open(m.row, m.file)]
    found.sort(key=lambda m: (m.row, -m.score, m.file))
    for _, of_row in groupby(found, key=lambda m: m.row):
        yield from islice(of_row, _OFFERED)


def _by_isrc(state: _State) -> Iterable[Match]:
    keys = [{at: item.isrc for at, item in enumerate(side) if item.isrc} for side in state.items]
    return _equal(state, keys, "isrc", "the same ISRC")


def _by_name(state: _State) -> Iterable[Match]:
    keys = [
        {at: n.key for at, n in enumerate(side) if n.artists and n.title and at not in done}
        for side, done in zip(state.names, state.done, strict=True)
    ]
    return _equal(state, keys, "name", "the same artist and title")


def _equal(state: _State, keys: Sequence[Mapping[int, Any]], by: Pass, why: str) -> Iterable[Match]:
    """Yield the pairs with the same key; for a key with very many files, the first few."""
    places: dict[Any, list[int]] = defaultdict(list)
    for file, key in keys[1].items():
        places[key].append(file)
    for row, key in keys[0].items():
        for file in places.get(key, ())[: 2 * _OFFERED]:
            apart = state.apart(row, file)
            yield Match(row, file, 100.0, _why(why, apart), by, not _differ(apart))


def _by_likeness(state: _State) -> Iterable[Match]:
    left, free = (
        [at for at in range(len(side)) if at not in done]
        for side, done in zip(state.names, state.done, strict=True)
    )
    rows, files = state.names
    near = nearest([_text(rows[at]) for at in left], [_text(files[at]) for at in free])
    pairs = (_compared(state, left[row], free[file]) for row, file in near)
    return (pair for pair in pairs if pair is not None)


def nearest(rows: Sequence[str], others: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of texts with many common trigrams, as indices in `rows` and `others`.

    Ten thousand names with ten thousand others make a hundred million pairs; their eight nearest
    names are eighty thousand, and include misspelt names. Trigrams do not cross words, so the order
    of artist and title does not matter.
    """
    texts = [*rows, *others]
    if not rows or not others or not any(text.strip() for text in texts):
        return
    # sklearn takes a second to import.
    from sklearn import config_context
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    trigrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), lowercase=False, binary=True)
    vectors = trigrams.fit_transform(texts)
    index = NearestNeighbors(n_neighbors=min(_NEAREST, len(others)), metric="cosine")
    index.fit(vectors[len(rows) :])
    with config_context(working_memory=_BLOCK_MIB):
        distances, columns = index.kneighbors(vectors[: len(rows)])
    for row, at in np.argwhere(distances <= 1 - _LEAST_COSINE):
        yield int(row), int(columns[row, at])


def _text(name: Name) -> str:
    return " ".join((*name.artists, name.title, name.version))


def _compared(state: _State, row: int, file: int) -> Match | None:
    """Compare two names; return None if the score is too low."""
    a, b = state.items[0][row], state.items[1][file]
    name_a, name_b = state.names[0][row], state.names[1][file]
    apart = state.apart(row, file)
    differ, known = _differ(apart), not math.isnan(apart)
    score, doubts = likeness(name_a, name_b)
    if score < _DOUBTFUL and name_b.artists and name_b.title:
        swapped, others = likeness(name_a, parse(b.title, b.artists))
        if swapped - _SWAPPED > score:
            score, doubts = swapped - _SWAPPED, others
            if not known and swapped < _THE_SAME:
                doubts = [*doubts, "artist and title are swapped"]
    if score < _DOUBTFUL and known and not differ:
        # The name of a version may be misspelt: pairs of the same length are doubtful.
        score = fuzz.token_sort_ratio(_text(name_a), _text(name_b)) - _DOUBT
        doubts = ["the versions may differ"]
    if score < (_DOUBTFUL_OTHER_LENGTH if differ else _DOUBTFUL) or (differ and doubts):
        return None
    if a.isrc and b.isrc and a.isrc != b.isrc:
        doubts = [*doubts, "the ISRCs differ"]
    good = score >= (_SURE if known else _SURE_WITHOUT_LENGTH) and not doubts and not differ
    why = _why("; ".join(["names are alike", *doubts]), apart)
    return Match(row, file, score, why, "likeness", good)


def likeness(a: Name, b: Name) -> tuple[float, list[str]]:
    """Return the similarity of two names, 0 to 100, and reasons to doubt it.

    Names that differ by more than spelling score 0, such as another remix, or part 1 and part 2.
    """
    if not a.title or not b.title:
        return 0.0, []
    doubts = []
    title = max(fuzz.ratio(a.title, b.title), fuzz.token_sort_ratio(a.title, b.title))
    if a.version != b.version:
        whole = fuzz.token_sort_ratio(f"{a.title} {a.version}", f"{b.title} {b.version}")
        if not (a.version and b.version) and whole >= _SURE_WITHOUT_LENGTH:
            # The title contains the version without brackets.
            title = whole
        elif a.version and b.version:
            if fuzz.ratio(a.version, b.version) < _VERSIONS_AGREE:
                return 0.0, []
        else:
            doubts.append(f"one is called {(a.version or b.version)!r}")
    if a.numbers != b.numbers:
        if a.numbers and b.numbers:
            return 0.0, []
        doubts.append("one has a number")
    if not a.artists or not b.artists:
        return title * 0.9, [*doubts, "one has no artist"]
    artists = _artists_alike(a.artists, b.artists)
    if min(title, artists) < _LEAST_PART:
        return 0.0, []
    score = _TITLE_SHARE * title + (1 - _TITLE_SHARE) * artists
    return score - _DOUBT * len(doubts), doubts


def _artists_alike(a: Sequence[str], b: Sequence[str]) -> float:
    # One list may omit featured artists, so the two most similar artists also count.
    together = fuzz.token_sort_ratio(" ".join(a), " ".join(b))
    return max(together, *(fuzz.ratio(one, other) - 1 for one in a for other in b))


def _differ(apart: float) -> bool:
    return apart > LENGTHS_AGREE_S


def _why(text: str, apart: float) -> str:
    if math.isnan(apart):
        return text
    return (
        f"{text}; the lengths differ by {apart:.0f} s" if _differ(apart) else f"{text} and length"
    )

"""Find pairs of recordings with many equal hashes at one time offset.

A fixed quarter of all hashes is compared, which leaves 20 or more for an overlap of 10 s. Memory
depends on the number of recordings in a block, not on their total number.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import UInt64

from kit.duplicates.hashes import SPEEDS, Triples

LEAST_EQUAL = 5
"""Equal hashes that make a candidate; unrelated recordings have 1 or 2 at the same offset."""
LEAST_SHARE = 0.06
"""Share of equal hashes in the overlap; copies have at least 0.15, most recordings that only share
loops have less than this."""

_KEPT = np.uint64(2**62)  # hashes below this: a quarter
_BIN_S = 0.4  # a copy at a speed between two of `SPEEDS` drifts by 0.15 s in 30 s
_LINES = 4  # offsets of a pair to verify
# More frequent hashes, such as those of a metronome, are ignored.
_COMMON = 512
_QUERIES = 32  # recordings to compare with the index at once


@dataclass(frozen=True)
class Candidate:
    """Two recordings that may be copies.

    Attributes:
        first: index of a recording.
        second: index of another one, above `first`.
        lines: speeds and offsets of equal hashes, the most frequent first: time t of the first
            corresponds to `t / speed + offset` of the second, seconds.
    """

    first: int
    second: int
    lines: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class _Index:
    hashes: UInt64[np.ndarray, " entries"]
    owner: np.ndarray
    time: np.ndarray
    ends: np.ndarray  # of each recording, seconds
    rates: np.ndarray  # of each recording, hashes a second


def candidates(
    count: int,
    triples_of: Callable[[range], Sequence[Triples]],
    *,
    block: int = 4096,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Candidate]:
    """Yield the pairs of recordings that may be copies, in order.

    Args:
        count: number of recordings.
        triples_of: returns the triples of a range of recordings.
        block: number of recordings whose hashes are in memory at once.
        progress: called with (comparisons done, number of comparisons).
    """
    blocks = [range(start, min(start + block, count)) for start in range(0, count, block)]
    total = sum(inner.stop for inner in blocks)
    done = 0
    for inner in blocks:
        index = _index(inner, triples_of)
        # Each pair once: its first recording is never in a later block than its second.
        for start in range(0, inner.stop, _QUERIES):
            asked = range(start, min(start + _QUERIES, inner.stop))
            yield from _compared(asked, triples_of(asked), index)
            done += len(asked)
            if progress is not None:
                progress(done, total)


def _index(numbers: range, triples_of: Callable[[range], Sequence[Triples]]) -> _Index:
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(numbers.start, numbers.stop, _QUERIES):
        some = range(start, min(start + _QUERIES, numbers.stop))
        for number, triples in zip(some, triples_of(some), strict=True):
            hashes = triples.hashes(1.0)
            kept = hashes < _KEPT
            owner = np.full(kept.sum(), number, np.int32)
            parts.append((hashes[kept], owner, triples.time[kept]))
    hashes, owner, time = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(hashes, kind="stable")
    ends = np.ones(numbers.stop)
    np.maximum.at(ends, owner, time)
    rates = np.bincount(owner, minlength=numbers.stop) / ends
    return _Index(hashes[order], owner[order], time[order], ends, rates)


def _compared(asked: range, triples: Sequence[Triples], index: _Index) -> Iterator[Candidate]:
    """Yield the candidate pairs of queried recordings (first) and indexed recordings (second)."""
    parts: list[tuple[np.ndarray, ...]] = []
    for number, one in zip(asked, triples, strict=True):
        for which, speed in enumerate(SPEEDS):
            hashes = one.hashes(speed)
            kept = hashes < _KEPT
            fields = (np.full(kept.sum(), number), np.full(kept.sum(), which))
            parts.append((hashes[kept], one.time[kept] / speed, *fields))
    hashes, time, first, speed = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Sorted queries read the index sequentially.
    order = np.argsort(hashes)
    hashes, time, first, speed = hashes[order], time[order], first[order], speed[order]
    if not len(index.hashes):
        return
    low = np.searchsorted(index.hashes, hashes, "left")
    found = np.searchsorted(index.hashes, hashes, "right") - low
    found[found > _COMMON] = 0
    query = np.repeat(np.arange(len(hashes)), found)
    entry = np.arange(len(query)) - np.repeat(np.cumsum(found) - found - low, found)
    # Keep each pair once, and only pairs with enough equal hashes: most have one or none.
    second = index.owner[entry].astype(np.int64)
    pair = (first[query] - asked.start) * (int(index.owner.max()) + 1) + second
    often = (np.bincount(pair) >= LEAST_EQUAL)[pair] & (second > first[query])
    query, entry = query[often], entry[often]
    if not len(query):
        return
    offset = np.floor((index.time[entry] - time[query]) / _BIN_S).astype(np.int64)
    ends = np.maximum([float(one.time.max(initial=0)) for one in triples], 1)
    rates = np.array([len(one.time) / 4 for one in triples]) / ends

    def expected(
        first: np.ndarray, second: np.ndarray, speed: np.ndarray, offset: np.ndarray
    ) -> np.ndarray:
        """Return the number of hashes in the overlap of pairs, the smaller one of the two."""
        end, rate = ends[first - asked.start] / speed, rates[first - asked.start] * speed
        overlap = np.minimum(index.ends[second], offset + end) - np.maximum(0, offset)
        return np.maximum(overlap, 0) * np.minimum(rate, index.rates[second])

    yield from _frequent(first[query], second[often], speed[query], offset, expected)


def _frequent(
    first: np.ndarray,
    second: np.ndarray,
    speed: np.ndarray,
    offset: np.ndarray,
    expected: Callable[..., np.ndarray],
) -> Iterator[Candidate]:
    """Yield the pairs with enough equal hashes in two neighbouring bins of offsets."""
    lowest = offset.min()
    bins = int(offset.max() - lowest) + 2  # one bin stays empty, between two speeds
    owners = int(second.max()) + 1
    key = ((first * owners + second) * len(SPEEDS) + speed) * bins + (offset - lowest)
    keys, counts = np.unique(key, return_counts=True)
    beside = np.zeros(len(keys), np.int64)
    next_to = keys[1:] == keys[:-1] + 1
    beside[:-1][next_to] = counts[1:][next_to]
    equal = counts + beside
    enough = equal >= LEAST_EQUAL
    keys, equal = keys[enough], equal[enough]
    pairs, line = np.divmod(keys, bins * len(SPEEDS))
    which, at = np.divmod(line, bins)
    offsets = (at + lowest + 1) * _BIN_S
    overlap = expected(*np.divmod(pairs, owners), np.array(SPEEDS)[which], offsets)
    enough = equal >= LEAST_SHARE * overlap
    keys, equal = keys[enough], equal[enough]
    pairs = keys // (bins * len(SPEEDS))
    # Sort by pair, the most frequent line first.
    order = np.lexsort((-equal, pairs))
    keys, pairs = keys[order], pairs[order]
    edges = np.flatnonzero(np.diff(pairs, prepend=-1, append=-1))
    for start, end in pairwise(edges.tolist()):
        lines = []
        for line in keys[start : min(end, start + _LINES)]:
            which, at = divmod(int(line) % (bins * len(SPEEDS)), bins)
            lines.append((SPEEDS[which], (at + int(lowest) + 1) * _BIN_S))
        a, b = divmod(int(pairs[start]), owners)
        yield Candidate(a, b, tuple(lines))

"""Find the recordings that are in a collection twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kit.duplicates.candidates import candidates
from kit.duplicates.fingerprint import Fingerprint
from kit.duplicates.hashes import Triples, triples
from kit.duplicates.verify import Match, verify

_CACHED = 256  # recordings: 20 MB for clips of 30 s


@dataclass(frozen=True)
class Duplicate:
    """Two recordings that are one.

    Attributes:
        first: number of a recording.
        second: number of another one, above `first`.
        match: how they fit together.
    """

    first: int
    second: int
    match: Match


def find(
    count: int,
    read: Callable[[Sequence[int]], Sequence[Fingerprint]],
    *,
    block: int = 4096,
    progress: Callable[[int, int], None] | None = None,
) -> list[Duplicate]:
    """Return all pairs of recordings that are one, in order.

    Args:
        count: number of recordings.
        read: gives the fingerprints of recordings, by their numbers.
        block: recordings whose hashes are in memory at once.
        progress: called with (comparisons done, comparisons in all).
    """

    def triples_of(numbers: range) -> list[Triples]:
        return [triples(one.peaks) for one in read(numbers)]

    @lru_cache(maxsize=_CACHED)
    def recording(number: int) -> tuple[Fingerprint, Triples]:
        (one,) = read([number])
        return one, triples(one.peaks)

    found = [
        Duplicate(pair.first, pair.second, match)
        for pair in candidates(count, triples_of, block=block, progress=progress)
        if (match := verify(pair, recording(pair.first), recording(pair.second))) is not None
        and match.holds
    ]
    return sorted(found, key=lambda one: (one.first, one.second))

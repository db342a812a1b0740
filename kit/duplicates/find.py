"""Find the recordings that are in a collection twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kit.duplicates.candidates import Candidate, candidates
from kit.duplicates.fingerprint import Fingerprint
from kit.duplicates.hashes import Triples, triples
from kit.duplicates.verify import Match, verify


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

    def matched() -> Iterator[Duplicate]:
        for candidate in candidates(count, triples_of, block=block, progress=progress):
            match = verify(candidate, *_both(candidate, read))
            if match is not None and match.holds:
                yield Duplicate(candidate.first, candidate.second, match)

    return sorted(matched(), key=lambda found: (found.first, found.second))


def _both(
    candidate: Candidate, read: Callable[[Sequence[int]], Sequence[Fingerprint]]
) -> tuple[tuple[Fingerprint, Triples], tuple[Fingerprint, Triples]]:
    one, other = read([candidate.first, candidate.second])
    return (one, triples(one.peaks)), (other, triples(other.peaks))

"""Find duplicate recordings: candidates by hashes, then verification."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from kit.duplicates.candidates import candidates
from kit.duplicates.fingerprint import Fingerprint
from kit.duplicates.hashes import Triples, triples
from kit.duplicates.verify import Match, verify

_CACHED = 256  # recordings: 20 MB for clips of 30 s


def find(
    count: int,
    read: Callable[[Sequence[int]], Sequence[Fingerprint]],
    *,
    block: int = 4096,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[int, int, Match]]:
    """Return the indices of each pair of copies and their match, in order.

    Args:
        count: number of recordings.
        read: returns the fingerprints of recordings by index.
        The others: as for `candidates`.

    Example:
        >>> y = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
        >>> one = kit.duplicates.fingerprint(y)
        >>> found = kit.duplicates.find(2, lambda numbers: [one for _ in numbers])
        >>> [(first, second) for first, second, _ in found]
        [(0, 1)]
    """

    def triples_of(numbers: range) -> list[Triples]:
        return [triples(one.peaks) for one in read(numbers)]

    @lru_cache(maxsize=_CACHED)
    def recording(number: int) -> tuple[Fingerprint, Triples]:
        (one,) = read([number])
        return one, triples(one.peaks)

    found = [
        (pair.first, pair.second, match)
        for pair in candidates(count, triples_of, block=block, progress=progress)
        if (match := verify(pair, recording(pair.first), recording(pair.second))) is not None
        and match.holds
    ]
    return sorted(found, key=lambda one: one[:2])

"""Which names are worth a closer look: cosine similarity of their trigrams, in sparse blocks.

All pairs of ten thousand names with ten thousand others are a hundred million; the eight nearest
by trigrams are eighty thousand, and a name with typing errors in it is among them.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from scipy import sparse

NEAREST = 8

# Cells of a dense block of similarities: 32 MiB.
_BLOCK_CELLS = 1 << 23
_LEAST = 0.2


def nearest(
    rows: Sequence[str], others: Sequence[str], count: int = NEAREST
) -> Iterator[tuple[int, int]]:
    """Pairs of a text of `rows` and one of `others` that have much in common.

    Args:
        rows: plain texts.
        others: plain texts.
        count: at most so many of `others` for each of `rows`.
    Yields:
        Their positions, in the order of `rows`.
    """
    if not rows or not others:
        return
    a, b = _vectors(rows, others)
    transposed = b.T.tocsr()
    step = max(1, _BLOCK_CELLS // len(others))
    for start in range(0, len(rows), step):
        similar = (a[start : start + step] @ transposed).toarray()
        yield from _best(similar, start, min(count, len(others)))


def _best(
    similar: Float[np.ndarray, "rows others"], start: int, count: int
) -> Iterator[tuple[int, int]]:
    columns = np.sort(np.argpartition(-similar, count - 1, axis=1)[:, :count], axis=1)
    enough = np.take_along_axis(similar, columns, axis=1) >= _LEAST
    for row, at in np.argwhere(enough):
        yield start + int(row), int(columns[row, at])


def _vectors(
    rows: Sequence[str], others: Sequence[str]
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Unit vectors of trigrams, each weighted by how rare it is."""
    places: dict[str, int] = {}
    indices: list[int] = []
    ends = [0]
    for text in (*rows, *others):
        indices += [places.setdefault(gram, len(places)) for gram in _trigrams(text)]
        ends.append(len(indices))
    shape = (len(ends) - 1, max(1, len(places)))
    ones = np.ones(len(indices), np.float32)
    matrix = sparse.csr_matrix((ones, np.array(indices, np.int32), ends), shape=shape)
    frequency = np.bincount(matrix.indices, minlength=shape[1])
    rarity = np.log(shape[0] / np.maximum(frequency, 1)) + 1 / shape[0]
    matrix.data = rarity[matrix.indices].astype(np.float32)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = sparse.diags_array(1 / np.maximum(norms, math.ulp(1.0)))
    unit = sparse.csr_matrix(scale @ matrix, dtype=np.float32)
    return unit[: len(rows)], unit[len(rows) :]


def _trigrams(text: str) -> set[str]:
    # Within words: their order does not matter, so that swapped fields are as near as any.
    return {f" {word} "[at : at + 3] for word in text.split() for at in range(len(word))}

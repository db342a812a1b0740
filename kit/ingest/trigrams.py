"""Pairs of names to compare closely: nearest neighbours by the cosine of their trigrams.

All pairs of ten thousand names with ten thousand others are a hundred million. The eight nearest by
trigrams are eighty thousand, and a misspelt name is among them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

NEAREST = 8

# Memory for a block of similarities, MiB: sklearn's default of 1024 would be most of the process.
_BLOCK_MIB = 64
_LEAST = 0.2


def nearest(
    rows: Sequence[str], others: Sequence[str], count: int = NEAREST
) -> Iterator[tuple[int, int]]:
    """Yield the positions of pairs of texts that have many trigrams in common.

    Trigrams are taken within words, so that the order of artist and title does not matter.

    Args:
        rows: plain texts.
        others: plain texts.
        count: at most this many of `others` for each of `rows`.
    Yields:
        A position in `rows` and one in `others`, in the order of `rows`.
    """
    texts = [*rows, *others]
    if not rows or not others or not any(text.strip() for text in texts):
        return
    # Imported here: sklearn takes a second to import.
    from sklearn import config_context
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    trigrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), lowercase=False, binary=True)
    vectors = trigrams.fit_transform(texts)
    index = NearestNeighbors(n_neighbors=min(count, len(others)), metric="cosine")
    index.fit(vectors[len(rows) :])
    with config_context(working_memory=_BLOCK_MIB):
        distances, columns = index.kneighbors(vectors[: len(rows)])
    for row, at in np.argwhere(distances <= 1 - _LEAST):
        yield int(row), int(columns[row, at])

"""Find candidate pairs of names: nearest neighbours by the cosine of their trigrams.

Ten thousand names with ten thousand others make a hundred million pairs. The eight nearest names by
trigrams reduce them to eighty thousand, and include misspelt names.
"""

from collections.abc import Iterator, Sequence

import numpy as np

NEAREST = 8

# Memory for a block of similarities, MiB: sklearn's default is 1024.
_BLOCK_MIB = 64
_LEAST = 0.2


def nearest(
    rows: Sequence[str], others: Sequence[str], count: int = NEAREST
) -> Iterator[tuple[int, int]]:
    """Yield pairs of texts with many common trigrams, as indices in `rows` and `others`.

    Trigrams do not cross words, so the order of artist and title does not matter. Each of `rows`
    gets at most `count` of `others`.
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
    index = NearestNeighbors(n_neighbors=min(count, len(others)), metric="cosine")
    index.fit(vectors[len(rows) :])
    with config_context(working_memory=_BLOCK_MIB):
        distances, columns = index.kneighbors(vectors[: len(rows)])
    for row, at in np.argwhere(distances <= 1 - _LEAST):
        yield int(row), int(columns[row, at])

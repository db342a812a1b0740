"""The tracks whose embeddings are nearest."""

import numpy as np
from jaxtyping import Float32

from kit.errors import UsageError


def units_of(rows: Float32[np.ndarray, "tracks width"]) -> Float32[np.ndarray, "tracks width"]:
    """Return embeddings scaled to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(rows, axis=1)
    return rows / np.where(norms > 0, norms, 1)[:, None]


def nearest(
    units: Float32[np.ndarray, "tracks width"], at: int, count: int
) -> list[tuple[int, float]]:
    """Return the rows with the highest cosine to one of them, without itself.

    Args:
        units: as `units_of` returns them.
        at: the row to compare with.
        count: rows to return, at most.
    Returns:
        Number and cosine of each row, the most similar first; of equals, the first row first. The
        cosine of a row of zeros is 0.
    """
    cosines = units @ units[at]
    order = np.argsort(-cosines, kind="stable")
    return [(int(i), float(cosines[i])) for i in order if i != at][:count]


def row_of_track(track: str, track_ids: list[str], paths: list[str]) -> int:
    """Return the row of a track that a person named by its id, its path, or the path's end.

    Raises:
        UsageError: no track has the name, or several do.
    """
    if track in track_ids:
        return track_ids.index(track)
    found = [i for i, path in enumerate(paths) if path == track or path.endswith(f"/{track}")]
    if len(found) != 1:
        several = f"{len(found)} tracks have it" if found else "no track with an embedding has it"
        raise UsageError(f"{track!r} names no single track: {several}; give a track_id or a path")
    return found[0]

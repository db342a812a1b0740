"""Find the tracks with the most similar embeddings."""

import numpy as np
from jaxtyping import Float32

from kit.errors import UsageError


def units_of(rows: Float32[np.ndarray, "tracks width"]) -> Float32[np.ndarray, "tracks width"]:
    """Return embeddings scaled to length 1; rows of zeros stay unchanged."""
    norms = np.linalg.norm(rows, axis=1)
    return rows / np.where(norms > 0, norms, 1)[:, None]


def nearest(
    units: Float32[np.ndarray, "tracks width"], at: int, count: int
) -> list[tuple[int, float]]:
    """Return the rows with the highest cosine to another row.

    Returns:
        Index and cosine of each row, the most similar first, ties by index. The cosine of a row of
        zeros is 0.
    """
    cosines = units @ units[at]
    order = np.argsort(-cosines, kind="stable")
    return [(int(i), float(cosines[i])) for i in order if i != at][:count]


def row_of_track(track: str, track_ids: list[str], paths: list[str]) -> int:
    """Return the row of a track by its id, its path, or the end of its path.

    Raises:
        UsageError: no track or several tracks match.
    """
    if track in track_ids:
        return track_ids.index(track)
    found = [i for i, path in enumerate(paths) if path == track or path.endswith(f"/{track}")]
    if len(found) != 1:
        several = f"{len(found)} tracks match" if found else "no track with an embedding matches"
        raise UsageError(
            f"{track!r} does not identify a track: {several}; give a track_id or a path"
        )
    return found[0]

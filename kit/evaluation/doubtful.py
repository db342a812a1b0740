"""Labels that the network contradicts, as a table to correct and to scan again with."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kit.catalogue.io import as_csv

NAME = "doubtful.csv"
COLUMNS = ["track_id", "path", "artists", "title", "label", "suggested", "probability"]
"""`kit scan FOLDER --labels doubtful.csv` reads `path` and `label`."""
_ROUNDING = 1e-6


def suggested(
    p: Float[np.ndarray, "tracks classes"], y: Int[np.ndarray, " tracks"]
) -> Int[np.ndarray, " tracks"]:
    """Return the label that the network suggests for each track, which is mostly its own.

    A label is likely for a track if its probability reaches the label's mean probability over the
    tracks that carry it. The suggestion is the most probable likely label, or else the own label.

    Args:
        p: probabilities by a network that did not learn from the tracks.
        y: the label of each track, by number.

    Source: the confident joint of Northcutt, Jiang & Chuang (2021), Confident learning.
    """
    own = y[:, None] == np.arange(p.shape[1])
    with np.errstate(invalid="ignore"):
        threshold = (p * own).sum(axis=0) / own.sum(axis=0)
    # The threshold of a label without a track is NaN, which no probability reaches.
    likely = p >= threshold - _ROUNDING
    return np.where(likely.any(axis=1), np.where(likely, p, -1.0).argmax(axis=1), y)


def doubtful(
    tracks: list[dict[str, Any]], labels: list[str], p: Float[np.ndarray, "tracks classes"]
) -> list[dict[str, Any]]:
    """Return `COLUMNS` of the tracks with a doubtful label, the most probable suggestion first."""
    y = np.array([labels.index(track["label"]) for track in tracks], int)
    better = suggested(p, y)
    rows = [
        {
            **{name: track.get(name) or "" for name in COLUMNS[:-2]},
            "suggested": labels[better[at]],
            "probability": float(p[at, better[at]]),
        }
        for at, track in enumerate(tracks)
        if better[at] != y[at]
    ]
    return sorted(rows, key=lambda row: -row["probability"])


def in_csv(rows: list[dict[str, Any]]) -> str:
    """Return the rows of `doubtful` as CSV."""
    return as_csv(pd.DataFrame(rows, columns=COLUMNS).round(6))

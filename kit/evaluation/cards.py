"""Cards of tracks on the report: title, answer, spectrogram and sound."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kit.errors import KitError
from kit.plots.html import data_uri
from kit.plots.media import thumbnail

_BARS = 5  # labels on a card: the most probable ones and the true one
Row = dict[str, Any]


def card(track: Row, spectrogram_of: Callable[[str], np.ndarray] | None) -> Row:
    """Return the content of a track's card, without its player."""
    picture = None
    if spectrogram_of is not None:
        try:
            features = np.asarray(spectrogram_of(track["track_id"]), dtype=np.float32)
            picture = data_uri(thumbnail(features), "image/png")
        except KitError:
            picture = None  # The store may lack the track; the card says so.
    by_probability = sorted(track["probabilities"].items(), key=lambda item: (-item[1], item[0]))
    bars = by_probability[:_BARS]
    if track["label"] not in dict(bars):
        bars[-1:] = [(n, p) for n, p in by_probability if n == track["label"]]
    right = track["predicted"] == track["label"]
    kinds = {track["predicted"]: "is-no", track["label"]: "is-yes"}
    return {
        "title": _text(track.get("title")) or _file_name(track) or track["track_id"],
        "artists": _text(track.get("artists")),
        "label": track["label"],
        "predicted": track["predicted"],
        "right": right,
        "learned": track.get("part") == "train",
        "bars": [{"label": name, "p": p, "kind": kinds.get(name, "")} for name, p in bars],
        "picture": picture,
    }


def _text(value: object) -> str:
    """Return a cell of the catalogue as text; pandas' missing value is a float."""
    return value.strip() if isinstance(value, str) else ""


def _file_name(track: Row) -> str:
    # Replace underscores by spaces, so that a long name can break its line.
    return " ".join(PurePosixPath(_text(track.get("path"))).stem.replace("_", " ").split())

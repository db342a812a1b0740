"""The map of a catalogue: a page with a dot for each track, near tracks that sound like it."""

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32
from markupsafe import Markup

from kit import __version__
from kit.catalogue import Catalogue
from kit.errors import UsageError
from kit.explore.projection import plane
from kit.explore.tracks import Track
from kit.features.similar import nearest, units_of
from kit.files import write_text
from kit.plots.html import policy, render
from kit.plots.media import embed_players, linked_players
from kit.plots.style import MOST_SERIES

NEAREST = 5
# SVG paths about (0, 0), 12 pixels wide. Seven shapes and six colours tell 42 labels apart, and
# neighbours in the legend differ in both.
SHAPES = (
    "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z",
    "M-5-5H5V5H-5z",
    "M0-6.5L6.2 5H-6.2z",
    "M0-7L7 0L0 7L-7 0z",
    "M-2-6.5h4v4.5h4.5v4h-4.5v4.5h-4v-4.5h-4.5v-4h4.5z",
    "M0 6.5L6.2-5H-6.2z",
    "M-6-3.2L-3.2-6L0-2.8L3.2-6L6-3.2L2.8 0L6 3.2L3.2 6L0 2.8L-3.2 6L-6 3.2L-2.8 0z",
)


def write_map(
    path: Path,
    catalogue: Catalogue,
    track_ids: Sequence[str],
    rows: Float32[np.ndarray, "tracks width"],
    *,
    projection: Literal["tsne", "pca", "umap"] = "tsne",
    limit_mib: float | int = 24,
) -> Path:
    """Write the map of a catalogue's tracks by their embeddings.

    Args:
        path: the file.
        catalogue: tracks and their audio.
        track_ids: tracks of `rows`, in the same order.
        rows: embeddings, such as a layer of `kit.embed`.
        projection: method of `kit.explore.projection.plane`.
        limit_mib: embed the audio if all of it takes less, MiB; otherwise play it from its files,
            by paths relative to the page.
    Raises:
        UsageError: there are fewer than three tracks, UMAP is not installed, or `path` is a folder.
        KitError: the file cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --out takes the name of a file, such as map.html")
    table = catalogue.table.set_index("track_id", drop=False).loc[list(track_ids)]
    tracks = [
        Track({str(k): v for k, v in row.items()}, catalogue) for row in table.to_dict("records")
    ]
    units = units_of(rows)
    places = _fitted(plane(units, projection))
    kinds = sorted(Counter(track.label for track in tracks).items())
    labels = [label for label, _ in kinds]
    audio = [track.path for track in tracks]
    linked = linked_players(audio, path.parent)
    embedded = embed_players(linked, audio, int(limit_mib * 2**20))
    beside = any(player.kind == "linked" for player in embedded)
    players = linked if beside else embedded
    style, script = _file("map.css"), _file("map.js")
    shown = {
        "title": catalogue.folder.resolve().name,
        "kinds": kinds,
        "dots": [
            {
                "track": track,
                "kind": labels.index(track.label),
                "place": place,
                "near": " ".join(f"{j}:{cosine:.2f}" for j, cosine in nearest(units, i, NEAREST)),
                "player": player,
            }
            for i, (track, place, player) in enumerate(zip(tracks, places, players, strict=True))
        ],
        "colours": MOST_SERIES,
        "shapes": SHAPES,
        "projection": {"tsne": "t-SNE", "pca": "principal components", "umap": "UMAP"}[projection],
        "groups_apart": projection == "pca",
        "beside": beside,
        "notices": catalogue.notices,
        "kit": __version__,
        "style": Markup(style),
        "script": Markup(script),
        "policy": policy(linked_sound=beside, style=style, script=script),
    }
    write_text(path, render("kit.explore", "map.html.j2", shown))
    return path


def _fitted(points: Float[np.ndarray, "tracks 2"]) -> Float[np.ndarray, "tracks 2"]:
    """Return points as percentages of the map, the second axis downwards, with a margin."""
    span = np.ptp(points, axis=0)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    return 50 + (points - middle) / np.where(span > 0, span, 1) * np.array([92, -92])


def _file(name: str) -> str:
    return files("kit.explore").joinpath(name).read_text(encoding="utf-8")

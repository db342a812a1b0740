"""`kit similar`."""

from typing import Annotated

import tyro

from kit.cli.arguments import CatalogueFolder, Format, Layer, Musicnn, opened
from kit.errors import UsageError

Tracks = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TRACK ...")]


def similar(
    catalogue: CatalogueFolder,
    tracks: Tracks,
    count: int = 5,
    model: Musicnn = "MSD_musicnn",
    layer: Layer = "penultimate",
    format: Format = "table",
) -> int:
    """List the tracks of a catalogue that are most similar to given ones.

    Similarity is the cosine of musicnn's embeddings, 1 for equal ones. `kit weights musicnn`
    downloads the weights. Missing embeddings are computed first.

    Example: kit similar data/mine "techno/Surgeon - Magneze.mp3" --count 10

    Args:
        tracks: The given tracks, by track_id, path or file name.
        count: Number of similar tracks to list for each.
    """
    if count < 1:
        raise UsageError(f"--count is {count}; it must be at least 1")
    if not tracks:
        raise UsageError("no track given; give a track_id, a path or a file name")
    loaded = opened(catalogue)
    from kit.cli.output import write_rows
    from kit.cli.stages.embedding import compute
    from kit.features.similar import nearest, row_of_track, units_of

    found = compute(loaded, model, brief=True)
    table = loaded.table.set_index("track_id").loc[found.track_ids]
    paths = table["path"].fillna("").astype(str).tolist()
    labels = table["label"].astype(str).tolist()
    asked = [row_of_track(track, found.track_ids, paths) for track in tracks]
    if len(found.track_ids) < 2:
        raise UsageError(f"{catalogue} has only one track with an embedding; add others")
    units = units_of(found.layers[layer])
    rows = [
        {
            "track": paths[at],
            "similar": paths[other],
            "label": labels[other],
            "cosine": round(cosine, 6),
        }
        for at in asked
        for other, cosine in nearest(units, at, count)
    ]
    write_rows(format, rows)
    return 0

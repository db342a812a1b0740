"""`kit map`."""

from typing import Literal

from kit.cli.arguments import CatalogueFolder, Layer, Musicnn, PathOrNot, opened


def map(
    catalogue: CatalogueFolder,
    out: PathOrNot = None,
    projection: Literal["tsne", "pca", "umap"] = "tsne",
    model: Musicnn = "MSD_musicnn",
    layer: Layer = "penultimate",
) -> int:
    """Draw a map on which similar tracks lie close together, with players.

    Each dot is a track. Its position comes from musicnn's embedding, its colour and shape from the
    label. A click plays the track and lists the most similar tracks, as `kit similar` does. The
    page works offline. If the audio takes more than 24 MiB, the page plays it from its files, which
    must stay in place.

    `kit weights musicnn` downloads the weights. Missing embeddings are computed first.

    Example: kit map data/mine

    Args:
        out: File of the page; CATALOGUE/map.html if not given.
        projection: t-SNE and UMAP preserve neighbours; principal components preserve large
            distances. umap needs pip install "genre-kit[umap]".
    """
    loaded = opened(catalogue)
    from kit import terminal
    from kit.cli.stages.embedding import compute
    from kit.explore.map import write_map

    found = compute(loaded, model, brief=True)
    out = out or catalogue / "map.html"
    page = write_map(out, loaded, found.track_ids, found.layers[layer], projection=projection)
    terminal.say(f"wrote {page}")
    return 0

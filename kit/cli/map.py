"""`kit map`."""

from typing import Literal

from kit.cli.arguments import CatalogueFolder, PathOrNot, require_catalogue
from kit.weights import Model


def map(
    catalogue: CatalogueFolder,
    out: PathOrNot = None,
    projection: Literal["tsne", "pca", "umap"] = "tsne",
    model: Model = "MSD_musicnn",
    layer: Literal["penultimate", "pooled"] = "penultimate",
) -> int:
    """Draw a page on which tracks that sound alike lie together, to click and hear.

    A dot is a track. Its place comes from musicnn's embedding, its colour and shape from its label.
    The page shows a track's name and its nearest tracks, those of `kit similar`, and plays it. It
    is one file that needs no network. Clips that are too large for it are played from their files,
    which must stay in place.

    The weights come from `kit weights musicnn`; embeddings that are missing are computed first.

    Example: kit map data/mine

    Args:
        catalogue: Folder that `kit scan` made.
        out: File of the page; CATALOGUE/map.html if not given.
        projection: t-SNE and UMAP keep neighbours together; principal components keep large
            distances. umap needs umap-learn.
        model: Trained on the Million Song Dataset (MSD) or on MagnaTagATune (MTT).
        layer: The layer before the tags, or the pooling.
    """
    require_catalogue(catalogue)
    from kit import terminal
    from kit.catalogue import load
    from kit.cli.stages.embedding import compute
    from kit.explore.map import write_map

    loaded = load(catalogue)
    found = compute(loaded, model, brief=True)
    out = out or catalogue / "map.html"
    page = write_map(out, loaded, found.track_ids, found.layers[layer], projection=projection)
    terminal.say(f"page: {page}")
    return 0

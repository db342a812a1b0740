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

    Each dot is a track. musicnn's embedding gives its place, the label its colour and shape. The
    page shows the name of a track and its nearest tracks, as `kit similar` does, and plays it. The
    page needs no network. If the audio takes more than 24 MiB, it is played from its files, which
    must stay in place.

    `kit weights musicnn` fetches the weights. Missing embeddings are computed first.

    Example: kit map data/mine

    Args:
        catalogue: Folder that `kit scan` made.
        out: File of the page; CATALOGUE/map.html if not given.
        projection: t-SNE and UMAP keep neighbours together; principal components keep large
            distances. umap needs pip install "genre-kit[umap]".
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
    terminal.say(f"wrote {page}")
    return 0

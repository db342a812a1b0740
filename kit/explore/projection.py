"""Tracks as points of a plane, by features or embeddings: principal components, t-SNE or UMAP."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from kit.errors import UsageError
from kit.explore.statistics import FEATURES, KEYS

Method = Literal["pca", "umap"]

# Features that an axis names.
_NAMED = 3


@dataclass(frozen=True)
class Projection:
    """Place of each track.

    Attributes:
        points: places of the tracks that have every feature used, (used, 2).
        used: which tracks of the table have a place, (tracks,).
        axes: the two axes in words.
        features: the features used, which at least half of the tracks have.
    """

    points: Float[np.ndarray, "used 2"]
    used: Bool[np.ndarray, " tracks"]
    axes: tuple[str, str]
    features: tuple[str, ...]


def project(values: pd.DataFrame, method: Method = "pca") -> Projection:
    """Project standardised features to two coordinates for each track.

    A key counts as a point of a circle, so that B is as near to C as C to C♯.

    Args:
        values: result of `kit.explore.statistics.values`.
        method: principal components; or UMAP, which keeps neighbours together and whose axes and
            larger distances mean nothing.
    Raises:
        UsageError: fewer than three tracks have the features, or they do not vary in two ways; or
            UMAP is not installed.
    """
    known = np.isfinite(values[[feature.name for feature in FEATURES]].to_numpy())
    common = np.flatnonzero(2 * known.sum(axis=0) >= max(len(known), 1))
    names = [FEATURES[i].name for i in common]
    used = np.array([len(names) > 0 and row.all() for row in known[:, common]], bool)
    x, columns = _standardised(values.loc[used, names])
    if len(x) < 3 or len(columns) < 2:
        raise UsageError(
            f"{len(x)} tracks have every feature, and {len(columns)} of those vary; "
            "a map takes three tracks and two features"
        )
    if method == "umap":
        return Projection(_umap(x), used, ("UMAP 1", "UMAP 2"), tuple(names))
    points, pca = _components(x)
    shares, parts = np.asarray(pca.explained_variance_ratio_), np.asarray(pca.components_)
    first, second = (
        f"Component {i + 1}, {shares[i]:.0%} of the variance: {_named(parts[i], columns)}"
        for i in range(2)
    )
    return Projection(points, used, (first, second), tuple(names))


def plane(
    units: Float32[np.ndarray, "tracks width"], method: Literal["tsne", "pca", "umap"] = "tsne"
) -> Float[np.ndarray, "tracks 2"]:
    """Return a place on a plane for each track, near tracks of similar embeddings.

    Args:
        units: embeddings, each scaled to length 1.
        method: t-SNE and UMAP keep neighbours together, and their distances between groups mean
            nothing; principal components keep the largest distances.
    Raises:
        UsageError: there are fewer than three tracks, or UMAP is not installed.
    """
    if len(units) < 3:
        raise UsageError(f"a map takes three tracks; {len(units)} have an embedding")
    x = units.astype(np.float64) - units.mean(axis=0, dtype=np.float64)
    if not np.ptp(x, axis=0).any():
        return np.zeros((len(x), 2))
    if method == "umap":
        return _umap(x)
    points = _components(x)[0]
    if method == "pca":
        return points
    from sklearn.manifold import TSNE  # takes a second, which other maps do not need

    # Components as the start make the map reproducible, and set its large-scale order.
    start = (points / points[:, 0].std() * 1e-4).astype(np.float32)
    perplexity = min(30.0, (len(x) - 1) / 3)
    # On a few hundred tracks two threads take twelve times the CPU time of one.
    with threadpool_limits(1):
        found = TSNE(init=start, perplexity=perplexity, random_state=0).fit_transform(x)
    return np.asarray(found, np.float64)


def _components(
    x: Float[np.ndarray, "rows columns"],
) -> tuple[Float[np.ndarray, "rows 2"], PCA]:
    """Return rows as their first two principal components, and the fitted components."""
    pca = PCA(2, svd_solver="full")
    return pca.fit_transform(x), pca


def _standardised(values: pd.DataFrame) -> tuple[Float[np.ndarray, "used columns"], list[str]]:
    """Scale columns to mean 0 and variance 1, and leave out those that do not vary."""
    columns: dict[str, np.ndarray] = {}
    for name in values:
        column = values[name].to_numpy()
        if name == "key":
            angle = 2 * np.pi * column / len(KEYS)
            columns["key (cosine)"], columns["key (sine)"] = np.cos(angle), np.sin(angle)
        else:
            columns[str(name)] = column
    varied = {name: c for name, c in columns.items() if len(c) and np.ptp(c) > 0}
    standard = [(c - c.mean()) / c.std() for c in varied.values()]
    return np.stack(standard, axis=1) if standard else np.empty((len(values), 0)), list(varied)


def _named(parts: Float[np.ndarray, " columns"], columns: list[str]) -> str:
    strongest = np.argsort(-np.abs(parts), kind="stable")[:_NAMED]
    return ", ".join(f"{'+' if parts[i] > 0 else '−'} {columns[i]}" for i in strongest)


def _umap(x: Float[np.ndarray, "used columns"]) -> Float[np.ndarray, "used 2"]:
    try:
        with warnings.catch_warnings():
            # umap-learn warns that TensorFlow is not installed.
            warnings.simplefilter("ignore", ImportWarning)
            import umap  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError(
            "UMAP is not installed; install genre-kit[umap], or take --projection pca"
        ) from error
    # Reproducible with a seed, on one thread only.
    reducer: Any = umap.UMAP(random_state=0, n_jobs=1, n_neighbors=min(15, len(x) - 1))
    return np.asarray(reducer.fit_transform(x), np.float64)

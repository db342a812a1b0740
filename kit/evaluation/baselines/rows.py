"""Rows of the table of baselines: classifiers of stored vectors, networks and table features."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from kit.catalogue.rights import from_spotify
from kit.evaluation.baselines.folds import Baseline, of_dictionary, of_layers, of_vectors
from kit.evaluation.baselines.models import FOREST, LOGISTIC, ROOT_LOGISTIC, ROOT_SVM, SVM
from kit.evaluation.baselines.store import VectorStore
from kit.evaluation.baselines.table import design
from kit.explore.statistics import select
from kit.features.embed import Embeddings
from kit.shallow.ensemble import DICTIONARY
from kit.shallow.vectors import KINDS

_CLASSIFIERS = (
    ("simple", "tempo, loudness and spectrum", (SVM,)),
    ("mfcc", "MFCC statistics", (SVM, FOREST)),
    ("rich", "rich statistics", (SVM, FOREST, LOGISTIC)),
    ("shape", "shape over time", (ROOT_SVM, ROOT_LOGISTIC)),
)


def of_store(
    store: VectorStore, sources: Sequence[str], kinds: Collection[str] = (*KINDS, DICTIONARY)
) -> list[Baseline]:
    """Return the classifiers of stored vectors, by the SHA-256 of each track's file."""
    vectors = store.read(sources)
    each = [
        of_vectors(name, vectors[kind], family, kind)
        for kind, name, families in _CLASSIFIERS
        if kind in kinds
        for family in families
    ]
    return [*each, *([of_dictionary(store, sources, SVM)] if DICTIONARY in kinds else [])]


def of_networks(
    probed: Mapping[str, Embeddings], ids: Sequence[str], notes: list[str]
) -> list[Baseline]:
    """Return the probes of frozen networks; notes on those without an embedding of all tracks."""
    probes = []
    for name, found in probed.items():
        place = {track: at for at, track in enumerate(found.track_ids)}
        if missing := sum(track not in place for track in ids):
            notes.append(
                f"left out: {name}, since {missing} of {len(ids)} tracks have no embedding"
            )
            continue
        rows_of = [place[track] for track in ids]
        probes.append(of_layers(name, {k: v[rows_of] for k, v in found.layers.items()}))
    return probes


def table_numbers(rows: pd.DataFrame, rights: bool, notes: list[str]) -> np.ndarray | None:
    """Return the table's audio features, or None without features to train on.

    Rows with features from another source are NaN.
    """
    selection = select(rows)
    if selection.source is None:
        return None
    if from_spotify(rows, "feature_source") and not rights:
        notes.append(
            "left out: table features, since some are from Spotify, whose terms forbid "
            "training on them; kit describe --replace measures them on the audio"
        )
        return None
    numbers, _ = design(rows)
    kept = rows["track_id"].isin(selection.table["track_id"].tolist()).to_numpy()
    numbers[~kept] = np.nan
    return numbers

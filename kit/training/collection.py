"""Collect the tracks, labels and features of a training."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int32

from kit.catalogue import Catalogue
from kit.catalogue.folds import (
    fold_names,
    folds_in_words,
    folds_of,
    require_no_leak,
    split_of_fold,
)
from kit.catalogue.rights import require_rights
from kit.catalogue.schema import several_labels
from kit.catalogue.split import kept_apart, memberships, split
from kit.config import Experiment, SplitConfig
from kit.errors import KitError, UsageError
from kit.features import FeatureStore, codec, failures_of, left_out_in_words, store_path
from kit.training.data import Part, Read, Source, hold


@dataclass(frozen=True)
class Collection:
    """Tracks, labels and features of one training; features are read later.

    Attributes:
        parts: split: track_id, label, group, part; that of the first fold if there are folds.
        labels: names of the classes, in the order of the network's outputs.
        sources: hash of each track's file or array, by track_id.
        source: rows of features.
        rows: number of each track's row in `source`, by track_id.
        frames: valid frames of each track, by track_id.
        n_mels: mel bands.
        gain: factor from stored values to dB, or to samples.
        offset: dB, or sample, of a stored 0.
        facts: facts for `Run.facts`.
        from_arrays: the front end of the features is unknown.
        paths: known file of each track, by track_id.
        folds: track_id, label, group, fold; None without folds.
        several: a track may have several labels, joined by ";".
    """

    parts: pd.DataFrame
    labels: tuple[str, ...]
    sources: Mapping[str, str]
    source: Source
    rows: Mapping[str, int]
    frames: Mapping[str, int]
    n_mels: int
    gain: float
    offset: float
    facts: Mapping[str, Any]
    from_arrays: bool = False
    paths: Mapping[str, str] = field(default_factory=dict)
    folds: pd.DataFrame | None = None
    several: bool = False

    @property
    def nbytes(self) -> int:
        """Size of all rows, bytes."""
        return len(self.rows) * self.source.row_bytes

    def held(self) -> "Collection":
        """Return the collection with all rows in memory."""
        return dataclasses.replace(self, source=hold(self.source, len(self.rows)))

    def part(self, name: str, n_frames: int) -> Part | None:
        """Return one part of the split; None if it is empty."""
        chosen = self.parts.loc[self.parts["part"] == name]
        if chosen.empty:
            return None
        ids = chosen["track_id"].tolist()
        return Part(
            self.source,
            np.array([self.rows[t] for t in ids], np.int32),
            np.array([self.frames[t] for t in ids], np.int32),
            targets(chosen["label"].tolist(), self.labels, self.several),
            n_frames,
        )

    def training(self, n_frames: int) -> Part:
        """Return the training part; raise UsageError if it is empty."""
        if (part := self.part("train", n_frames)) is None:
            raise UsageError("the training part is empty; lower SplitConfig.test_fraction")
        return part


def open_collection(
    experiment: Experiment, catalogue: Catalogue, *, rights: bool = False
) -> tuple[Collection, str]:
    """Return the tracks of a catalogue that have features, and the statement of rights to them.

    Raises:
        UsageError: audio from Spotify has no stated right, or the split is impossible.
        KitError: no track has features.
    """
    store = FeatureStore.open(store_path(catalogue, experiment.features))
    table = catalogue.table
    present = table.loc[table["track_id"].isin(list(store.sources))]
    if present.empty:
        why = left_out_in_words(
            failures_of(store, catalogue), experiment.features, experiment.segments
        )
        raise KitError(
            f"no track of {catalogue.folder} can be used: {why}"
            if why
            else f"{store.path} has no features of {catalogue.folder}; run `kit features`"
        )
    statement = require_rights(present, catalogue.folder, stated=rights)
    return collection_of(present, store, experiment), statement


def collection_of(present: pd.DataFrame, store: FeatureStore, experiment: Experiment) -> Collection:
    """Return the collection of a catalogue's tracks, which must all be in the store.

    Raises:
        UsageError: the split is impossible.
    """
    config = experiment.features
    ids = present["track_id"].tolist()
    several = experiment.train.several
    divided = divide(present, experiment.split, several)
    by = codec.scale(config)
    known = store.sources

    def read(numbers: np.ndarray) -> np.ndarray:
        return store.read_stored([ids[number] for number in numbers])

    row = config.row_frames * config.width * np.dtype(config.stored_dtype).itemsize
    return Collection(
        parts=divided.parts,
        labels=tuple(memberships(divided.parts["label"].to_numpy(str), several)[0]),
        sources={t: known[t] for t in ids},
        source=Read(read, row),
        rows={t: number for number, t in enumerate(ids)},
        frames=dict(zip(ids, store.frames(ids).tolist(), strict=True)),
        n_mels=config.frontend.n_mels,
        gain=by.get("scale_factor", 1.0),
        offset=by.get("add_offset", 0.0),
        facts={"kind": "catalogue", "tracks": len(ids), "kept_apart": divided.kept_apart},
        paths=dict(zip(ids, present["path"].astype(str), strict=True)) if "path" in present else {},
        folds=divided.folds,
        several=several,
    )


class Divided(NamedTuple):
    """Tracks by part and by fold (None without folds), and the groups that are kept apart."""

    parts: pd.DataFrame
    folds: pd.DataFrame | None
    kept_apart: dict[str, Any]


def targets(
    labels: Sequence[str], names: tuple[str, ...], several: bool
) -> Int32[np.ndarray, " tracks"] | Float32[np.ndarray, "tracks labels"]:
    """Return the class of each track, or with several labels a row of ones and zeros.

    Args:
        labels: label of each track, or several joined by ";".
        names: all labels, in the order of the network's outputs.
        several: a track may have several labels.
    """
    if not several:
        return np.array([names.index(label) for label in labels], np.int32)
    each = [set(several_labels(text)) for text in labels]
    found = np.array([[name in own for name in names] for own in each], np.float32)
    return found.reshape(len(each), len(names))


def divide(table: pd.DataFrame, config: SplitConfig, several: bool = False) -> Divided:
    """Split tracks (see `kit.catalogue.split.split`), or assign folds and split for the first one.

    Raises:
        UsageError: the split or the folds are impossible, or official folds cut a group.
    """
    apart = kept_apart(table, config)
    if not config.is_folded:
        return Divided(
            split(table, config, several),
            None,
            dataclasses.asdict(apart) | {"in_words": apart.in_words()},
        )
    folds = folds_of(table, config, several)
    require_no_leak(folds, config)
    parts = split_of_fold(folds, fold_names(folds)[0], config, several)
    words = folds_in_words(table, folds, config)
    return Divided(parts, folds, dataclasses.asdict(apart) | {"in_words": words})

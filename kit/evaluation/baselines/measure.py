"""A catalogue's audio to vectors: those that are stored are kept, the rest is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from kit.audio.file import File
from kit.audio.open import open_source
from kit.catalogue import Catalogue, Failure
from kit.config import ExtractConfig, FeatureConfig
from kit.evaluation.baselines import store
from kit.evaluation.baselines.store import VectorStore
from kit.features.by_file import Store, compute
from kit.features.excerpts import excerpts_of, room
from kit.features.samples import stored
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track
from kit.shallow.vectors import Vectors, excerpt_config, vectors_of

STAGE = "baselines"  # in failures.csv


@dataclass(frozen=True)
class Measured:
    """The result of `measure`.

    Attributes:
        store: the vectors.
        sources: the SHA-256 of the file of each track that has vectors, by track_id, in the order
            of the catalogue.
        failures: the other tracks.
        computed: files computed in this run.
        seconds: time that the run took.
        stopped: whether it was stopped before it was done.
    """

    store: VectorStore
    sources: dict[str, str]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool


def measure(
    catalogue: Catalogue,
    features: FeatureConfig = FeatureConfig(),
    options: ExtractConfig = ExtractConfig(),
    *,
    part_tracks: int = store.PART_TRACKS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Measured:
    """Compute the vectors that the store does not have yet.

    Each file is decoded once for all vectors. Tracks that cannot be used are listed in the
    catalogue's failures.csv, and tried again when their file has changed or with
    `options.retry_failed`.

    Args:
        catalogue: the tracks.
        features: where the excerpts lie and how long they are; see `excerpt_config`.
        options: `workers`, `isolate`, `timeout_s`, `retry_failed` and `strict` count.
        part_tracks: tracks of a part of the store.
        progress: called with (files done, files in all).
        stop: called regularly; once it returns True, the files in progress are finished and no
            other is begun.
    Raises:
        KitError: the store cannot be read or written, another run is writing it, or a track failed
            and `options.strict` is set.
    """
    folder = store.folder_of(catalogue, features)
    found = compute(
        catalogue,
        Store(
            folder,
            lambda: store.open_store(folder).rows,
            partial(store.add_part, folder),
            part_tracks,
        ),
        partial(_vectors, config=excerpt_config(features)),
        STAGE,
        options,
        progress=progress,
        stop=stop,
    )
    return Measured(
        store.open_store(folder),
        found.sources,
        found.failures,
        found.computed,
        found.seconds,
        stopped=found.stopped,
    )


def _vectors(track: Track, _buffer: np.ndarray, *, config: FeatureConfig) -> Vectors:
    def read(file: File) -> Vectors:
        with open_source(file) as source:
            return vectors_of(
                [stored(e.y, config) for e in excerpts_of(source, config, room(config))]
            )

    return read_if_unchanged(track, read)

"""Vectors of a catalogue's tracks: computed once, and stored by the SHA-256 of each file.

    features/<hash>.vectors/000000.npz   up to 64 tracks: one row per track, all frames in one array
    features/<hash>.vectors/failures.json   files that cannot be used, with the reason

The hash covers the configuration of the excerpts and the version of the vectors. Each part is added
by one rename, so a run that is killed loses at most the tracks of one part.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32

from kit.audio.file import File
from kit.audio.open import open_source
from kit.catalogue import Catalogue
from kit.config import ExtractConfig, FeatureConfig, identity
from kit.features import npz_parts
from kit.features.by_file import Computed, Store, compute
from kit.features.excerpts import excerpts_of, room
from kit.features.samples import stored
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track
from kit.shallow.vectors import KINDS, VERSION, Vectors, excerpt_config, vectors_of

PART_TRACKS = 64
"""Tracks of a part. Memory holds the frames of one part: 7 MB for 30 s per track."""
STAGE = "baselines"  # in failures.csv


def folder_of(catalogue: Catalogue, features: FeatureConfig) -> Path:
    """Return the folder of a catalogue's vectors for the excerpts of `features`."""
    about = {"vectors": VERSION, "excerpts": identity(excerpt_config(features))}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return catalogue.folder / "features" / f"{digest}.vectors"


@dataclass(frozen=True)
class VectorStore:
    """Vectors in a folder.

    Attributes:
        folder: see `folder_of`.
        rows: the part, and the row in it, of each file by its SHA-256.
    """

    folder: Path
    rows: Mapping[str, tuple[Path, int]] = field(repr=False)

    def read(self, sources: Sequence[str]) -> dict[str, Float32[np.ndarray, "tracks numbers"]]:
        """Return the vectors of files by their SHA-256, for each kind of `KINDS`.

        Raises:
            KitError: a part is damaged.
        """
        found: dict[str, list[Any]] = {kind: [None] * len(sources) for kind in KINDS}
        for part, places in npz_parts.by_part(self.rows, sources):
            for kind in KINDS:
                values = npz_parts.member(part, kind)
                for place, row in places:
                    found[kind][place] = values[row]
        return {kind: np.stack(values) for kind, values in found.items()}

    def mels(
        self, sources: Sequence[str]
    ) -> Iterator[tuple[int, Float16[np.ndarray, "frames bands"]]]:
        """Yield each file's index in `sources` and its mel spectrogram, part by part.

        Raises:
            KitError: a part is damaged.
        """
        for part, places in npz_parts.by_part(self.rows, sources):
            ends = np.cumsum(npz_parts.member(part, "frames"))
            frames = npz_parts.member(part, "mel")
            for place, row in places:
                start = int(ends[row - 1]) if row else 0
                yield place, frames[start : int(ends[row])]


def open_store(folder: Path) -> VectorStore:
    """Return the store of a folder, which may be missing; a damaged part raises `KitError`."""
    return VectorStore(folder, npz_parts.rows_of(folder))


def add_part(folder: Path, tracks: Mapping[str, Vectors]) -> None:
    """Write a part with the vectors of files by their SHA-256; raise `KitError` if that fails."""
    values = list(tracks.values())
    arrays = {kind: np.stack([getattr(one, kind) for one in values]) for kind in KINDS}
    frames = np.array([len(one.mel) for one in values], np.int64)
    mel = np.concatenate([one.mel for one in values])
    npz_parts.add_part(folder, list(tracks), {"frames": frames, "mel": mel, **arrays})


def measure(
    catalogue: Catalogue,
    features: FeatureConfig = FeatureConfig(),
    options: ExtractConfig = ExtractConfig(),
    *,
    part_tracks: int = PART_TRACKS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[VectorStore, Computed]:
    """Compute the vectors that the store lacks, and return the store and the outcome.

    Each file is decoded once for all vectors. failures.csv of the catalogue lists tracks that
    cannot be used. They are tried again when their file has changed, or with
    `options.retry_failed`.

    Args:
        catalogue: the tracks.
        features: position and length of the excerpts, see `excerpt_config`.
        options: `workers`, `isolate`, `timeout_s`, `retry_failed` and `strict` count.
        part_tracks: tracks of a part of the store.
        progress: called with (files done, files in all).
        stop: called regularly; when it returns True, finish the files in progress and end.
    Raises:
        KitError: the store cannot be read or written, another run is writing it, or a track failed
            and `options.strict` is set.
    """
    folder = folder_of(catalogue, features)
    found = compute(
        catalogue,
        Store(folder, lambda: open_store(folder).rows, partial(add_part, folder), part_tracks),
        partial(_vectors, config=excerpt_config(features)),
        STAGE,
        options,
        progress=progress,
        stop=stop,
    )
    return open_store(folder), found


def _vectors(track: Track, _buffer: np.ndarray, *, config: FeatureConfig) -> Vectors:
    def read(file: File) -> Vectors:
        with open_source(file) as source:
            return vectors_of(
                [stored(e.y, config) for e in excerpts_of(source, config, room(config))]
            )

    return read_if_unchanged(track, read)

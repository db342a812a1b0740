"""The vectors of a catalogue's tracks on disk, by the SHA-256 of each file.

    features/<hash>.vectors/000000.npz   up to 64 tracks: a row a track, their frames in one array
    features/<hash>.vectors/failures.json   files that cannot be used, and why

The hash is that of the excerpts' configuration and of the version of the vectors. Parts are only
added, each by one rename, so that a run which is killed loses the tracks of one part at most.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32

from kit.catalogue import Catalogue
from kit.config import FeatureConfig, identity
from kit.features import npz_parts
from kit.shallow.vectors import KINDS, VERSION, Vectors, excerpt_config

PART_TRACKS = 64
"""Tracks of a part: the frames of one part, 7 MB for 30 s a track, are in memory at a time."""


def folder_of(catalogue: Catalogue, features: FeatureConfig) -> Path:
    """Return where the vectors of a catalogue are stored under the excerpts of `features`."""
    about = {"vectors": VERSION, "excerpts": identity(excerpt_config(features))}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return catalogue.folder / "features" / f"{digest}.vectors"


@dataclass(frozen=True)
class VectorStore:
    """The vectors that are stored in a folder.

    Attributes:
        folder: where; see `folder_of`.
        rows: for the SHA-256 of each file, its part and its row there.
    """

    folder: Path
    rows: Mapping[str, tuple[Path, int]] = field(repr=False)

    def read(self, sources: Sequence[str]) -> dict[str, Float32[np.ndarray, "tracks numbers"]]:
        """Return the vectors of files, for each kind of `KINDS`.

        Args:
            sources: the SHA-256 of each file.
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
        """Yield the mel spectrograms of files, each with its place in `sources`, part by part.

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
    """Return the store of a folder; it is empty if there is no such folder.

    Raises:
        KitError: a part is damaged.
    """
    return VectorStore(folder, npz_parts.rows_of(folder))


def add_part(folder: Path, tracks: Mapping[str, Vectors]) -> None:
    """Write a part.

    Args:
        folder: of the store.
        tracks: the vectors of each file, by its SHA-256.
    Raises:
        KitError: it cannot be written.
    """
    values = list(tracks.values())
    arrays = {kind: np.stack([getattr(one, kind) for one in values]) for kind in KINDS}
    frames = np.array([len(one.mel) for one in values], np.int64)
    mel = np.concatenate([one.mel for one in values])
    npz_parts.add_part(folder, list(tracks), {"frames": frames, "mel": mel, **arrays})

"""Features on disk: one Zarr v3 array, tracks first, and the index that says whose row is whose.

    <hash>.zarr/zarr.json       group: attributes (configuration, its hash, kit's version)
    <hash>.zarr/log_mel/        float32 (tracks, n_frames, n_mels), one track a chunk, in shards
    <hash>.zarr/index.csv       row, track_id, source_hash

A row counts only once it stands in the index, and the index is replaced after the shard is on
disk: a run stopped at any instant leaves a store that is whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorstore as ts
from jaxtyping import Float32

from kit import __version__
from kit.config import FeatureConfig, from_dict, to_dict
from kit.errors import ConfigError, KitError
from kit.files import atomic_write, read_json, write_json

FORMAT = 1
SHARD_TRACKS = 64  # about 40 MiB of float32 at 1280 x 128: one buffer in memory, one file on disk
INDEX_COLUMNS = ("row", "track_id", "source_hash")
REMEDY = "delete the folder and run `kit features` again"


@dataclass
class FeatureStore:
    """The features of a catalogue under one configuration. Make one with `open` or `create`."""

    path: Path
    config: FeatureConfig
    index: pd.DataFrame
    _array: Any

    @classmethod
    def create(cls, path: Path, config: FeatureConfig) -> "FeatureStore":
        """Make an empty store at `path`.

        Raises:
            KitError: the folder cannot be written.
        """
        attributes = {
            "format": FORMAT,
            "kit": __version__,
            "config": to_dict(config),
            "config_hash": config.hash,
            "sample_rate": config.frontend.sample_rate,
        }
        array = _tensorstore(path, config, create=True)
        store = cls(path, config, pd.DataFrame(columns=list(INDEX_COLUMNS)), array)
        store._write_index(store.index)
        # Written last: a folder without it is an attempt that came to nothing, and is made anew.
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        write_json(path / "zarr.json", group)
        return store

    @classmethod
    def open(cls, path: Path) -> "FeatureStore":
        """Open the store at `path`.

        Raises:
            KitError: no store there, or one of another format.
        """
        if not (path / "zarr.json").is_file():
            raise KitError(f"{path} is not a feature store; run `kit features` on its catalogue")
        group = read_json(path / "zarr.json")
        attributes = group.get("attributes") if isinstance(group, dict) else None
        attributes = attributes if isinstance(attributes, dict) else {}
        if attributes.get("format") != FORMAT:
            raise KitError(
                f"{path} has store format {attributes.get('format')}, this kit reads {FORMAT}; "
                f"{REMEDY}"
            )
        try:
            config = from_dict(FeatureConfig, attributes.get("config"))
        except ConfigError as error:
            raise KitError(f"{path}: {error}; {REMEDY}") from error
        array = _tensorstore(path, config, create=False)
        return cls(path, config, _read_index(path / "index.csv", array.shape[0]), array)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sources(self) -> dict[str, str]:
        """The hash of the file that each track's row was made of, by track id."""
        return dict(zip(self.index["track_id"], self.index["source_hash"], strict=True))

    def read(self, track_ids: Sequence[str]) -> Float32[np.ndarray, "tracks n_frames n_mels"]:
        """The features of these tracks, in this order.

        Raises:
            KitError: a track that the store does not have, or a damaged shard.
        """
        rows = dict(zip(self.index["track_id"], self.index["row"], strict=True))
        if missing := [t for t in track_ids if t not in rows]:
            raise KitError(
                f"{self.path} has no features of track {missing[0]!r} ({len(missing)} missing); "
                "run `kit features` on the catalogue"
            )
        if not track_ids:
            frontend = self.config.frontend
            return np.zeros((0, self.config.n_frames, frontend.n_mels), np.float32)
        wanted = np.array([rows[t] for t in track_ids])
        try:
            return np.asarray(self._array[wanted].read().result())
        except ValueError as error:
            raise KitError(f"{self.path} is damaged ({_first_line(error)}); {REMEDY}") from error

    def write(
        self,
        track_ids: Sequence[str],
        source_hashes: Sequence[str],
        features: Float32[np.ndarray, "tracks n_frames n_mels"],
    ) -> None:
        """Write these tracks: known ids in their old rows, new ones in new rows at the end.

        Raises:
            KitError: the store cannot be written; its index still says what it holds.
        """
        rows = dict(zip(self.index["track_id"], self.index["row"], strict=True))
        sources = self.sources
        for track_id, source in zip(track_ids, source_hashes, strict=True):
            rows.setdefault(track_id, len(rows))
            sources[track_id] = source
        try:
            if len(rows) > self._array.shape[0]:
                self._array = self._array.resize(exclusive_max=[len(rows), None, None]).result()
            wanted = np.array([rows[t] for t in track_ids])
            self._array[wanted].write(features).result()
        except (ValueError, OSError) as error:
            raise KitError(
                f"cannot write {self.path}: {_first_line(error)}; "
                "free some space and run the same command again"
            ) from error
        index = pd.DataFrame(
            {"row": list(rows.values()), "track_id": list(rows), "source_hash": sources.values()}
        )
        self._write_index(index)
        self.index = index

    def _write_index(self, index: pd.DataFrame) -> None:
        with atomic_write(self.path / "index.csv") as stream:
            index.to_csv(stream, index=False, lineterminator="\n")


def _read_index(path: Path, rows: int) -> pd.DataFrame:
    """The index of a store whose array has so many rows; some of them may not count yet."""
    try:
        # A track may be called "nan".
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
        index = text.astype({"row": int})
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"cannot read {path} ({_first_line(error)}); {REMEDY}") from error
    whole = (
        tuple(index.columns) == INDEX_COLUMNS
        and sorted(index["row"]) == list(range(len(index)))
        and len(index) <= rows
        and index["track_id"].is_unique
    )
    if not whole:
        raise KitError(f"{path} is damaged: its rows do not fit the array; {REMEDY}")
    return index


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _tensorstore(path: Path, config: FeatureConfig, *, create: bool) -> Any:
    track = [config.n_frames, config.frontend.n_mels]
    spec: dict[str, Any] = {
        "driver": "zarr3",
        # A row of the index was written: a shard that is gone is damage, not a track of NaN.
        "fill_missing_data_reads": False,
        "kvstore": {"driver": "file", "path": f"{path.resolve()}/log_mel/"},
    }
    if create:
        checksum = {"name": "crc32c"}
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        sharding = {
            "chunk_shape": [1, *track],
            "codecs": [little, {"name": "zstd", "configuration": {"level": 1}}, checksum],
            "index_codecs": [little, checksum],
        }
        spec["metadata"] = {
            "shape": [0, *track],
            "data_type": "float32",
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [SHARD_TRACKS, *track]},
            },
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "fill_value": "NaN",
            "dimension_names": ["track", "frame", "mel"],
        }
    try:
        return ts.open(spec, open=not create, create=create, delete_existing=create).result()
    except (ValueError, OSError) as error:
        what = "make" if create else "open"
        remedy = "choose a folder that you may write to" if create else REMEDY
        raise KitError(f"cannot {what} {path}: {_first_line(error)}; {remedy}") from error

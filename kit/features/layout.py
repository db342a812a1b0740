"""The layout of a store: its group's attributes, and the shards of its Zarr v3 array."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorstore as ts

from kit import __version__
from kit.config import FeatureConfig, from_dict, to_dict
from kit.errors import ConfigError, KitError
from kit.features import codec
from kit.features.storage import Storage, storage_errors

FORMAT = 3  # 3: rows of several excerpts, valid frames, lengths of short tracks
SHARD_TRACKS = 64  # tracks of one excerpt: 40 MiB of float32 at 1280 x 128, about 32 MiB on disk
GROUP = "zarr.json"
# Levels share signs and exponents. LZ4 of shuffled bits is smaller than zstd of shuffled bytes,
# and takes half the time to write and a third to read.
_SHUFFLED = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "blocksize": 0}
_ANEW = "delete it and run `kit features` again"


def write_group(place: Storage, config: FeatureConfig, labels: Sequence[str]) -> None:
    """Write the attributes of a store, which make it exist."""
    attributes = {
        "format": FORMAT,
        "kit": __version__,
        "config": to_dict(config),
        "config_hash": config.hash,
        "sample_rate": config.frontend.sample_rate,
        "labels": list(labels),
    }
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    text = json.dumps(group, indent=2, ensure_ascii=False, allow_nan=False)
    place.write(GROUP, text.encode())


def read_group(place: Storage) -> tuple[FeatureConfig, tuple[str, ...]]:
    """Return the configuration and the labels of a store.

    Raises:
        KitError: the store is missing, damaged or of another format.
    """
    data = place.read(GROUP)
    if data is None:
        raise KitError(f"{place} is not a feature store; run `kit features` on its catalogue")
    try:
        group = json.loads(data)
    except ValueError as error:
        raise KitError(f"{place}/{GROUP} is not valid JSON ({error}); {_ANEW}") from error
    attributes = group.get("attributes") if isinstance(group, dict) else None
    found = attributes if isinstance(attributes, dict) else {}
    if found.get("format") != FORMAT:
        raise KitError(
            f"{place} was written by another version of kit (store format {found.get('format')}, "
            f"this one reads {FORMAT}); {_ANEW}"
        )
    try:
        config = from_dict(FeatureConfig, found.get("config"))
        return config, tuple(map(str, found.get("labels", ())))
    except (ConfigError, TypeError) as error:
        raise KitError(f"{place}: {error}; {_ANEW}") from error


def shard_tracks(config: FeatureConfig) -> int:
    """Return the number of tracks per shard.

    It is smaller for several excerpts or samples, so that a shard has the same size in memory.
    """
    tracks = SHARD_TRACKS if config.keep == "log_mel" else SHARD_TRACKS // 2
    return max(1, tracks // config.excerpts)


def empty_shard(config: FeatureConfig) -> np.ndarray:
    """Return a shard without a track, (shard_tracks, row_frames, width) in the store's dtype."""
    shape = (shard_tracks(config), config.row_frames, config.width)
    return np.full(shape, codec.missing(config), config.stored_dtype)


def open_array(place: Storage, config: FeatureConfig, *, create: bool) -> Any:
    """Open the array of a store, or with `create` replace it by an empty one."""
    track = [config.row_frames, config.width]
    spec: dict[str, Any] = {
        "driver": "zarr3",
        # Rows in the table were written, so a missing shard is damage, not tracks of NaN.
        "fill_missing_data_reads": False,
        "kvstore": place.spec(f"{config.keep}/"),
    }
    if create:
        checksum = {"name": "crc32c"}
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        one_byte = {"name": "bytes"}
        size = np.dtype(config.stored_dtype).itemsize
        sharding = {
            "chunk_shape": [1, *track],
            "codecs": [
                one_byte if config.dtype == "int8" else little,
                {"name": "blosc", "configuration": _SHUFFLED | {"typesize": size}},
                checksum,
            ],
            "index_codecs": [little, checksum],
        }
        spec["metadata"] = {
            "shape": [0, *track],
            "data_type": config.stored_dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [shard_tracks(config), *track]},
            },
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "fill_value": codec.fill_value(config),
            "dimension_names": ["track", "frame", "mel" if config.keep == "log_mel" else "sample"],
            "attributes": {"units": codec.units(config), **codec.scale(config)},
        }
    with storage_errors("make", place) if create else storage_errors("open", place, _ANEW):
        return ts.open(spec, open=not create, create=create, delete_existing=create).result()

"""Features on disk or in a bucket: one Zarr v3 array, tracks first, and the table of its rows.

    <hash>.zarr/zarr.json       group: attributes (configuration, its hash, kit's version, labels)
    <hash>.zarr/log_mel/        (tracks, n_frames, n_mels), one track a chunk, in shards of many
    <hash>.zarr/index/          one CSV a shard: offset, track_id, source_hash, frames, or why not

A row counts only once it stands in the table, and a shard's part of the table is written after
the shard: stopped at any instant, a store is whole. Each shard is written by one writer, who
needs nothing of the others.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorstore as ts
from jaxtyping import Float32

from kit import __version__
from kit.config import FeatureConfig, from_dict, to_dict
from kit.errors import ConfigError, KitError
from kit.features import codec, index
from kit.features.index import Entry
from kit.features.place import Place, first_line, is_url, told

FORMAT = 2
SHARD_TRACKS = 64  # 40 MiB of float32 at 1280 x 128, about 32 on disk
# Levels share their signs and exponents: bit by bit, LZ4 makes them smaller than zstd does byte by
# byte, in half the time, and reads them in a third of it.
_SHUFFLED = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "blocksize": 0}
_GROUP = "zarr.json"
_ANEW = "delete it and run `kit features` again"
_VERIFY = "run `kit features CATALOGUE --verify`, which finds and mends what is damaged"


@dataclass
class FeatureStore:
    """The features of a catalogue under one configuration. Make one with `open` or `create`."""

    path: Path | str
    config: FeatureConfig
    labels: tuple[str, ...]
    _place: Place
    _array: Any
    _parts: dict[int, list[Entry]] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)
    """Shards whose part of the table cannot be read; only `open(..., broken_too=True)` has any."""

    @classmethod
    def exists(cls, path: Path | str) -> bool:
        """Is there a store, of whatever format?

        Raises:
            KitError: the place cannot be reached.
        """
        return Place(path).read(_GROUP) is not None

    @classmethod
    def create(
        cls, path: Path | str, config: FeatureConfig, labels: Iterable[str] = ()
    ) -> "FeatureStore":
        """Make an empty store at `path`, a folder or a URL.

        Args:
            path: where; what an attempt that came to nothing left there goes.
            config: clip and front end.
            labels: the labels in the order that models number them.
        Raises:
            KitError: it cannot be written.
        """
        place = Place(path)
        for name in place.names("index/"):
            place.delete(name)
        store = cls(path, config, tuple(labels), place, _tensorstore(place, config, create=True))
        # Written last: without it, all else is an attempt that came to nothing.
        store._write_group()
        return store

    @classmethod
    def open(cls, path: Path | str, *, broken_too: bool = False) -> "FeatureStore":
        """Open the store at `path`, a folder or a URL.

        Args:
            path: where.
            broken_too: tell in `broken` which parts of the table are damaged, rather than raise.
        Raises:
            KitError: no store there, one of another format, or a damaged one.
        """
        place = Place(path)
        data = place.read(_GROUP)
        if data is None:
            raise KitError(f"{path} is not a feature store; run `kit features` on its catalogue")
        attributes = _attributes(data, path)
        if attributes.get("format") != FORMAT:
            raise KitError(
                f"{path} has store format {attributes.get('format')}, this kit reads {FORMAT}; "
                f"{_ANEW}"
            )
        try:
            config = from_dict(FeatureConfig, attributes.get("config"))
            labels = tuple(map(str, attributes.get("labels", ())))
        except (ConfigError, TypeError) as error:
            raise KitError(f"{path}: {error}; {_ANEW}") from error
        store = cls(path, config, labels, place, _tensorstore(place, config, create=False))
        store._read_parts()
        if store.broken and not broken_too:
            raise KitError(f"{path}/{_part(store.broken[0])} is damaged; {_VERIFY}")
        return store

    @classmethod
    def delete(cls, path: Path | str) -> None:
        """Remove a store and all that is in it, if it is there.

        Raises:
            KitError: it cannot be removed.
        """
        if not is_url(path):
            shutil.rmtree(path, ignore_errors=True)
            return
        place = Place(path)
        for name in [_GROUP, *place.names("index/"), *place.names("log_mel/")]:
            place.delete(name)

    @property
    def entries(self) -> list[Entry]:
        """All rows of the table, those that could not be made among them, by offset."""
        return sorted(self._rows(), key=lambda entry: entry.offset)

    @property
    def index(self) -> pd.DataFrame:
        """The rows that hold features: columns row, track_id, source_hash, frames."""
        rows = [(e.offset, e.track_id, e.source_hash, e.frames) for e in self.entries if e.frames]
        return pd.DataFrame(rows, columns=["row", "track_id", "source_hash", "frames"])

    @property
    def sources(self) -> dict[str, str]:
        """The hash of the file that each track's features were made of, by track id."""
        return {e.track_id: e.source_hash for e in self.entries if e.frames}

    def __len__(self) -> int:
        return sum(entry.frames > 0 for entry in self._rows())

    def read(self, track_ids: Sequence[str]) -> Float32[np.ndarray, "tracks n_frames n_mels"]:
        """The features of these tracks in dB, in this order.

        Raises:
            KitError: a track that the store does not have, or a damaged shard.
        """
        rows = {e.track_id: e.offset for e in self._rows() if e.frames}
        if missing := [t for t in track_ids if t not in rows]:
            raise KitError(
                f"{self.path} has no features of track {missing[0]!r} ({len(missing)} missing); "
                "run `kit features` on the catalogue"
            )
        return codec.decode(self._kept([rows[t] for t in track_ids]), self.config)

    def load_shard(
        self, number: int, into: np.ndarray | None = None
    ) -> tuple[list[Entry], np.ndarray]:
        """What a shard holds: its part of the table, and its rows as they are kept.

        Args:
            number: which.
            into: an array for the rows, (SHARD_TRACKS, n_frames, n_mels) in the store's dtype.
        Returns:
            The entries, and the rows, with `codec.fill_value` where there is no track.
        Raises:
            KitError: it is damaged.
        """
        entries = self._parts.get(number, [])
        kept = empty_shard(self.config) if into is None else into
        kept[:] = codec.missing(self.config)
        rows = [entry.offset for entry in entries if entry.frames]
        if rows:
            kept[np.array(rows) - number * SHARD_TRACKS] = self._kept(rows)
        return list(entries), kept

    def reserve(self, rows: int) -> None:
        """Make room for so many rows in all; done before any shard of them is written.

        Raises:
            KitError: the place cannot be written.
        """
        if rows > self._array.shape[0]:
            # Another run may have made more room since, which is not to be taken away.
            self._array = _tensorstore(self._place, self.config, create=False)
        if rows > self._array.shape[0]:
            with told("write", self.path):
                self._array = self._array.resize(
                    exclusive_max=[rows, None, None], expand_only=True
                ).result()

    def set_labels(self, labels: Iterable[str]) -> None:
        """Note the labels' order, if it is another one than is noted.

        Raises:
            KitError: the place cannot be written.
        """
        if tuple(labels) != self.labels:
            self.labels = tuple(labels)
            self._write_group()

    def write_shard(self, number: int, entries: Sequence[Entry], kept: np.ndarray) -> None:
        """Replace a shard and its part of the table. Shards may be written side by side.

        Args:
            number: which.
            entries: its part, those of rows that it holds already too.
            kept: (SHARD_TRACKS, n_frames, n_mels) in the store's dtype, `codec.fill_value` where
                there is no track; not to be changed before this returns.
        Raises:
            KitError: it cannot be written; the table still says what the store holds.
        """
        before, now = self._parts.get(number, []), set(entries)
        same = [entry for entry in before if entry in now]
        if len(same) < len(before):
            # Rows that will hold something else must not count while they do.
            self._write_part(number, same)
        if not any(entry.frames for entry in same):
            # TensorStore merges a last shard that is not full with what lies there, and cannot
            # where that is damaged.
            self._place.delete(f"log_mel/c/{number}/0/0")
        first = number * SHARD_TRACKS
        last = min(first + SHARD_TRACKS, self._array.shape[0])
        if any(entry.frames for entry in entries):
            with told("write", self.path):
                self._array[first:last].write(
                    kept[: last - first], can_reference_source_data_indefinitely=True
                ).result()
        self._write_part(number, entries)

    def write(
        self,
        track_ids: Sequence[str],
        source_hashes: Sequence[str],
        features: Float32[np.ndarray, "tracks n_frames n_mels"],
    ) -> None:
        """Write these tracks: known ids in their old rows, new ones in new rows at the end.

        Raises:
            KitError: the store cannot be written; its table still says what it holds.
        """
        rows = {entry.track_id: entry.offset for entry in self._rows()}
        end = max(rows.values(), default=-1) + 1
        for track_id in track_ids:
            if rows.setdefault(track_id, end) == end:
                end += 1
        self.reserve(end)
        offsets = [rows[t] for t in track_ids]
        kept = codec.encode(features, self.config)
        for number in sorted({offset // SHARD_TRACKS for offset in offsets}):
            entries, shard = self.load_shard(number)
            part = {entry.offset: entry for entry in entries}
            for at, offset in enumerate(offsets):
                if offset // SHARD_TRACKS != number:
                    continue
                shard[offset % SHARD_TRACKS] = kept[at]
                part[offset] = Entry(offset, track_ids[at], source_hashes[at], self.config.n_frames)
            self.write_shard(number, list(part.values()), shard)

    def damaged(self, progress: Callable[[int, int], None] | None = None) -> list[int]:
        """The shards whose bytes do not fit their checksums, or whose part of the table is broken.

        Args:
            progress: called with (shards read, shards in all).
        """
        found = set(self.broken)
        for done, number in enumerate(sorted(self._parts)):
            try:
                self.load_shard(number)
            except KitError:
                found.add(number)
            if progress:
                progress(done + 1, len(self._parts))
        return sorted(found)

    def forget(self, number: int) -> None:
        """Take a shard's rows out of the table, so that they are made anew.

        Raises:
            KitError: the place cannot be written.
        """
        self._place.delete(_part(number))
        self._parts.pop(number, None)
        self.broken = [n for n in self.broken if n != number]

    def _rows(self) -> Iterator[Entry]:
        return (entry for part in self._parts.values() for entry in part)

    def _kept(self, rows: Sequence[int]) -> np.ndarray:
        if not rows:
            return empty_shard(self.config)[:0]
        try:
            return np.asarray(self._array[np.array(rows)].read().result())
        except (ValueError, OSError) as error:
            raise KitError(f"{self.path} is damaged ({first_line(error)}); {_VERIFY}") from error

    def _read_parts(self) -> None:
        names = self._place.names("index/")
        seen: set[str] = set()
        for name, data in zip(names, self._place.read_all(names), strict=True):
            stem = name.removeprefix("index/").removesuffix(".csv")
            if not stem.isdecimal() or data is None:
                continue
            number = int(stem)
            first = number * SHARD_TRACKS
            try:
                room = min(SHARD_TRACKS, max(0, self._array.shape[0] - first))
                entries = index.from_bytes(data, first, room)
            except KitError:
                self.broken.append(number)
                continue
            ids = {entry.track_id for entry in entries}
            if len(ids) < len(entries) or ids & seen:
                self.broken.append(number)
                continue
            seen |= ids
            self._parts[number] = entries

    def _write_part(self, number: int, entries: Sequence[Entry]) -> None:
        self._place.write(_part(number), index.to_bytes(entries))
        self._parts[number] = sorted(entries, key=lambda entry: entry.offset)

    def _write_group(self) -> None:
        attributes = {
            "format": FORMAT,
            "kit": __version__,
            "config": to_dict(self.config),
            "config_hash": self.config.hash,
            "sample_rate": self.config.frontend.sample_rate,
            "labels": list(self.labels),
        }
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        text = json.dumps(group, indent=2, ensure_ascii=False, allow_nan=False)
        self._place.write(_GROUP, text.encode())


def empty_shard(config: FeatureConfig) -> np.ndarray:
    """A shard without a track, (SHARD_TRACKS, n_frames, n_mels) in the store's dtype."""
    shape = (SHARD_TRACKS, config.n_frames, config.frontend.n_mels)
    return np.full(shape, codec.missing(config), config.dtype)


def _part(number: int) -> str:
    return f"index/{number:08d}.csv"


def _attributes(data: bytes, path: Path | str) -> dict[str, Any]:
    try:
        group = json.loads(data)
    except ValueError as error:
        raise KitError(f"{path}/{_GROUP} is not valid JSON ({error}); {_ANEW}") from error
    attributes = group.get("attributes") if isinstance(group, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _tensorstore(place: Place, config: FeatureConfig, *, create: bool) -> Any:
    track = [config.n_frames, config.frontend.n_mels]
    spec: dict[str, Any] = {
        "driver": "zarr3",
        # A row of the table was written: a shard that is gone is damage, not a track of NaN.
        "fill_missing_data_reads": False,
        "kvstore": place.spec("log_mel/"),
    }
    if create:
        checksum = {"name": "crc32c"}
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        one_byte = {"name": "bytes"}
        size = np.dtype(config.dtype).itemsize
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
            "data_type": config.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [SHARD_TRACKS, *track]},
            },
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "fill_value": codec.fill_value(config),
            "dimension_names": ["track", "frame", "mel"],
            "attributes": {"units": "dB", **codec.scale(config)},
        }
    with told("make", place) if create else told("open", place, _ANEW):
        return ts.open(spec, open=not create, create=create, delete_existing=create).result()

"""Store features on disk or in a bucket: a Zarr v3 array, tracks first, and a table of its rows.

    <hash>.zarr/zarr.json       group: attributes (configuration, its hash, kit's version, labels)
    <hash>.zarr/log_mel/        (tracks, row_frames, n_mels), one track per chunk, many per shard;
                                or waveform/, (tracks, row_frames, hop_length)
    <hash>.zarr/index/          one CSV for each shard: offset, track_id, source_hash, frames, or
                                the reason for a failure

A shard's part of the table is written after the shard, and only rows in the table are valid. So a
store stays intact when its writer is stopped. Each shard has one writer.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int32

from kit.config import FeatureConfig
from kit.errors import KitError
from kit.features import codec, layout, manifest
from kit.features.manifest import Entry
from kit.features.storage import Storage, first_line, is_url, storage_errors

_VERIFY = "run `kit features CATALOGUE --verify`, which finds and repairs the damage"


@dataclass
class FeatureStore:
    """The features of a catalogue under one configuration. Make one with `open` or `create`.

    All methods raise `KitError` if the place cannot be read or written.

    Attributes:
        path: folder or URL.
        config: excerpts and front end.
        labels: labels in the order of the models' outputs.
        broken: shards with a damaged part of the table; only with `broken_too`.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> path = kit.features.store_path(catalogue, experiment.features)
        >>> store = kit.features.FeatureStore.open(path)
        >>> store.read(catalogue.table["track_id"].tolist()[:2]).shape  # tracks, frames, bands
        (2, 32, 16)
    """

    path: Path | str
    config: FeatureConfig
    labels: tuple[str, ...]
    _place: Storage
    _array: Any
    _parts: dict[int, list[Entry]] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)
    _found: dict[str, Entry] | None = None

    @classmethod
    def exists(cls, path: Path | str) -> bool:
        """Return whether a store of any format exists.

        Raises:
            KitError: the place cannot be reached.
        """
        return Storage(path).read(layout.GROUP) is not None

    @classmethod
    def create(
        cls, path: Path | str, config: FeatureConfig, labels: Iterable[str] = ()
    ) -> "FeatureStore":
        """Make an empty store at `path`, after deleting the remains of a failed attempt.

        Raises:
            KitError: the store cannot be written.
        """
        place = Storage(path)
        for name in place.names("index/"):
            place.delete(name)
        store = cls(
            path, config, tuple(labels), place, layout.open_array(place, config, create=True)
        )
        # Written last, because this file makes the store exist.
        layout.write_group(place, config, store.labels)
        return store

    @classmethod
    def open(cls, path: Path | str, *, broken_too: bool = False) -> "FeatureStore":
        """Open the store at `path`, a folder or a URL.

        Args:
            path: place of the store.
            broken_too: list damaged parts of the table in `broken` instead of raising an error.
        Raises:
            KitError: the store is missing, damaged or of another format.
        """
        place = Storage(path)
        config, labels = layout.read_group(place)
        store = cls(path, config, labels, place, layout.open_array(place, config, create=False))
        size, rows = layout.shard_tracks(config), store._array.shape[0]
        store._parts, store.broken = manifest.read_parts(place, size, rows)
        if store.broken and not broken_too:
            raise KitError(f"{path}/{manifest.part_name(store.broken[0])} is damaged; {_VERIFY}")
        return store

    @classmethod
    def delete(cls, path: Path | str) -> None:
        """Remove a store if it exists.

        Raises:
            KitError: the store cannot be removed.
        """
        if not is_url(path):
            shutil.rmtree(path, ignore_errors=True)
            return
        place = Storage(path)
        inside = [
            name
            for folder in ("index", "log_mel", "waveform")
            for name in place.names(f"{folder}/")
        ]
        for name in [layout.GROUP, *inside]:
            place.delete(name)

    @property
    def entries(self) -> list[Entry]:
        """All rows of the table sorted by offset, with and without features."""
        return sorted(self._rows(), key=lambda entry: entry.offset)

    @property
    def index(self) -> pd.DataFrame:
        """The rows with features: columns row, track_id, source_hash, frames."""
        rows = [(e.offset, e.track_id, e.source_hash, e.frames) for e in self.entries if e.frames]
        return pd.DataFrame(rows, columns=["row", "track_id", "source_hash", "frames"])

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of the file of each track with features, by track_id."""
        return {e.track_id: e.source_hash for e in self.entries if e.frames}

    def __len__(self) -> int:
        return sum(entry.frames > 0 for entry in self._rows())

    def read(self, track_ids: Sequence[str]) -> Float32[np.ndarray, "tracks row_frames width"]:
        """Return the rows of tracks in dB, or as samples, in order.

        Frames after a track's valid ones (see `frames`) have the value `codec.padding`.

        Raises:
            KitError: the store does not have a track, or a shard is damaged.
        """
        return codec.decode(self.read_stored(track_ids), self.config)

    def read_log_mel(
        self, track_ids: Sequence[str]
    ) -> Float32[np.ndarray, "tracks row_frames n_mels"]:
        """Return the rows of tracks in dB, computed if the store contains samples.

        Raises:
            KitError: the store does not have a track, or a shard is damaged.
        """
        rows = self.read(track_ids)
        if self.config.keep == "log_mel" or not len(rows):
            return rows
        from kit.features.device import log_mel_of  # imports JAX, which other readers do not need

        frames = self.frames(track_ids)
        pairs = zip(rows, frames, strict=True)
        return np.stack([log_mel_of(row[:n], self.config) for row, n in pairs])

    def read_stored(self, track_ids: Sequence[str]) -> np.ndarray:
        """Return the stored rows of tracks; `codec.scale` converts them.

        Only the chunks of these tracks are read.

        Returns:
            (tracks, row_frames, width) in `config.stored_dtype`.
        Raises:
            KitError: the store does not have a track, or a shard is damaged.
        """
        return self._kept([entry.offset for entry in self._entries_of(track_ids)])

    def frames(self, track_ids: Sequence[str]) -> Int32[np.ndarray, " tracks"]:
        """Return the number of valid frames of tracks, from the start of each row.

        Raises:
            KitError: the store does not have a track.
        """
        return np.array([entry.frames for entry in self._entries_of(track_ids)], np.int32)

    def load_shard(
        self, number: int, into: np.ndarray | None = None
    ) -> tuple[list[Entry], np.ndarray]:
        """Read a shard: its part of the table, and its stored rows.

        Args:
            number: index of the shard.
            into: memory for the rows, from `empty_shard`; new memory if None.
        Returns:
            The entries, and the rows, with `codec.missing` in rows without a track.
        Raises:
            KitError: the shard is damaged.
        """
        entries = self._parts.get(number, [])
        kept = layout.empty_shard(self.config) if into is None else into
        kept[:] = codec.missing(self.config)
        rows = [entry.offset for entry in entries if entry.frames]
        if rows:
            kept[np.array(rows) - number * len(kept)] = self._kept(rows)
        return list(entries), kept

    def reserve(self, rows: int) -> None:
        """Resize the array to `rows` rows. Call it before writing their shards."""
        if rows > self._array.shape[0]:
            # Another run may have made the array larger.
            self._array = layout.open_array(self._place, self.config, create=False)
        if rows > self._array.shape[0]:
            with storage_errors("write", self.path):
                self._array = self._array.resize(
                    exclusive_max=[rows, None, None], expand_only=True
                ).result()

    def set_labels(self, labels: Iterable[str]) -> None:
        """Store the order of the labels if it has changed."""
        if tuple(labels) != self.labels:
            self.labels = tuple(labels)
            layout.write_group(self._place, self.config, self.labels)

    def write_shard(self, number: int, entries: Sequence[Entry], kept: np.ndarray) -> None:
        """Replace a shard and its part of the table. Shards may be written concurrently.

        Args:
            number: index of the shard.
            entries: its part of the table, including existing entries.
            kept: its rows, shaped like `empty_shard`, with `codec.missing` in rows without a track.
                Must not change before this returns.
        Raises:
            KitError: the shard cannot be written; the table stays valid.
        """
        before, now = self._parts.get(number, []), set(entries)
        same = [entry for entry in before if entry in now]
        if len(same) < len(before):
            # Rows that change must be invalid in the meantime.
            self._write_part(number, same)
        if not any(entry.frames for entry in same):
            # TensorStore merges a last, partial shard with the old one, which fails if the old one
            # is damaged.
            self._place.delete(f"{self.config.keep}/c/{number}/0/0")
        first = number * len(kept)
        last = min(first + len(kept), self._array.shape[0])
        if any(entry.frames for entry in entries):
            with storage_errors("write", self.path):
                self._array[first:last].write(
                    kept[: last - first], can_reference_source_data_indefinitely=True
                ).result()
        self._write_part(number, entries)

    def write(
        self,
        track_ids: Sequence[str],
        source_hashes: Sequence[str],
        features: Float32[np.ndarray, "tracks row_frames width"],
        frames: Sequence[int] | None = None,
    ) -> None:
        """Write tracks: known ids to their old rows, new ids to new rows at the end.

        Args:
            track_ids: the tracks.
            source_hashes: SHA-256 of the file of each track, or other text that identifies it.
            features: rows in dB, or as samples.
            frames: valid frames of each row; all if None.
        Raises:
            KitError: `frames` is out of range, or the store cannot be written; the table stays
                valid.
        """
        valid = [self.config.row_frames] * len(track_ids) if frames is None else list(frames)
        if not all(0 < n <= self.config.row_frames for n in valid):
            raise KitError(
                f"valid frames of {min(valid)} to {max(valid)}; give 1 to {self.config.row_frames} "
                "for each track"
            )
        rows = {entry.track_id: entry.offset for entry in self._rows()}
        end = max(rows.values(), default=-1) + 1
        for track_id in track_ids:
            if rows.setdefault(track_id, end) == end:
                end += 1
        self.reserve(end)
        offsets = [rows[t] for t in track_ids]
        kept = codec.encode(features, self.config)
        size = layout.shard_tracks(self.config)
        for number in sorted({offset // size for offset in offsets}):
            entries, shard = self.load_shard(number)
            part = {entry.offset: entry for entry in entries}
            for at, offset in enumerate(offsets):
                if offset // size != number:
                    continue
                shard[offset % size] = kept[at]
                part[offset] = Entry(offset, track_ids[at], source_hashes[at], int(valid[at]))
            self.write_shard(number, list(part.values()), shard)

    def damaged(self) -> list[int]:
        """Return the shards with a wrong checksum or a damaged part of the table."""
        found = set(self.broken)
        for number in self._parts:
            try:
                self.load_shard(number)
            except KitError:
                found.add(number)
        return sorted(found)

    def forget(self, number: int) -> None:
        """Remove a shard's rows from the table, so that they are computed again."""
        self._place.delete(manifest.part_name(number))
        self._parts.pop(number, None)
        self._found = None
        self.broken = [n for n in self.broken if n != number]

    def _rows(self) -> Iterator[Entry]:
        return (entry for part in self._parts.values() for entry in part)

    def _entries_of(self, track_ids: Sequence[str]) -> list[Entry]:
        if self._found is None:
            self._found = {entry.track_id: entry for entry in self._rows() if entry.frames}
        found = self._found
        if missing := [t for t in track_ids if t not in found]:
            raise KitError(
                f"{self.path} has no features of track {missing[0]!r} ({len(missing)} missing); "
                "run `kit features` on the catalogue"
            )
        return [found[t] for t in track_ids]

    def _kept(self, rows: Sequence[int]) -> np.ndarray:
        if not rows:
            return layout.empty_shard(self.config)[:0]
        try:
            return np.asarray(self._array[np.array(rows)].read().result())
        except (ValueError, OSError) as error:
            raise KitError(f"{self.path} is damaged ({first_line(error)}); {_VERIFY}") from error

    def _write_part(self, number: int, entries: Sequence[Entry]) -> None:
        self._place.write(manifest.part_name(number), manifest.to_bytes(entries))
        self._parts[number] = sorted(entries, key=lambda entry: entry.offset)
        self._found = None

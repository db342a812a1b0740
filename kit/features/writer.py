"""Collect rows into shards in any order, and write the shards in a background thread."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from kit.features import codec
from kit.features.layout import empty_shard, shard_tracks
from kit.features.manifest import Entry
from kit.features.store import FeatureStore

# Shards in memory: one to fill, one to write, and one that waits for a slow file.
MOST_OPEN = 3


@dataclass
class _Open:
    before: list[Entry]
    entries: dict[int, Entry]
    kept: np.ndarray
    unsaved: bool = False


class ShardWriter:
    """Collect the rows of each shard, and write it when complete.

    Args:
        store: store with space for all rows.
        offsets: rows that will be put.
        written: called in the writing thread with the writing time of a shard, seconds, or its
            error.
    """

    def __init__(
        self,
        store: FeatureStore,
        offsets: Iterable[int],
        written: Callable[[float | Exception], None],
    ) -> None:
        self._store = store
        self._written = written
        self._size = shard_tracks(store.config)
        self._missing: dict[int, set[int]] = defaultdict(set)
        for offset in offsets:
            self._missing[offset // self._size].add(offset)
        self._open: dict[int, _Open] = {}
        self._writing: set[Future[None]] = set()
        self._spare: list[np.ndarray] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")

    def has_room(self, offset: int) -> bool:
        """Return whether a row fits with at most `MOST_OPEN` shards in memory."""
        return offset // self._size in self._open or len(self._open) + self.writing < MOST_OPEN

    @property
    def writing(self) -> int:
        """Number of shards that are being written or queued."""
        return sum(not future.done() for future in self._writing)

    def put(
        self, entry: Entry, features: Float32[np.ndarray, "row_frames width"] | None = None
    ) -> None:
        """Add a row. The last missing row of a shard starts writing it."""
        number = entry.offset // self._size
        shard = self._open.get(number) or self._opened(number)
        config = self._store.config
        row = codec.missing(config) if features is None else codec.encode(features, config)
        shard.kept[entry.offset % self._size] = row
        shard.entries[entry.offset] = entry
        shard.unsaved = True
        self._missing[number].discard(entry.offset)
        if not self._missing[number]:
            self._write(number, self._open.pop(number), last=True)

    def flush(self) -> None:
        """Start writing the rows that were put so far."""
        for number, shard in self._open.items():
            if shard.unsaved:
                shard.unsaved = False
                self._write(number, shard, last=False)

    def close(self, *, drop: bool = False) -> None:
        """Wait until all shards are written; with `drop`, wait only for the current one."""
        self._pool.shutdown(cancel_futures=drop)

    def _opened(self, number: int) -> _Open:
        before, _ = parts = self._store.load_shard(number, into=self._buffer())
        shard = _Open(before, {entry.offset: entry for entry in before}, parts[1])
        self._open[number] = shard
        return shard

    def _buffer(self) -> np.ndarray:
        # Allocating new memory takes longer than filling a shard.
        return self._spare.pop() if self._spare else empty_shard(self._store.config)

    def _write(self, number: int, shard: _Open, *, last: bool) -> None:
        entries = list(shard.entries.values())
        self._writing = {future for future in self._writing if not future.done()}
        self._writing.add(self._pool.submit(self._save, number, shard, entries, last))

    def _save(self, number: int, shard: _Open, entries: list[Entry], last: bool) -> None:
        began = time.perf_counter()
        try:
            if set(entries) != set(shard.before):
                self._store.write_shard(number, entries, shard.kept)
                shard.before = entries
        except Exception as error:
            self._written(error)
            return
        if last:
            self._spare.append(shard.kept)
        self._written(time.perf_counter() - began)

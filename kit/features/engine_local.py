"""The engine for one machine: one loop feeds decoders, the device and the writer.

    decoders -> excerpts (a bounded number of buffers) -> device -> rows -> shards -> writer

Workers post messages to one queue; only the loop changes state, so no locks are needed. The number
of buffers limits how far a stage can run ahead of the next one.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError, TooShortError
from kit.audio.errors import shown
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError
from kit.features.decoders import (
    LOOK_EVERY_S,
    Decoded,
    Decoders,
    Processes,
    Threads,
    TimedOutError,
    reader,
)
from kit.features.device import Computed, Device, local_device
from kit.features.excerpts import lay_out, room
from kit.features.manifest import Entry
from kit.features.schedule import Plan, Track
from kit.features.store import FeatureStore
from kit.features.throughput import ExtractionProgress, Meter
from kit.features.writer import ShardWriter

FLUSH_EVERY_S = 60.0  # interval of saving; a killed run loses at most this


def run(
    store: FeatureStore,
    plan: Plan,
    options: ExtractConfig,
    *,
    progress: Callable[[ExtractionProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Meter:
    """Compute the tracks of a plan and write them.

    Raises:
        KitError: the store cannot be written, or a track failed and `options.strict` is set; tracks
            computed before that are written.
    """
    return _Run(store, plan, options, progress).to_end(stop)


class _Run:
    def __init__(
        self,
        store: FeatureStore,
        plan: Plan,
        options: ExtractConfig,
        progress: Callable[[ExtractionProgress], None] | None,
    ) -> None:
        workers = options.workers or os.cpu_count() or 1
        self._config = store.config
        self._strict = options.strict
        self._progress = progress
        self._messages: SimpleQueue[Callable[[], None]] = SimpleQueue()
        # Sorted by row, so that rows not yet begun come last.
        todo = [*plan.tracks, *plan.without_audio]
        self._todo: deque[Track | Entry] = deque(sorted(todo, key=lambda row: row.offset))
        self._ready: list[Decoded] = []
        self._held: list[tuple[Entry, np.ndarray | None]] = []
        self._decoding = 0
        self._computing = 0
        self._first_failure: str | None = None
        self._device: Device = local_device()
        kind = Processes if options.isolate else Threads
        self._decoders: Decoders = kind(
            workers, reader(self._config), options.timeout_s, self._post(self._decoded)
        )
        # Tracks per call of the device; their excerpts fill a batch.
        self._together = max(1, self._device.batch // self._config.excerpts)
        ahead = workers + 2 + self._together * (self._device.in_flight + 1)
        self._buffers = [room(self._config) for _ in range(min(ahead, len(plan.tracks)))]
        self._writer = ShardWriter(store, [row.offset for row in todo], self._post(self._written))
        self._meter = Meter(
            plan.done, plan.total, {"decode": workers, "device": self._device.lanes, "write": 1}
        )

    def _post(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function for workers that makes the loop call `handle`."""
        return lambda result: self._messages.put(partial(handle, result))

    def to_end(self, stop: Callable[[], bool]) -> Meter:
        drop = True
        try:
            self._say()
            flushed = looked = time.monotonic()
            while self._unfinished():
                if stop() or (self._strict and self._first_failure):
                    self._todo.clear()
                    if not (self._decoding or self._computing or self._writer.writing):
                        # The shards in memory stay incomplete, so others will never get space.
                        self._drop_without_room()
                self._feed()
                if self._unfinished():
                    self._take()
                if time.monotonic() - looked > LOOK_EVERY_S:
                    self._decoders.give_up_late()
                    looked = time.monotonic()
                if time.monotonic() - flushed > FLUSH_EVERY_S:
                    self._writer.flush()
                    flushed = time.monotonic()
            self._writer.flush()
            drop = False
        finally:
            self._decoders.close()
            self._device.close()
            self._writer.close(drop=drop)
        while not self._messages.empty():
            self._take()
        if self._strict and self._first_failure:
            raise KitError(f"stopped at the first track that failed: {self._first_failure}")
        return self._meter

    def _feed(self) -> None:
        """Give each stage as much work as it accepts."""
        held, self._held = self._held, []
        for entry, features in held:
            self._put(entry, features)
        while self._todo:
            first = self._todo[0]
            if isinstance(first, Track):
                if not self._buffers:
                    break
                self._decoders.start(first, self._buffers.pop())
                self._decoding += 1
            elif self._writer.has_room(first.offset):
                self._failed(first)
            else:
                break
            self._todo.popleft()
        if self._computing < self._device.in_flight:
            self._compute()

    def _compute(self) -> None:
        """Give the device ready tracks whose shard has space.

        They overtake tracks that wait for other shards.
        """
        size = self._together
        if len(self._ready) < size and self._decoding:
            return
        fit, waiting = [], []
        for decoded in self._ready:
            (fit if self._writer.has_room(decoded.track.offset) else waiting).append(decoded)
        while (
            fit
            and self._computing < self._device.in_flight
            and (len(fit) >= size or not self._decoding)
        ):
            group, fit = fit[:size], fit[size:]
            clips = [clip for decoded in group for clip in decoded.clips]
            future = self._device.submit(clips, self._config)
            self._computing += 1
            future.add_done_callback(self._post(partial(self._computed, group)))
        self._ready = [*waiting, *fit]

    def _unfinished(self) -> bool:
        return bool(self._todo or self._decoding or self._ready or self._computing or self._held)

    def _drop_without_room(self) -> None:
        self._held = [row for row in self._held if self._writer.has_room(row[0].offset)]
        self._ready = [d for d in self._ready if self._writer.has_room(d.track.offset)]

    def _take(self) -> None:
        """Wait for a message and handle it."""
        try:
            handle = self._messages.get(timeout=LOOK_EVERY_S)
        except Empty:
            return
        handle()

    def _decoded(self, answer: Decoded) -> None:
        self._decoding -= 1
        self._meter.busy("decode", answer.seconds)
        if not isinstance(answer.result, AudioError):
            self._ready.append(answer)
            return
        # An abandoned thread may still write into its buffer.
        late = isinstance(answer.result, TimedOutError)
        self._buffers.append(room(self._config) if late else answer.buffer)
        self._failed(failure(answer.track, answer.result))

    def _written(self, outcome: float | Exception) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        self._meter.busy("write", outcome)

    def _computed(self, group: list[Decoded], future: Computed) -> None:
        self._computing -= 1
        features, seconds = future.result()
        self._meter.busy("device", seconds)
        for decoded, entry, row in rows_of(group, features, self._config):
            self._buffers.append(decoded.buffer)
            self._put(entry, row)
            self._meter.track(sum(decoded.lengths) / self._config.frontend.sample_rate)
            self._say()

    def _failed(self, entry: Entry) -> None:
        self._first_failure = self._first_failure or entry.message
        self._put(entry, None)
        self._meter.track(None)
        self._say()

    def _put(self, entry: Entry, features: np.ndarray | None) -> None:
        if self._writer.has_room(entry.offset):
            self._writer.put(entry, features)
        else:
            self._held.append((entry, features))

    def _say(self) -> None:
        if self._progress:
            self._progress(self._meter.progress())


def rows_of(
    group: Sequence[Decoded],
    features: Float32[np.ndarray, "clips n_frames width"],
    config: FeatureConfig,
) -> Iterator[tuple[Decoded, Entry, Float32[np.ndarray, "row_frames width"]]]:
    """Yield the entry and the row of each decoded track."""
    at = 0
    for decoded in group:
        lengths, track = decoded.lengths, decoded.track
        row, frames = lay_out(features[at : at + len(lengths)], lengths, config)
        at += len(lengths)
        yield decoded, Entry(track.offset, track.track_id, track.source_hash, frames), row


def failure(track: Track, error: AudioError) -> Entry:
    """Return the entry of a track that cannot be used."""
    # One line, so that grep can search the table.
    message = " ".join(str(error).split())
    length_s = round(error.length_s, 3) if isinstance(error, TooShortError) else None
    return Entry(
        track.offset,
        track.track_id,
        track.source_hash,
        0,
        error.reason,
        shown(track.path),
        message,
        length_s,
    )

"""Compute a result for each audio file of a catalogue, once for files with equal bytes.

Existing results are kept, keyed by the SHA-256 of the file, beside a list of unusable files.
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure, write_failures
from kit.catalogue.inspect import hash_file
from kit.config import ExtractConfig
from kit.errors import KitError
from kit.features import npz_parts
from kit.features.decoders import LOOK_EVERY_S, Decoded, Decoders, Processes, Read, Threads
from kit.features.schedule import NO_AUDIO, PASSING, Track
from kit.lock import only_one

_NO_BUFFER = np.zeros((0, 0), np.float32)

Unusable = dict[str, dict[str, Any]]
"""`reason`, `path`, `message` and `length_s` of each unusable file, by SHA-256."""


@dataclass(frozen=True)
class Store:
    """Store of results, keyed by the SHA-256 of each file.

    Attributes:
        folder: folder of the parts and of the list of unusable files; names the lock.
        known: returns the SHA-256 of each file with a result.
        add: writes a part: results by SHA-256.
        part_tracks: number of files in a part.
        unusable: returns the list of unusable files; by default that of `npz_parts` in `folder`.
        set_unusable: replaces this list.
        save_every_s: interval of saving; a killed run loses at most this.
    """

    folder: Path
    known: Callable[[], Collection[str]]
    add: Callable[[Mapping[str, Any]], None]
    part_tracks: int
    unusable: Callable[[], Unusable] | None = None
    set_unusable: Callable[[Unusable], None] | None = None
    save_every_s: float = 60.0


@dataclass(frozen=True)
class Computed:
    """The result of `compute`.

    Attributes:
        sources: SHA-256 of the file of each track with a result, by track_id, in the order of the
            catalogue.
        failures: the other tracks.
        computed: number of files computed in this run.
        seconds: duration of the run.
        stopped: whether the run was stopped early.
    """

    sources: dict[str, str]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool


def compute(
    catalogue: Catalogue,
    store: Store,
    read: Read,
    stage: str,
    options: ExtractConfig = ExtractConfig(),
    *,
    files: tuple[dict[str, tuple[str, Path]], list[Failure]] | None = None,
    finish: Callable[[Any], Any] | None = None,
    warm_up: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Computed:
    """Compute the results that are missing in the store.

    Tracks that cannot be used are listed in the catalogue's failures.csv. They are retried when
    their file has changed, or with `options.retry_failed`.

    Args:
        catalogue: the tracks.
        store: store of the results.
        read: returns the result of a track; with `options.isolate` it must be picklable.
        stage: name of the work in failures.csv.
        options: only `workers`, `isolate`, `timeout_s`, `retry_failed` and `strict` are used.
        files: those of the wanted tracks, as `files_of` returns them, from a caller that holds the
            lock of the store; those of all tracks if None.
        finish: converts the return value of `read` to the result, in this process.
        warm_up: called before the first file, outside its time limit.
        progress: called with (files done, number of files).
        stop: called regularly; once it returns True, files in progress are finished and no others
            begin.
    Raises:
        KitError: the store cannot be read or written, another run is writing it, or a track failed
            and `options.strict` is set.
    """
    began = time.monotonic()
    with only_one(store.folder) if files is None else contextlib.nullcontext():
        run = _Run(store, options, finish, progress)
        sources, without = files or files_of(catalogue, stage)
        todo = run.todo(sources)
        try:
            if todo:
                if gone := catalogue.missing_audio():
                    raise KitError(gone)
                warm_up()
                run.to_end(todo, read, stop)
        finally:
            # Report the failures even if the run raised an error.
            failures = [*without, *_failures(sources, run.unusable, stage)]
            write_failures(catalogue.folder, stage, failures)
    known = store.known()
    return Computed(
        {track: digest for track, (digest, _) in sources.items() if digest in known},
        failures,
        run.computed,
        time.monotonic() - began,
        stopped=bool(stop()),
    )


def files_of(catalogue: Catalogue, stage: str) -> tuple[dict[str, tuple[str, Path]], list[Failure]]:
    """Return the SHA-256 and the path of each track's file, and the tracks without a file.

    Files without a SHA-256 in the table are hashed. Tracks are in the order of the table.
    """
    found: dict[str, tuple[str, Path]] = {}
    without: list[Failure] = []
    for row in catalogue.table.to_dict("records"):
        track_id = str(row["track_id"])
        try:
            path = catalogue.path_of(row)
            found[track_id] = (str(row.get("source_hash") or "") or hash_file(path), path)
        except KitError as error:
            reason = error.reason if isinstance(error, AudioError) else NO_AUDIO
            without.append(Failure("", stage, reason, shown(str(error)), track_id))
    return found, without


def _failures(
    sources: Mapping[str, tuple[str, Path]], unusable: Unusable, stage: str
) -> list[Failure]:
    return [
        Failure(shown(path), stage, row["reason"], row["message"], track_id, row["length_s"])
        for track_id, (digest, path) in sources.items()
        if (row := unusable.get(digest)) is not None
    ]


class _Run:
    """A run: workers post results to one queue; only this thread changes state."""

    def __init__(
        self,
        store: Store,
        options: ExtractConfig,
        finish: Callable[[Any], Any] | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._store = store
        self._options = options
        self._finish = finish
        self._progress = progress
        self._read = store.unusable or partial(npz_parts.read_failures, store.folder)
        self._write = store.set_unusable or partial(npz_parts.write_failures, store.folder)
        self._unsaved: dict[str, Any] = {}
        self._done = self._total = 0
        self._first_failure: str | None = None
        self.unusable = self._read()
        self.computed = 0

    def todo(self, sources: Mapping[str, tuple[str, Path]]) -> list[Track]:
        """Return one track for each file that has neither a result nor a valid failure."""
        known = self._store.known()
        files = {digest: (track, path) for track, (digest, path) in sources.items()}
        retry = self._options.retry_failed

        def stands(digest: str) -> bool:
            if (row := self.unusable.get(digest)) is None or row["reason"] in PASSING or retry:
                return False
            # The message contains the path, so retry a file that has moved.
            return row["path"] == shown(files[digest][1])

        wanted = [digest for digest in files if digest not in known and not stands(digest)]
        self._done, self._total = len(files) - len(wanted), len(files)
        return [
            Track(at, files[digest][0], digest, files[digest][1])
            for at, digest in enumerate(wanted)
        ]

    def to_end(self, tracks: list[Track], read: Read, stop: Callable[[], bool]) -> None:
        """Give tracks to decoders until all have a result, or `stop` returns True."""
        count = self._options.workers or os.cpu_count() or 1
        kind = Processes if self._options.isolate else Threads
        answers: SimpleQueue[Decoded] = SimpleQueue()
        pool: Decoders = kind(count, read, self._options.timeout_s, answers.put)
        strict = self._options.strict
        waiting, running = iter(tracks), 0
        self._say()
        saved = looked = time.monotonic()
        try:
            while True:
                while (
                    running < 2 * count
                    and not (strict and self._first_failure)
                    and not stop()
                    and (track := next(waiting, None))
                ):
                    pool.start(track, _NO_BUFFER)
                    running += 1
                if not running:
                    break
                try:
                    answer = answers.get(timeout=LOOK_EVERY_S)
                except Empty:
                    pass
                else:
                    running -= 1
                    self._take(answer)
                if time.monotonic() - looked > LOOK_EVERY_S:
                    pool.give_up_late()
                    looked = time.monotonic()
                full = len(self._unsaved) >= self._store.part_tracks
                if full or time.monotonic() - saved >= self._store.save_every_s:
                    self._save()
                    saved = time.monotonic()
        finally:
            self._save()
            pool.close()
        if strict and self._first_failure:
            raise KitError(f"stopped at the first track that failed: {self._first_failure}")

    def _take(self, answer: Decoded) -> None:
        track, found = answer.track, answer.result
        if isinstance(found, AudioError):
            message = " ".join(str(found).split())
            self.unusable[track.source_hash] = {
                "reason": found.reason,
                "path": shown(track.path),
                "message": message,
                "length_s": getattr(found, "length_s", None),
            }
            self._first_failure = self._first_failure or message
        else:
            self.unusable.pop(track.source_hash, None)
            self._unsaved[track.source_hash] = self._finish(found) if self._finish else found
            self.computed += 1
        self._done += 1
        self._say()

    def _save(self) -> None:
        if self._unsaved:
            self._store.add(self._unsaved)
            self._unsaved = {}
        if self.unusable != self._read():
            self._write(self.unusable)
            # A store may not keep every field, and later runs report what it has kept.
            self.unusable = self._read()

    def _say(self) -> None:
        if self._progress:
            self._progress(self._done, self._total)

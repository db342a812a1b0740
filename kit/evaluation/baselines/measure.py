"""A catalogue's audio to vectors: those that are stored are kept, the rest is computed."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.audio.file import File
from kit.audio.open import open_source
from kit.catalogue import Catalogue, Failure, read_failures, write_failures
from kit.catalogue.inspect import hash_file
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError
from kit.evaluation.baselines import store
from kit.evaluation.baselines.store import VectorStore
from kit.features.decoders import Buffer, Decoded, Decoders, Processes, Threads
from kit.features.excerpts import excerpts_of, room
from kit.features.feeding import feed
from kit.features.plan import NO_AUDIO, PASSING, Track
from kit.features.samples import stored
from kit.features.scanned import read_if_unchanged
from kit.lock import only_one
from kit.shallow.vectors import Vectors, excerpt_config, vectors_of

STAGE = "baselines"  # in failures.csv

_FLUSH_EVERY_S = 60.0  # the most work that a killed run loses where decoding is slow


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
    began = time.monotonic()
    folder = store.folder_of(catalogue, features)
    with only_one(folder):
        run = _Run(folder, part_tracks, options, progress)
        sources, without = _files(catalogue)
        todo = run.todo(sources)
        try:
            if todo:
                if gone := catalogue.missing_audio():
                    raise KitError(gone)
                run.to_end(todo, excerpt_config(features), stop)
        finally:
            # Report the failures that were found, whatever ended the run.
            failures = [*without, *_failures(sources, run.failures)]
            if failures != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
                write_failures(catalogue.folder, STAGE, failures)
    opened = store.open_store(folder)
    return Measured(
        opened,
        {track: digest for track, (digest, _) in sources.items() if digest in opened.rows},
        failures,
        run.computed,
        time.monotonic() - began,
        stopped=bool(stop()),
    )


def _files(catalogue: Catalogue) -> tuple[dict[str, tuple[str, Path]], list[Failure]]:
    """Return the SHA-256 and the path of the file of each track, and the tracks without a file."""
    found: dict[str, tuple[str, Path]] = {}
    without: list[Failure] = []
    for row in catalogue.table.to_dict("records"):
        track_id = str(row["track_id"])
        try:
            path = catalogue.path_of(row)
            found[track_id] = (str(row.get("source_hash") or "") or hash_file(path), path)
        except KitError as error:
            reason = error.reason if isinstance(error, AudioError) else NO_AUDIO
            without.append(Failure("", STAGE, reason, shown(str(error)), track_id))
    return found, without


def _failures(
    sources: Mapping[str, tuple[str, Path]], known: Mapping[str, Mapping[str, Any]]
) -> list[Failure]:
    return [
        Failure(row["path"], STAGE, row["reason"], row["message"], track_id, row["length_s"])
        for track_id, (digest, _) in sources.items()
        if (row := known.get(digest)) is not None
    ]


def _vectors(track: Track, _buffer: np.ndarray, *, config: FeatureConfig) -> Vectors:
    def read(file: File) -> Vectors:
        with open_source(file) as source:
            return vectors_of(
                [stored(e.y, config) for e in excerpts_of(source, config, room(config))]
            )

    return read_if_unchanged(track, read)


class _Run:
    """The work of one run: workers post answers to one queue, and only this thread keeps state."""

    def __init__(
        self,
        folder: Path,
        part_tracks: int,
        options: ExtractConfig,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._folder = folder
        self._part_tracks = part_tracks
        self._options = options
        self._progress = progress
        self._answers: SimpleQueue[Decoded] = SimpleQueue()
        self._unsaved: dict[str, Vectors] = {}
        self._done = self._total = 0
        self._first_failure: str | None = None
        self.failures = store.read_failures(folder)
        self.computed = 0

    def todo(self, sources: Mapping[str, tuple[str, Path]]) -> list[Track]:
        """Return one track for each file that has neither vectors nor a failure that stands."""
        known = store.open_store(self._folder).rows
        files = {digest: (track, path) for track, (digest, path) in sources.items()}
        retry = self._options.retry_failed

        def stands(digest: str) -> bool:
            if (row := self.failures.get(digest)) is None or row["reason"] in PASSING or retry:
                return False
            # A message that names another place than the file's own would mislead.
            return row["path"] == shown(files[digest][1])

        wanted = [digest for digest in files if digest not in known and not stands(digest)]
        self._done, self._total = len(files) - len(wanted), len(files)
        return [
            Track(at, files[digest][0], digest, files[digest][1])
            for at, digest in enumerate(wanted)
        ]

    def to_end(self, tracks: list[Track], config: FeatureConfig, stop: Callable[[], bool]) -> None:
        count = self._options.workers or os.cpu_count() or 1
        kind = Processes if self._options.isolate else Threads
        read = partial(_vectors, config=config)
        pool: Decoders = kind(count, read, self._options.timeout_s, self._answers.put)
        self._say()
        feed(
            pool,
            self._answers,
            tracks,
            [np.zeros((0, 0), np.float32)] * (2 * count),
            self._take,
            self._save,
            save_every_s=_FLUSH_EVERY_S,
            stop=lambda: stop() or bool(self._options.strict and self._first_failure),
            full=lambda: len(self._unsaved) >= self._part_tracks,
        )
        if self._options.strict and self._first_failure:
            raise KitError(f"stopped at the first track that failed: {self._first_failure}")

    def _take(self, answer: Decoded) -> Buffer:
        """Act on an answer."""
        track, found = answer.track, answer.result
        if isinstance(found, AudioError):
            message = " ".join(str(found).split())
            self.failures[track.source_hash] = {
                "reason": found.reason,
                "path": shown(track.path),
                "message": message,
                "length_s": getattr(found, "length_s", None),
            }
            self._first_failure = self._first_failure or message
        else:
            self.failures.pop(track.source_hash, None)
            self._unsaved[track.source_hash] = found
            self.computed += 1
        self._done += 1
        self._say()
        return answer.buffer

    def _save(self) -> None:
        if self._unsaved:
            store.add_part(self._folder, self._unsaved)
            self._unsaved = {}
        if self.failures != store.read_failures(self._folder):
            store.write_failures(self._folder, self.failures)

    def _say(self) -> None:
        if self._progress:
            self._progress(self._done, self._total)

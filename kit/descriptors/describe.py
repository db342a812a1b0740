"""Compute missing descriptors of a catalogue's tracks, and fill in the table."""

import dataclasses
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kit.catalogue import Catalogue, Failure, load, validate, write_table
from kit.config import ExtractConfig
from kit.descriptors.cache import NAME, Extent, Record, read_records, write_records
from kit.descriptors.fill import fill, other_sources
from kit.descriptors.measure import SOURCE, Descriptors, measure, warm_up
from kit.descriptors.read import TrackAudio, read_track
from kit.features.by_file import Store, Unusable, compute, files_of
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track
from kit.lock import only_one

STAGE = "describe"  # in failures.csv


@dataclass(frozen=True)
class DescribeProgress:
    """Progress of a run: files done, number of files, and files per second in this run."""

    done: int
    total: int
    tracks_per_s: float


@dataclass(frozen=True)
class Description:
    """The result of `describe`.

    Attributes:
        filled: rows of the table with kit's descriptors.
        kept: unchanged rows with descriptors from another source, by source.
        failures: tracks without descriptors, from this run and earlier ones.
        computed: number of files measured in this run.
        seconds: duration of the run.
        stopped: whether the run was stopped early.
    """

    filled: int
    kept: Counter[str]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool


def describe(
    catalogue: Catalogue,
    *,
    workers: int | None = None,
    whole: bool = False,
    replace: bool = False,
    retry_failed: bool = False,
    isolate: bool = False,
    timeout_s: float = 60.0,
    flush_every_s: float = 30.0,
    progress: Callable[[DescribeProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Description:
    """Compute the descriptors of every track with audio, and fill in the table.

    The descriptors are stored in the catalogue's `descriptors.csv`, keyed by the SHA-256 of each
    file; at the end `tracks.csv` is filled from it. A run that is stopped and called again gives
    the same bytes, with any number of workers.

    Args:
        catalogue: the tracks.
        workers: threads that decode and compute; one more than there are cores if None.
        whole: measure each whole file instead of the middle 30 s.
        replace: also fill rows with descriptors from another source.
        retry_failed: retry files that failed and have not changed.
        isolate: decode in processes, so that a file that crashes its decoder fails alone.
        timeout_s: time limit for a file, seconds.
        flush_every_s: interval of saving, seconds; a killed run loses at most this.
        progress: called after each file.
        stop: called regularly; once it returns True, files in progress are finished and no others
            begin.
    Raises:
        KitError: a file of the catalogue cannot be read or written, or another run is active.
    """
    options = ExtractConfig(
        # One more than cores, because threads sometimes wait for Python's lock.
        workers=workers or (os.cpu_count() or 1) + 1,
        isolate=isolate,
        timeout_s=timeout_s,
        retry_failed=retry_failed,
    )
    read = partial(_read if isolate else _read_and_measure, whole=whole)
    with only_one(catalogue.folder / NAME):
        wanted = catalogue.table
        if not replace:
            wanted = wanted.loc[[not other for other in other_sources(wanted)]]
        files = files_of(dataclasses.replace(catalogue, table=wanted), STAGE)
        hashes = {str(row.get("source_hash", "")) for row in catalogue.table.to_dict("records")}
        hashes |= {digest for digest, _ in files[0].values()}
        records = _Records(catalogue.folder, "whole" if whole else "clip", hashes)
        found = compute(
            catalogue,
            records.store(flush_every_s),
            read,
            STAGE,
            options,
            files=files,
            # A process only reads its file; a thread has measured it too.
            finish=measure if isolate else None,
            warm_up=warm_up,
            progress=progress and _with_rate(progress),
            stop=stop,
        )
        results = records.results()
        described = {track: results[digest] for track, digest in found.sources.items()}
        # Load the table again, because another command may have changed it.
        now = load(catalogue.folder).table
        result = fill(now, described, replace=replace)
        table = validate(result.table, source="the table")
        if not table.equals(now):
            write_table(table, catalogue.folder)
    return Description(
        result.filled, result.kept, found.failures, found.computed, found.seconds, found.stopped
    )


def _read(track: Track, _buffer: np.ndarray, *, whole: bool) -> TrackAudio:
    return read_if_unchanged(track, lambda file: read_track(file.path, whole=whole))


def _read_and_measure(track: Track, buffer: np.ndarray, *, whole: bool) -> Descriptors:
    return measure(_read(track, buffer, whole=whole))


def _with_rate(progress: Callable[[DescribeProgress], None]) -> Callable[[int, int], None]:
    start: tuple[int, float] | None = None

    def say(done: int, total: int) -> None:
        nonlocal start
        before, began = start = start or (done, time.monotonic())
        rate = (done - before) / max(time.monotonic() - began, 1e-9)
        progress(DescribeProgress(done, total, rate))

    return say


class _Records:
    """The rows of `descriptors.csv`, of which those of one extent are results or failures."""

    def __init__(self, folder: Path, extent: Extent, hashes: Collection[str]) -> None:
        self._folder = folder
        self._extent: Extent = extent
        self._hashes = hashes
        self._rows = {r.source_hash: r for r in read_records(folder)}

    def store(self, save_every_s: float) -> Store:
        """Return the rows as a store, whose file is replaced as a whole at regular intervals."""
        return Store(
            self._folder / NAME,
            known=self.results,
            add=self._add,
            part_tracks=sys.maxsize,
            unusable=self._unusable,
            set_unusable=self._set_unusable,
            save_every_s=save_every_s,
        )

    def results(self) -> dict[str, Descriptors]:
        """Return the descriptors of each measured file, by SHA-256."""
        return {d: r.descriptors for d, r in self._current().items() if r.descriptors is not None}

    def _current(self) -> dict[str, Record]:
        return {d: r for d, r in self._rows.items() if r.is_current(self._extent)}

    def _add(self, found: Mapping[str, Descriptors]) -> None:
        for digest, descriptors in found.items():
            self._rows[digest] = Record(digest, SOURCE, self._extent, descriptors)
        self._write()

    def _unusable(self) -> Unusable:
        return {
            d: {"reason": r.reason, "path": r.path, "message": r.message, "length_s": None}
            for d, r in self._current().items()
            if r.reason
        }

    def _set_unusable(self, failures: Unusable) -> None:
        for digest, row in failures.items():
            what = {name: row[name] for name in ("reason", "path", "message")}
            self._rows[digest] = Record(digest, SOURCE, self._extent, None, **what)
        self._write()

    def _write(self) -> None:
        # Drop records of files that were removed from the catalogue.
        write_records(
            self._folder, [r for r in self._rows.values() if r.source_hash in self._hashes]
        )

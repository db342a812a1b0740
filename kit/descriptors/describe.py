"""Compute missing descriptors of a catalogue's tracks, and fill in the table."""

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import (
    Catalogue,
    Failure,
    load,
    read_failures,
    validate,
    write_failures,
    write_table,
)
from kit.descriptors.cache import NAME, Extent, Record, read_records, write_records
from kit.descriptors.fill import fill, other_sources
from kit.descriptors.measure import SOURCE, Descriptors, measure, warm_up
from kit.descriptors.read import TrackAudio, read_track
from kit.errors import KitError
from kit.features.by_file import files_of
from kit.features.decoders import Buffer, Decoded, Decoders, Processes, Threads
from kit.features.feeding import feed
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import PASSING, Track
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
    began = time.monotonic()
    extent: Extent = "whole" if whole else "clip"
    with only_one(catalogue.folder / NAME):
        known = {r.source_hash: r for r in read_records(catalogue.folder)}
        wanted = catalogue.table
        if not replace:
            wanted = wanted.loc[[not other for other in other_sources(wanted)]]
        plan = _make_plan(catalogue, wanted, known, extent, retry_failed=retry_failed)
        run = _Run(catalogue.folder, plan, known, extent, progress)
        if plan.tracks:
            if gone := catalogue.missing_audio():
                raise KitError(gone)
            read = partial(_read if isolate else _read_and_measure, whole=whole)
            kind = Processes if isolate else Threads
            # One more than cores, because threads sometimes wait for Python's lock.
            count = workers or (os.cpu_count() or 1) + 1
            warm_up()
            pool = kind(count, read, timeout_s, run.answers.put)
            run.to_end(pool, 2 * count, flush_every_s, stop)
        current = _current(plan, known, extent)
        described = {track: r.descriptors for track, r in current.items() if r.descriptors}
        # Load the table again, because another command may have changed it.
        now = load(catalogue.folder).table
        result = fill(now, described, replace=replace)
        table = validate(result.table, source="the table")
        if not table.equals(now):
            write_table(table, catalogue.folder)
        failures = plan.without_audio + [
            Failure(shown(plan.files[track][1]), STAGE, r.reason, r.message, track)
            for track, r in current.items()
            if r.reason
        ]
        if failures != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
            write_failures(catalogue.folder, STAGE, failures)
    seconds = time.monotonic() - began
    return Description(
        result.filled, result.kept, failures, run.computed, seconds, stopped=bool(stop())
    )


def _read(track: Track, _buffer: np.ndarray, *, whole: bool) -> TrackAudio:
    return read_if_unchanged(track, lambda file: read_track(file.path, whole=whole))


def _read_and_measure(track: Track, buffer: np.ndarray, *, whole: bool) -> Descriptors:
    return measure(_read(track, buffer, whole=whole))


@dataclass(frozen=True)
class _Plan:
    """The work of a run.

    Attributes:
        files: SHA-256 and path of the file of each wanted track, by track_id.
        tracks: one track for each file to measure.
        without_audio: wanted tracks without a readable file.
        hashes: hashes of all files of the catalogue, including rows of other sources.
    """

    files: dict[str, tuple[str, Path]]
    tracks: list[Track]
    without_audio: list[Failure]
    hashes: frozenset[str]


def _make_plan(
    catalogue: Catalogue,
    wanted: pd.DataFrame,
    known: Mapping[str, Record],
    extent: Extent,
    *,
    retry_failed: bool,
) -> _Plan:
    """Compare the records with the wanted rows of a catalogue's table.

    Records with another extent or other definitions are ignored.
    """
    files, without_audio = files_of(dataclasses.replace(catalogue, table=wanted), STAGE)
    tracks: list[Track] = []
    seen: set[str] = set()
    for track_id, (digest, path) in files.items():
        if digest in seen:
            continue
        seen.add(digest)
        if not _is_done(known.get(digest), extent, shown(path), retry_failed):
            tracks.append(Track(len(tracks), track_id, digest, path))
    listed = {str(row.get("source_hash", "")) for row in catalogue.table.to_dict("records")}
    return _Plan(files, tracks, without_audio, frozenset(listed | seen))


def _is_done(record: Record | None, extent: Extent, path: str, retry_failed: bool) -> bool:
    if record is None or not record.is_current(extent):
        return False
    if record.descriptors is not None:
        return True
    # Ignore a message that names another path of the file.
    return record.reason not in PASSING and not retry_failed and record.path == path


def _current(plan: _Plan, known: Mapping[str, Record], extent: Extent) -> dict[str, Record]:
    """Return the records of wanted tracks, by track_id."""
    return {
        track_id: record
        for track_id, (digest, _) in plan.files.items()
        if (record := known.get(digest)) is not None and record.is_current(extent)
    }


class _Run:
    """A run: workers post results to one queue; only this thread changes state."""

    # Not the loop of `kit.features.by_file`: results and failures are rows of one file that is
    # replaced as a whole, and the lock must be held until the table is filled.

    def __init__(
        self,
        folder: Path,
        plan: _Plan,
        known: dict[str, Record],
        extent: Extent,
        progress: Callable[[DescribeProgress], None] | None,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._known = known
        self._extent: Extent = extent
        self._progress = progress
        self.answers: SimpleQueue[Decoded] = SimpleQueue()
        self._began = time.monotonic()
        self._total = len({digest for digest, _ in plan.files.values()})
        self._tried = self.computed = 0
        self._unsaved = False

    def to_end(
        self, pool: Decoders, in_flight: int, flush_every_s: float, stop: Callable[[], bool]
    ) -> None:
        self._began = time.monotonic()
        self._say()
        feed(
            pool,
            self.answers,
            self._plan.tracks,
            [np.zeros((0, 0), np.float32)] * in_flight,
            self._take,
            self._save,
            save_every_s=flush_every_s,
            stop=stop,
        )

    def _take(self, answer: Decoded) -> Buffer:
        """Handle a result."""
        track, found = answer.track, self._measured(answer.result)
        record = Record(track.source_hash, SOURCE, self._extent, None)
        if isinstance(found, AudioError):
            message = " ".join(str(found).split())
            record = dataclasses.replace(
                record, reason=found.reason, path=shown(track.path), message=message
            )
        else:
            record = dataclasses.replace(record, descriptors=found)
            self.computed += 1
        self._known[track.source_hash] = record
        self._unsaved = True
        self._tried += 1
        self._say()
        return answer.buffer

    def _measured(self, found: Any) -> Descriptors | AudioError:
        # A thread has already measured its file; a process has only read it.
        return measure(found) if isinstance(found, TrackAudio) else found

    def _save(self) -> None:
        if self._unsaved:
            # Drop records of files that were removed from the catalogue.
            rows = [r for r in self._known.values() if r.source_hash in self._plan.hashes]
            write_records(self._folder, rows)
            self._unsaved = False

    def _say(self) -> None:
        if self._progress:
            seconds = max(time.monotonic() - self._began, 1e-9)
            done = self._total - len(self._plan.tracks) + self._tried
            self._progress(DescribeProgress(done, self._total, self._tried / seconds))

"""A catalogue's audio to its descriptors: what is known is kept, what is missing is computed."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np

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
from kit.descriptors.fill import fill, others
from kit.descriptors.hear import Heard, hear
from kit.descriptors.measure import SOURCE, Descriptors, measure, warm_up
from kit.descriptors.plan import STAGE, Plan, extent_of, make_plan
from kit.descriptors.records import NAME, Record, read_records, write_records
from kit.errors import KitError
from kit.features.decoders import Buffer, Decoded, Decoders, Processes, Threads
from kit.features.feeding import feed
from kit.features.plan import Track
from kit.features.scanned import read_if_unchanged
from kit.lock import only_one


@dataclass(frozen=True)
class Progress:
    """Where a run stands: tracks done, tracks in all, and tracks tried a second in this run."""

    done: int
    total: int
    tracks_per_s: float


@dataclass(frozen=True)
class Description:
    """What `describe` did.

    Attributes:
        filled: rows of the table that have kit's descriptors now.
        kept: rows that were left as they are, by whose descriptors they have.
        failures: tracks that could not be described, now or before.
        computed: files described now; the others were known already.
        seconds: that it took.
        stopped: it was asked to stop before it was done.
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
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Description:
    """Describe every track that has audio, and fill in the columns of its table.

    What is found of a file lies in the catalogue's `descriptors.csv` under the SHA-256 of the file;
    at the end `tracks.csv` is filled from it. Stopped in any way and called again, it ends in the
    same bytes, with any number of workers.

    Args:
        catalogue: the tracks.
        workers: threads that decode and compute; one more than there are cores if None.
        whole: look at the whole of each file, not at the 30 s in its middle.
        replace: also the rows whose descriptors come from elsewhere.
        retry_failed: try those again that failed on a file that has not changed.
        isolate: decode in processes, so that a file that crashes its decoder is one failure.
        timeout_s: a file that is not done after so many seconds is given up.
        flush_every_s: what a run that is killed may lose, seconds of work.
        progress: called after each file.
        stop: asked now and then; once true, what is in flight is finished and no more.
    Raises:
        KitError: a file of the catalogue cannot be read or written, or another run is at work.
    """
    began = time.monotonic()
    extent = extent_of(whole)
    with only_one(catalogue.folder / NAME):
        known = {r.source_hash: r for r in read_records(catalogue.folder)}
        wanted = catalogue.table
        if not replace:
            wanted = wanted.loc[[not other for other in others(wanted)]]
        plan = make_plan(catalogue, wanted, known, extent, retry_failed=retry_failed)
        run = _Run(catalogue, plan, known, whole, progress)
        if plan.tracks:
            if gone := catalogue.missing_audio():
                raise KitError(gone)
            read = partial(_hear if isolate else _describe, whole=whole)
            kind = Processes if isolate else Threads
            # One more than cores: each waits now and then for Python's lock.
            count = workers or (os.cpu_count() or 1) + 1
            warm_up()
            pool = kind(count, read, timeout_s, run.answers.put)
            run.to_end(pool, 2 * count, flush_every_s, stop)
        described = _by_track(plan, known, extent)
        # As it is by now: another command may have added to it in the minutes that this one took.
        now = load(catalogue.folder).table
        result = fill(now, described, replace=replace)
        table = validate(result.table, source="the table")
        if not table.equals(now):
            write_table(table, catalogue.folder)
        failures = [*plan.without_audio, *_failures(plan, known, extent)]
        if failures != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
            write_failures(catalogue.folder, STAGE, failures)
    seconds = time.monotonic() - began
    return Description(
        result.filled, result.kept, failures, run.computed, seconds, stopped=bool(stop())
    )


def _hear(track: Track, _room: np.ndarray, *, whole: bool) -> Heard:
    return read_if_unchanged(track, lambda file: hear(file.path, whole=whole))


def _describe(track: Track, room: np.ndarray, *, whole: bool) -> Descriptors:
    return measure(_hear(track, room, whole=whole))


class _Run:
    def __init__(
        self,
        catalogue: Catalogue,
        plan: Plan,
        known: dict[str, Record],
        whole: bool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._folder = catalogue.folder
        self._plan = plan
        self._known = known
        self._whole = whole
        self._progress = progress
        self.answers: SimpleQueue[Decoded] = SimpleQueue()
        self._began = time.monotonic()
        self._tried = self.computed = 0
        self._unsaved = False

    def to_end(
        self, pool: Decoders, most: int, flush_every_s: float, stop: Callable[[], bool]
    ) -> None:
        self._began = time.monotonic()
        self._say()
        feed(
            pool,
            self.answers,
            self._plan.tracks,
            [np.zeros((0, 0), np.float32)] * most,
            self._take,
            self._save,
            save_every_s=flush_every_s,
            stop=stop,
        )

    def _take(self, answer: Decoded) -> Buffer:
        """Enter an answer into the books."""
        track, found = answer.track, self._measured(answer.result)
        extent = extent_of(self._whole)
        if isinstance(found, AudioError):
            message = " ".join(str(found).split())
            record = Record(
                *(track.source_hash, SOURCE, extent, None),
                *(found.reason, shown(track.path), message),
            )
        else:
            record = Record(track.source_hash, SOURCE, extent, found)
            self.computed += 1
        self._known[track.source_hash] = record
        self._unsaved = True
        self._tried += 1
        self._say()
        return answer.buffer

    def _measured(self, found: Any) -> Descriptors | AudioError:
        # Of what another process heard; a thread has measured it already.
        return measure(found) if isinstance(found, Heard) else found

    def _save(self) -> None:
        if self._unsaved:
            # What no track of the catalogue has any more is let go.
            rows = [r for r in self._known.values() if r.source_hash in self._plan.hashes]
            write_records(self._folder, rows)
            self._unsaved = False

    def _say(self) -> None:
        if self._progress:
            seconds = max(time.monotonic() - self._began, 1e-9)
            done = self._plan.done + self._tried
            total = self._plan.done + len(self._plan.tracks)
            self._progress(Progress(done, total, self._tried / seconds))


def _by_track(plan: Plan, known: dict[str, Record], extent: str) -> dict[str, Descriptors]:
    found = {}
    for track_id, digest, _ in plan.wanted:
        record = known.get(digest)
        if record is not None and record.descriptors and record.is_of(extent):
            found[track_id] = record.descriptors
    return found


def _failures(plan: Plan, known: dict[str, Record], extent: str) -> list[Failure]:
    found = []
    for track_id, digest, path in plan.wanted:
        record = known.get(digest)
        if record is not None and record.reason and record.is_of(extent):
            found.append(Failure(path, STAGE, record.reason, record.message, track_id))
    return found

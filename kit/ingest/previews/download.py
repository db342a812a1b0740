"""A catalogue's previews to files: what is there is kept, what is missing is asked for.

Each host has a lane of rows, and each lane as many workers as the host gets connections; so one
host that is slow, or asks to wait, holds up its own rows alone. The loop in `download` alone keeps
the books.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from random import uniform
from threading import Event

from kit.audio import AudioError
from kit.catalogue import Catalogue, Failure, read_failures, write_failures
from kit.catalogue.inspect import Facts, inspect_all
from kit.config import PreviewConfig
from kit.errors import KitError
from kit.ingest.previews.errors import PreviewError, Stopped
from kit.ingest.previews.fetch import fetch
from kit.ingest.previews.file import remove_parts, save
from kit.ingest.previews.hosts import Hosts, wait
from kit.ingest.previews.plan import AUDIO, STAGE, Wanted, failure, make_plan
from kit.ingest.previews.reach import PUBLIC, Reach
from kit.ingest.previews.record import file_mode, record, record_whole, settle
from kit.lock import only_one

RECORD_EVERY_S = 20.0  # what is not in the table yet is found again by its name
_WORKERS = 16  # of all hosts
# So many rows in a row that a host did not serve, and the rest of them is not asked for.
_HOST_AWAY_AFTER = 10
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Attributes:
        done: previews that are there or that cannot be had.
        total: previews wanted.
        bytes: downloaded.
        waiting: why nothing happens, in words, if a host has asked to wait.
    """

    done: int
    total: int
    bytes: int = 0
    waiting: str = ""


@dataclass(frozen=True)
class Downloaded:
    """What `download` did.

    Attributes:
        downloaded: previews downloaded now.
        found: previews whose file was there, whole, and not in the table yet.
        bytes: downloaded now.
        seconds: that it took.
        failures: rows without audio and why, in the order of the table.
        stopped: it was asked to stop before it was done.
    """

    downloaded: int
    found: int
    bytes: int
    seconds: float
    failures: list[Failure]
    stopped: bool = False


@dataclass
class _Lane:
    host: str
    rows: deque[Wanted] = field(default_factory=deque)
    misses: int = 0
    away: bool = False


@dataclass(frozen=True)
class _Outcome:
    wanted: Wanted
    result: Facts | PreviewError
    size: int = 0


@dataclass(frozen=True)
class _Ended:
    error: Exception | None


def download(
    catalogue: Catalogue,
    config: PreviewConfig = PreviewConfig(),
    reach: Reach = PUBLIC,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Downloaded:
    """Download what rows with a `preview_url` and no `path` name, to CATALOGUE/audio/LABEL/ID.mp3.

    Audio that rows have already, here or in a folder of the user's own, is left alone. `tracks.csv`
    gets path, audio_source, source_hash, duration_s, sample_rate and channels. Stopped at any
    instant and called again, it ends in the same table; a file that is there and whole is not asked
    for again.

    Args:
        catalogue: as `load` gives it.
        config: limits and manners.
        reach: what may be connected to.
        progress: called after each preview, and now and then.
        stop: asked now and then; once true, what is in flight is finished and no more.
    Raises:
        UsageError: its folder has a name that no path can have.
        KitError: the catalogue cannot be written, or another run downloads into it.
    """
    began = time.monotonic()
    with only_one(catalogue.folder / AUDIO, "matches files, or downloads, into"):
        remove_parts(catalogue.folder / AUDIO)
        catalogue, prefix = settle(catalogue)
        rows = catalogue.table.to_dict("records")
        wanted, failures = make_plan(
            rows, catalogue.notices, prefix=prefix, root=catalogue.audio_root
        )
        run = _Run(catalogue, config, reach, len(wanted), progress, stop)
        missing = run.adopt(wanted)
        stopped = False
        try:
            stopped = run.download(missing)
        finally:
            # Whatever ended the run: what it has is worth keeping.
            record(catalogue.folder, run.found)
        record_whole(catalogue.folder)
        order = {str(row["track_id"]): at for at, row in enumerate(rows)}
        failures = sorted([*failures, *run.failures], key=lambda f: order[f.track_id])
        if failures != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
            write_failures(catalogue.folder, STAGE, failures)
    adopted = len(wanted) - len(missing)
    seconds = time.monotonic() - began
    new = len(run.found) - adopted
    return Downloaded(new, adopted, run.bytes, seconds, failures, stopped)


class _Run:
    """One run: `found` (cells by track) and `failures` grow; the rest stays."""

    def __init__(
        self,
        catalogue: Catalogue,
        config: PreviewConfig,
        reach: Reach,
        total: int,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
    ) -> None:
        self._catalogue, self._config = catalogue, config
        self._total, self._progress = total, progress
        self._abort = Event()
        self._stop = lambda: self._abort.is_set() or stop()
        self._hosts = Hosts(config, reach, self._stop)
        self._outbox: SimpleQueue[_Outcome | _Ended] = SimpleQueue()
        self._mode = file_mode()
        self.found: dict[str, tuple[Wanted, Facts]] = {}
        self.failures: list[Failure] = []
        self.bytes = 0

    def adopt(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Take what lies under its final name already; the rest is returned."""
        there = [w for w in wanted if self._target(w).is_file()]
        for one, facts in zip(there, inspect_all([self._target(w) for w in there]), strict=True):
            if not isinstance(facts, AudioError):
                self.found[one.track_id] = (one, facts)
        self._tell()
        return [w for w in wanted if w.track_id not in self.found]

    def download(self, wanted: Sequence[Wanted]) -> bool:
        """Ask for all of it. Was it stopped before the end?"""
        lanes: dict[str, _Lane] = {}
        for one in wanted:
            lanes.setdefault(one.host, _Lane(one.host)).rows.append(one)
        self._make_folders(wanted)
        workers = [
            lane
            for lane in lanes.values()
            for _ in range(min(self._config.connections, len(lane.rows)))
        ]
        if not workers:
            return False
        pool = ThreadPoolExecutor(max_workers=min(_WORKERS, len(workers)))
        try:
            for lane in workers:
                pool.submit(self._serve, lane)
            self._keep_books(len(workers))
        finally:
            self._abort.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return len(self.found) + len(self.failures) < self._total

    def _keep_books(self, workers: int) -> None:
        error: Exception | None = None
        recorded = time.monotonic()
        while workers:
            try:
                message = self._outbox.get(timeout=_LOOK_EVERY_S)
            except Empty:
                self._tell()
                continue
            if isinstance(message, _Ended):
                workers -= 1
                if message.error is not None and error is None:
                    error = message.error
                    self._abort.set()
                continue
            self._book(message)
            self._tell()
            if time.monotonic() - recorded > RECORD_EVERY_S:
                record(self._catalogue.folder, self.found)
                recorded = time.monotonic()
        if error is not None:
            raise error

    def _book(self, outcome: _Outcome) -> None:
        wanted, result = outcome.wanted, outcome.result
        if isinstance(result, PreviewError):
            self.failures.append(failure(wanted.track_id, wanted.path, result))
        else:
            self.found[wanted.track_id] = (wanted, result)
            self.bytes += outcome.size

    def _tell(self) -> None:
        if self._progress is not None:
            done = len(self.found) + len(self.failures)
            self._progress(Progress(done, self._total, self.bytes, self._hosts.waiting()))

    def _target(self, wanted: Wanted) -> Path:
        return self._catalogue.audio_root / wanted.path

    def _make_folders(self, wanted: Sequence[Wanted]) -> None:
        for folder in sorted({self._target(one).parent for one in wanted}):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise KitError(
                    f"cannot make {folder}: {error.strerror or error}; choose a place that you "
                    "may write to"
                ) from error

    def _serve(self, lane: _Lane) -> None:
        """A worker of a lane: one row after the other until none is left."""
        error: Exception | None = None
        try:
            with self._hosts[lane.host].kept():
                while not self._stop():
                    try:
                        wanted = lane.rows.popleft()
                    except IndexError:
                        break
                    self._outbox.put(self._one(lane, wanted))
        except Stopped:
            pass
        except Exception as problem:
            error = problem
        finally:
            self._outbox.put(_Ended(error))

    def _one(self, lane: _Lane, wanted: Wanted) -> _Outcome:
        if lane.away:
            return _Outcome(wanted, _away(lane))
        try:
            facts, size = self._try(wanted)
        except PreviewError as error:
            lane.misses = lane.misses + 1 if error.passing else 0
            lane.away = error.host_is_away or lane.misses >= _HOST_AWAY_AFTER
            return _Outcome(wanted, error)
        lane.misses = 0
        return _Outcome(wanted, facts, size)

    def _try(self, wanted: Wanted) -> tuple[Facts, int]:
        size = 0

        def bring(write: Callable[[bytes], None]) -> None:
            def counted(block: bytes) -> None:
                nonlocal size
                size += len(block)
                write(block)

            fetch(wanted.url, counted, self._hosts, self._config)

        for again in range(self._config.tries):
            size = 0
            try:
                return save(self._target(wanted), bring, self._mode), size
            except PreviewError as error:
                if not error.passing or again + 1 == self._config.tries:
                    raise
            # Not all at the same time, and less and less often.
            wait(self._config.backoff_s * 2**again * uniform(0.5, 1.5), self._stop)
        raise AssertionError("unreachable")


def _away(lane: _Lane) -> PreviewError:
    return PreviewError(
        "host_away",
        f"{lane.host!r} does not serve at present, and was not asked for it; run the command "
        "again later",
    )

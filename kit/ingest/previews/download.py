"""Download missing previews of a catalogue, and keep existing files."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from kit.audio import AudioError
from kit.catalogue import Catalogue, Failure, write_failures
from kit.catalogue.inspect import Facts, inspect_all
from kit.config import PreviewConfig
from kit.ingest.previews.fetch import PreviewError, fetch_file, make_pool, remove_parts
from kit.ingest.previews.record import record, settle
from kit.ingest.previews.targets import AUDIO, STAGE, Wanted, failure, make_plan
from kit.ingest.retry import Patience, with_retries
from kit.lock import only_one

# After this many failures of a host in succession, its other rows are skipped.
_HOST_AWAY_AFTER = 10
_TICK_S = 0.2


@dataclass(frozen=True)
class DownloadProgress:
    """State of a download."""

    done: int
    total: int
    bytes: int = 0
    waiting: str = ""


@dataclass(frozen=True)
class Downloaded:
    """Result of `download`; `found` counts files of earlier runs that the table did not have."""

    downloaded: int
    found: int
    bytes: int
    seconds: float
    failures: list[Failure]
    stopped: bool = False


class _Stopped(Exception):  # noqa: N818
    """Stopped while waiting for a server: neither success nor failure."""


def download(
    catalogue: Catalogue,
    config: PreviewConfig = PreviewConfig(),
    *,
    progress: Callable[[DownloadProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Downloaded:
    """Download the `preview_url` of rows without a `path` to CATALOGUE/audio/LABEL/ID.mp3.

    Rows with audio stay unchanged. The function fills path, audio_source, source_hash, duration_s,
    sample_rate and channels in `tracks.csv`. It can be stopped at any time; a later call gives the
    same table and does not download complete files again.

    Args:
        catalogue: the tracks.
        config: limits and allowed hosts.
        progress: called after each preview and several times per second.
        stop: checked several times per second; once true, downloads in progress are finished and no
            others begin.
    Raises:
        UsageError: the name of the catalogue's folder is not a valid path.
        KitError: the catalogue cannot be written, or another run downloads its previews.
    """
    began = time.monotonic()
    with only_one(catalogue.folder / AUDIO, "matches files or downloads previews for"):
        remove_parts(catalogue.folder / AUDIO)
        catalogue, prefix = settle(catalogue)
        rows = catalogue.table.to_dict("records")
        wanted, failures = make_plan(
            rows,
            catalogue.notices,
            prefix=prefix,
            root=catalogue.audio_root,
            hosts=config.hosts,
        )
        run = _Run(catalogue.audio_root, config, len(wanted), progress, stop)
        missing = run.adopt(wanted)
        try:
            run.download(missing)
        finally:
            record(catalogue.folder, run.found)
        order = {str(row["track_id"]): at for at, row in enumerate(rows)}
        failures = sorted([*failures, *run.failures], key=lambda f: order[f.track_id])
        write_failures(catalogue.folder, STAGE, failures)
    found = len(wanted) - len(missing)
    stopped = run.done < len(wanted)
    seconds = time.monotonic() - began
    return Downloaded(len(run.found) - found, found, run.bytes, seconds, failures, stopped)


class _Run:
    """A run. Workers download; only the main thread changes `found` and `failures`."""

    def __init__(
        self,
        root: Path,
        config: PreviewConfig,
        total: int,
        progress: Callable[[DownloadProgress], None] | None,
        stop: Callable[[], bool],
    ) -> None:
        self._root, self._config, self._total = root, config, total
        self._progress, self._stop = progress, stop
        self._pool = make_pool(config)
        self._patience = Patience(config.tries, config.backoff_s, config.longest_wait_s)
        self._stopping = Event()
        self._waiting = ""
        # Successive failures by host. A race between workers costs at most one request.
        self._misses: Counter[str] = Counter()
        self.found: dict[str, tuple[Wanted, Facts]] = {}
        self.failures: list[Failure] = []
        self.bytes = 0

    @property
    def done(self) -> int:
        """Number of existing and failed previews."""
        return len(self.found) + len(self.failures)

    def adopt(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Keep the complete files of earlier runs; return the missing previews."""
        there = [one for one in wanted if self._target(one).is_file()]
        facts_of = inspect_all([self._target(one) for one in there])
        for one, facts in zip(there, facts_of, strict=True):
            if not isinstance(facts, AudioError):
                self.found[one.track_id] = (one, facts)
        self._tell()
        return [one for one in wanted if one.track_id not in self.found]

    def download(self, wanted: Sequence[Wanted]) -> None:
        """Download until all are done or `stop` returns true."""
        ended: SimpleQueue[Future[Facts]] = SimpleQueue()
        jobs: dict[Future[Facts], Wanted] = {}
        with ThreadPoolExecutor(max_workers=self._config.connections) as pool:
            try:
                for one in wanted:
                    job = pool.submit(self._one, one)
                    jobs[job] = one
                    job.add_done_callback(ended.put)
                for _ in wanted:
                    job = self._next(ended)
                    self._book(jobs.pop(job), job)
                    self._tell()
            finally:
                self._stopping.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self._pool.clear()

    def _next(self, ended: SimpleQueue[Future[Facts]]) -> Future[Facts]:
        while True:
            if self._stop():
                self._stopping.set()
            try:
                return ended.get(timeout=_TICK_S)
            except Empty:
                self._tell()

    def _book(self, wanted: Wanted, job: Future[Facts]) -> None:
        try:
            facts = job.result()
        except _Stopped:
            return
        except PreviewError as error:
            self.failures.append(failure(wanted.track_id, wanted.path, error))
            return
        self.found[wanted.track_id] = (wanted, facts)
        self.bytes += self._target(wanted).stat().st_size

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(DownloadProgress(self.done, self._total, self.bytes, self._waiting))

    def _target(self, wanted: Wanted) -> Path:
        return self._root / wanted.path

    def _one(self, wanted: Wanted) -> Facts:
        if self._stopping.is_set():
            raise _Stopped
        if self._misses[wanted.host] >= _HOST_AWAY_AFTER:
            raise PreviewError("host_away", host=wanted.host)
        misses = 0
        try:
            return with_retries(
                lambda: fetch_file(self._pool, wanted.url, self._target(wanted), self._config),
                self._patience,
                lambda seconds, why: self._wait(wanted.host, seconds, why),
            )
        except PreviewError as error:
            longest_s = self._patience.longest_wait_s
            if error.passing and error.asked_s > longest_s:
                misses = _HOST_AWAY_AFTER
                raise PreviewError(
                    "rate_limited", "too_long", asked=error.asked_s, longest=longest_s
                ) from error
            misses = self._misses[wanted.host] + 1 if error.passing else 0
            raise
        finally:
            self._misses[wanted.host] = misses

    def _wait(self, host: str, seconds: float, why: str) -> None:
        if seconds >= 1:
            self._waiting = f"{host}: {why}, {seconds:.0f} s"
        if self._stopping.wait(seconds):
            raise _Stopped
        self._waiting = ""

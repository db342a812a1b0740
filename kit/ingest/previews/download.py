"""Download missing previews of a catalogue, and keep existing files."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from urllib3 import PoolManager

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
    progress: Callable[[DownloadProgress], None] = lambda _: None,
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
        connections = make_pool(config)
        run = _Run(catalogue.audio_root, config, len(wanted), progress, stop, connections)
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


@dataclass
class _Run:
    """A run. Workers download; only the main thread changes `found` and `failures`."""

    root: Path
    config: PreviewConfig
    total: int
    progress: Callable[[DownloadProgress], None]
    stop: Callable[[], bool]
    connections: PoolManager
    found: dict[str, tuple[Wanted, Facts]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    bytes: int = 0
    waiting: str = ""
    stopping: Event = field(default_factory=Event)
    # Successive failures by host. A race between workers costs at most one request.
    misses: Counter[str] = field(default_factory=Counter)

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
        ended: SimpleQueue[tuple[Wanted, Future[Facts]]] = SimpleQueue()
        with ThreadPoolExecutor(max_workers=self.config.connections) as pool:
            try:
                for one in wanted:
                    job = pool.submit(self._one, one)
                    job.add_done_callback(lambda job, one=one: ended.put((one, job)))
                left = len(wanted)
                while left:
                    if self.stop():
                        self.stopping.set()
                    with contextlib.suppress(Empty):
                        self._book(*ended.get(timeout=_TICK_S))
                        left -= 1
                    self._tell()
            finally:
                self.stopping.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self.connections.clear()

    def _book(self, wanted: Wanted, job: Future[Facts]) -> None:
        try:
            self.found[wanted.track_id] = (wanted, job.result())
            self.bytes += self._target(wanted).stat().st_size
        except PreviewError as error:
            self.failures.append(failure(wanted.track_id, wanted.path, error))
        except _Stopped:
            pass

    def _tell(self) -> None:
        self.progress(DownloadProgress(self.done, self.total, self.bytes, self.waiting))

    def _target(self, wanted: Wanted) -> Path:
        return self.root / wanted.path

    def _one(self, wanted: Wanted) -> Facts:
        if self.stopping.is_set():
            raise _Stopped
        if self.misses[wanted.host] >= _HOST_AWAY_AFTER:
            raise PreviewError("host_away", host=wanted.host)
        longest_s, misses = self.config.longest_wait_s, 0
        try:
            return with_retries(
                lambda: fetch_file(self.connections, wanted.url, self._target(wanted), self.config),
                Patience(self.config.tries, self.config.backoff_s, longest_s),
                lambda seconds, why: self._wait(wanted.host, seconds, why),
            )
        except PreviewError as error:
            if error.passing and error.asked_s > longest_s:
                misses = _HOST_AWAY_AFTER
                raise PreviewError(
                    "rate_limited", "too_long", asked=error.asked_s, longest=longest_s
                ) from error
            misses = self.misses[wanted.host] + 1 if error.passing else 0
            raise
        finally:
            self.misses[wanted.host] = misses

    def _wait(self, host: str, seconds: float, why: str) -> None:
        if seconds >= 1:
            self.waiting = f"{host}: {why}, {seconds:.0f} s"
        if self.stopping.wait(seconds):
            raise _Stopped
        self.waiting = ""

"""The engine of a cluster: Ray deals out shards; decoders anywhere feed whoever has a shard.

A shard is one item of a Ray dataset. An actor, one a GPU or else one a machine, takes a shard,
has its files decoded by tasks on any core of the cluster, a bounded number ahead, computes and
writes the shard by itself: no features travel, and nobody waits for another's shard. A worker
that dies is replaced, and what it was at is done again, from the start of its shard or its files:
since rows are dealt out beforehand, it comes to the same bytes.
"""

import dataclasses
import json
import logging
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError
from kit.features import codec
from kit.features.decoders import CrashedError, Decoded, Threads
from kit.features.device import local_device
from kit.features.index import Entry
from kit.features.local import failure, success
from kit.features.meter import Meter, Progress
from kit.features.plan import Plan, Track
from kit.features.store import SHARD_TRACKS, FeatureStore

try:
    import ray
    import ray.data
    from ray.exceptions import WorkerCrashedError
except ImportError as error:
    raise KitError(
        "engine ray needs the extra `cluster`: pip install 'genre-kit[cluster]'"
    ) from error

GROUP = 4  # files a task: 10 MiB of clips of 30 s, and enough work to be worth its dispatch


def run(
    store: FeatureStore,
    plan: Plan,
    options: ExtractConfig,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Meter:
    """Compute what a plan asks for, on the cluster that `RAY_ADDRESS` names, or on one of this
    machine's processes; arguments and errors as of `kit.features.local.run`.

    All machines must see the audio and the store under the same names.
    """
    started = not ray.is_initialized()
    if started:
        ray.init(
            num_cpus=None if "RAY_ADDRESS" in os.environ else options.workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    try:
        return _run(store, plan, options, progress, stop)
    finally:
        if started:
            ray.shutdown()


def _run(
    store: FeatureStore,
    plan: Plan,
    options: ExtractConfig,
    progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool],
) -> Meter:
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    cores = max(1, int(resources.get("CPU", 1)))
    actors = gpus or len([node for node in ray.nodes() if node["Alive"]])
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # In the plan's order, so that what is done of an interrupted run lies at the beginning.
    context.execution_options.preserve_order = True
    items = list(_shards(plan))
    shards = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _ShardWorker,
        fn_constructor_args=(str(store.path), options.timeout_s, max(2, 2 * cores // actors)),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, min(actors, len(items)))),
        num_gpus=1 if gpus else None,
        # On a CPU it is a fifth of a decoder's work: it should not take a core from one.
        num_cpus=0 if gpus else 0.1,
    )
    meter = Meter(plan.done, plan.total, {"decode": cores, "device": actors, "write": actors})
    first_failure = ""
    for row in shards.iter_rows():
        for stage in ("decode", "device", "write"):
            meter.busy(stage, float(row[stage]))
        for seconds in json.loads(row["audio_s"]):
            meter.track(seconds)
        first_failure = first_failure or str(row["failure"])
        if progress:
            progress(meter.progress())
        if stop() or (options.strict and first_failure):
            break
    if options.strict and first_failure:
        raise KitError(f"stopped at the first shard with a track that failed: {first_failure}")
    return meter


def _shards(plan: Plan) -> Iterator[dict[str, Any]]:
    tracks: dict[int, list[Track]] = defaultdict(list)
    given: dict[int, list[Entry]] = defaultdict(list)
    for track in plan.tracks:
        tracks[track.offset // SHARD_TRACKS].append(track)
    for entry in plan.without_audio:
        given[entry.offset // SHARD_TRACKS].append(entry)
    for number in sorted({*tracks, *given}):
        rows = [(t.offset, t.track_id, t.source_hash, str(t.path)) for t in tracks[number]]
        entries = [dataclasses.astuple(entry) for entry in given[number]]
        # As text: a dataset's columns hold what Arrow knows.
        yield {"number": number, "tracks": json.dumps(rows), "entries": json.dumps(entries)}


class _ShardWorker:
    """Computes and writes whole shards. One lives in each of the dataset's actors."""

    def __init__(self, path: str, timeout_s: float, ahead: int) -> None:
        self._store = FeatureStore.open(path if "://" in path else Path(path))
        self._timeout_s = timeout_s
        self._ahead = ahead
        self._device = local_device()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        shards = zip(batch["number"], batch["tracks"], batch["entries"], strict=True)
        rows = [self._shard(int(number), tracks, entries) for number, tracks, entries in shards]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _shard(self, number: int, tracks: str, entries: str) -> dict[str, Any]:
        config = self._store.config
        todo = [Track(o, i, h, Path(p)) for o, i, h, p in json.loads(tracks)]
        before, kept = self._store.load_shard(number)
        part = {entry.offset: entry for entry in before}
        found = [Entry(*values) for values in json.loads(entries)]
        busy = {"decode": 0.0, "device": 0.0}
        audio_s: list[float | None] = [None] * len(found)
        waiting: list[tuple[Track, np.ndarray]] = []
        groups = [todo[at : at + GROUP] for at in range(0, len(todo), GROUP)]
        for track, result, seconds in _decoded(groups, config, self._timeout_s, self._ahead):
            busy["decode"] += seconds
            if isinstance(result, AudioError):
                found.append(failure(track, result))
                audio_s.append(None)
                continue
            waiting.append((track, result))
            audio_s.append(len(result) / config.frontend.sample_rate)
            if len(waiting) == self._device.batch * self._device.lanes:
                busy["device"] += self._compute(waiting, kept)
                waiting = []
        if waiting:
            busy["device"] += self._compute(waiting, kept)
        failed = {entry.offset for entry in found}
        kept[[offset % SHARD_TRACKS for offset in failed]] = codec.missing(config)
        found += [success(track, config) for track in todo if track.offset not in failed]
        part |= {entry.offset: entry for entry in found}
        began = time.perf_counter()
        if set(part.values()) != set(before):
            self._store.write_shard(number, list(part.values()), kept)
        failures = [entry.message for entry in found if not entry.frames]
        return {
            **busy,
            "write": time.perf_counter() - began,
            "audio_s": json.dumps(audio_s),
            "failure": failures[0] if failures else "",
        }

    def _compute(self, clips: list[tuple[Track, np.ndarray]], kept: np.ndarray) -> float:
        config, size = self._store.config, self._device.batch
        padded = [(_padded(y, config.clip_samples), len(y)) for _, y in clips]
        starts = range(0, len(clips), size)
        futures = [self._device.submit(padded[at : at + size], config) for at in starts]
        seconds = 0.0
        for at, future in zip(starts, futures, strict=True):
            features, took = future.result()
            seconds += took
            for (track, _), rows in zip(clips[at : at + size], features, strict=True):
                kept[track.offset % SHARD_TRACKS] = codec.encode(rows, config)
        return seconds


def _padded(y: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(y, (0, samples - len(y)))


_Answer = tuple[Track, np.ndarray | AudioError, float]


def _decoded(
    groups: list[list[Track]], config: FeatureConfig, timeout_s: float, ahead: int
) -> Iterator[_Answer]:
    """The clips of all groups in order, decoded elsewhere, at most `ahead` groups before."""
    under_way: deque[tuple[list[Track], Any]] = deque()
    rest = iter(groups)
    while True:
        while len(under_way) < ahead and (group := next(rest, None)) is not None:
            under_way.append((group, _decode.remote(group, config, timeout_s)))
        if not under_way:
            return
        group, answers = under_way.popleft()
        try:
            yield from zip(group, *_columns(ray.get(answers)), strict=True)
        except WorkerCrashedError:
            if len(group) == 1:
                yield group[0], _crashed(group[0]), 0.0
            else:
                # One of them is to blame, and it alone.
                yield from _decoded([[track] for track in group], config, timeout_s, ahead)


def _columns(answers: list[tuple[Any, float]]) -> tuple[list[Any], list[float]]:
    return [result for result, _ in answers], [seconds for _, seconds in answers]


@ray.remote(num_cpus=1, max_retries=2)
def _decode(
    tracks: list[Track], config: FeatureConfig, timeout_s: float
) -> list[tuple[np.ndarray | AudioError, float]]:
    answers: SimpleQueue[Decoded] = SimpleQueue()
    decoder = Threads(1, config, timeout_s, answers.put)
    results = []
    for track in tracks:
        decoder.start(track, np.zeros(config.clip_samples, np.float32))
        while answers.empty():
            time.sleep(0.001)
            decoder.give_up_late()
        answer = answers.get()
        failed = isinstance(answer.result, AudioError)
        y = answer.result if failed else answer.buffer[: answer.result]
        results.append((y, answer.seconds))
    decoder.close()
    return results


def _crashed(track: Track) -> CrashedError:
    return CrashedError(
        f"{shown(track.path)}: its decoder's process died, three times; "
        "convert the file or leave it out"
    )

"""The engine for a cluster: Ray distributes shards to actors, and decoding to tasks.

A shard is one row of a Ray dataset; many shards are grouped in blocks. There is one actor per GPU,
or else per machine. For each shard, tasks on any core of the cluster decode the files, a bounded
number ahead, and the actor computes and writes the shard. So features are never sent between
machines, and actors do not wait for each other. Ray replaces dead workers and repeats their blocks
or files. Rows are assigned in advance, so results have the same bytes.
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
from kit.features.decoders import CrashedError, Decoded, Threads, reader
from kit.features.device import in_batches, local_device
from kit.features.engine_local import failure, rows_of
from kit.features.excerpts import room
from kit.features.layout import shard_tracks
from kit.features.manifest import Entry
from kit.features.schedule import Plan, Track
from kit.features.store import FeatureStore
from kit.features.throughput import ExtractionProgress, Meter
from kit.features.writer import ShardWriter

try:
    import ray
    import ray.data
    from ray.exceptions import WorkerCrashedError
except ImportError as error:
    raise KitError(
        "engine ray needs the extra `cluster`: pip install 'genre-kit[cluster]'"
    ) from error

TOGETHER = 8  # maximum shards per block: the driver needs some ms for each block
GROUP = 4  # files per task: 10 MiB of clips of 30 s, enough to amortise its dispatch


def run(
    store: FeatureStore,
    plan: Plan,
    options: ExtractConfig,
    *,
    progress: Callable[[ExtractionProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Meter:
    """Compute the tracks of a plan on the Ray cluster at `RAY_ADDRESS`, or on a local one.

    All machines must see the audio and the store by the same names. Arguments and errors are those
    of `kit.features.engine_local.run`.
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
    progress: Callable[[ExtractionProgress], None] | None,
    stop: Callable[[], bool],
) -> Meter:
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    cores = max(1, int(resources.get("CPU", 1)))
    actors = gpus or len([node for node in ray.nodes() if node["Alive"]])
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # In the plan's order, so that an interrupted run leaves a gap only at the end.
    context.execution_options.preserve_order = True
    items = list(_shards(plan, shard_tracks(store.config)))
    block = shards_a_block(len(items), actors)
    shards = ray.data.from_items(items, override_num_blocks=-(-len(items) // block)).map_batches(
        _ShardWorker,
        fn_constructor_args=(store.path, options.timeout_s, max(2, 2 * cores // actors)),
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, min(actors, len(items)))),
        num_gpus=1 if gpus else None,
        # On a CPU an actor has a fifth of a decoder's work, so it does not reserve a core.
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


def shards_a_block(shards: int, actors: int) -> int:
    """Return the number of shards per block, small enough that all actors end together."""
    return max(1, min(TOGETHER, shards // (32 * actors)))


def _shards(plan: Plan, size: int) -> Iterator[dict[str, Any]]:
    tracks: dict[int, list[Track]] = defaultdict(list)
    given: dict[int, list[Entry]] = defaultdict(list)
    for track in plan.tracks:
        tracks[track.offset // size].append(track)
    for entry in plan.without_audio:
        given[entry.offset // size].append(entry)
    for number in sorted({*tracks, *given}):
        rows = [(t.offset, t.track_id, t.source_hash, str(t.path)) for t in tracks[number]]
        entries = [dataclasses.astuple(entry) for entry in given[number]]
        # As text, because a dataset's columns must have Arrow types.
        yield {"tracks": json.dumps(rows), "entries": json.dumps(entries)}


class _ShardWorker:
    """Computes and writes whole shards, one instance per actor."""

    def __init__(self, path: Path | str, timeout_s: float, ahead: int) -> None:
        self._store = FeatureStore.open(path)
        self._timeout_s = timeout_s
        self._ahead = ahead
        self._device = local_device()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        rows = [
            self._shard(
                [Track(o, i, h, Path(p)) for o, i, h, p in json.loads(tracks)],
                [Entry(*values) for values in json.loads(entries)],
            )
            for tracks, entries in zip(batch["tracks"], batch["entries"], strict=True)
        ]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _shard(self, tracks: list[Track], without_audio: list[Entry]) -> dict[str, Any]:
        config = self._store.config
        together = max(1, self._device.batch * self._device.lanes // config.excerpts)
        writes: list[float | Exception] = []
        offsets = [row.offset for row in (*tracks, *without_audio)]
        writer = ShardWriter(self._store, offsets, writes.append)
        failures = [entry.message for entry in without_audio]
        audio_s: list[float | None] = [None] * len(without_audio)
        busy = {"decode": 0.0, "device": 0.0}
        ready: list[Decoded] = []

        def compute() -> None:
            clips = [clip for decoded in ready for clip in decoded.clips]
            features, seconds = in_batches(self._device, clips, config)
            busy["device"] += seconds
            for _, entry, row in rows_of(ready, features, config):
                writer.put(entry, row)
            ready.clear()

        try:
            for entry in without_audio:
                writer.put(entry)
            groups = [tracks[at : at + GROUP] for at in range(0, len(tracks), GROUP)]
            for answer in _decoded(groups, config, self._timeout_s, self._ahead):
                busy["decode"] += answer.seconds
                if isinstance(answer.result, AudioError):
                    entry = failure(answer.track, answer.result)
                    failures.append(entry.message)
                    audio_s.append(None)
                    writer.put(entry)
                    continue
                audio_s.append(sum(answer.lengths) / config.frontend.sample_rate)
                ready.append(answer)
                if len(ready) == together:
                    compute()
            compute()
        finally:
            writer.close()
        for outcome in writes:
            if isinstance(outcome, Exception):
                raise outcome
        return {
            **busy,
            "write": sum(s for s in writes if isinstance(s, float)),
            "audio_s": json.dumps(audio_s),
            "failure": failures[0] if failures else "",
        }


def _decoded(
    groups: list[list[Track]], config: FeatureConfig, timeout_s: float, ahead: int
) -> Iterator[Decoded]:
    """Yield the tracks of all groups in order, decoded by tasks at most `ahead` groups ahead."""
    under_way: deque[tuple[list[Track], Any]] = deque()
    rest = iter(groups)
    while True:
        while len(under_way) < ahead and (group := next(rest, None)) is not None:
            under_way.append((group, _decode.remote(group, config, timeout_s)))
        if not under_way:
            return
        group, answers = under_way.popleft()
        try:
            yield from ray.get(answers)
        except WorkerCrashedError:
            if len(group) == 1:
                yield Decoded(group[0], room(config)[:0], _crashed(group[0]), 0.0)
            else:
                # Find the file that killed the worker.
                yield from _decoded([[track] for track in group], config, timeout_s, ahead)


@ray.remote(num_cpus=1, max_retries=2)
def _decode(tracks: list[Track], config: FeatureConfig, timeout_s: float) -> list[Decoded]:
    answers: SimpleQueue[Decoded] = SimpleQueue()
    decoder = Threads(1, reader(config), timeout_s, answers.put)
    results = []
    for track in tracks:
        decoder.start(track, room(config))
        while answers.empty():
            time.sleep(0.001)
            decoder.give_up_late()
        results.append(answers.get())
    decoder.close()
    return results


def _crashed(track: Track) -> CrashedError:
    return CrashedError(
        f"{shown(track.path)}: its decoder's process died, three times; "
        "convert the file or leave it out"
    )

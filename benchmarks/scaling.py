"""What a job of many tracks costs and what holds it up: measured here, simulated beyond.

    kit demo --demo.tracks 216 --demo.artists 36 --data data/bench
    python benchmarks/scaling.py data/bench --json benchmarks/results/scaling.json
    python benchmarks/scaling_page.py

`service`: what a track takes in each stage, one at a time. `real`: `extract` into a fresh store
with one worker and two, in turn with `service`, from which the simulation (`scaling_model.py`) has
to foretell them within 15%. `size`, `wire`, `table`, `ray`: bytes stored; a waveform of 16 bits;
tables of many rows; the dealing out of shards. `what_if`: the simulation of other machines.

The tracks are those of the catalogue again and again, under other names. An accelerator is not
measured: its figures are assumptions, in the JSON as such. Other programs spoil the figures: what
they used is measured too. Needs the extra `dev`.
"""

import argparse
import dataclasses
import json
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from features_peers import machine, machine_cpu
from scaling_model import (
    Cluster,
    Machine,
    Outcome,
    cluster,
    heavy_tailed,
    run,
    shard_seconds,
)

from kit.catalogue import Scan, load, save
from kit.config import ExtractConfig
from kit.defaults import ORIGINAL_FEATURES
from kit.features import FeatureStore, codec, excerpts, extract
from kit.features.decoders import reader
from kit.features.device import PER_DEVICE, compute, local_device
from kit.features.engine_local import FLUSH_EVERY_S
from kit.features.engine_ray import GROUP, TOGETHER, shards_a_block
from kit.features.excerpts import room
from kit.features.manifest import Entry, to_bytes
from kit.features.plan import Track, make_plan
from kit.features.store import SHARD_TRACKS, empty_shard
from kit.features.writer import MOST_OPEN, ShardWriter

WITHIN = 0.15
CONFIG = ORIGINAL_FEATURES
READ = reader(CONFIG)
CLIP_BYTES = 4 * CONFIG.clip_samples
FEATURE_BYTES = 4 * CONFIG.n_frames * CONFIG.frontend.n_mels
ASSUMED = {
    # No accelerator was there: a stand-in, to see which way the bottleneck moves.
    "accelerator_s_a_clip": 1e-3,
    "bus_bytes_a_s": 12e9,
    "cores_a_machine": 16,
    "file_wait_s": 0.01,
    "upload_bytes_a_s": 300e6,
    "machine_speed_spread": 0.2,
    "slow_machines": 0.01,
    "slow_speed": 1 / 3,
    "mtbf_s": 24 * 3600.0,
    "restart_s": 120.0,
    "straggler_s": 20.0,
    "stragglers": 1e-3,
    "log_normal_sigma": 1.0,
    # AWS, "Best practices design patterns: optimizing Amazon S3 performance".
    "puts_a_s_a_prefix": 3500,
    "gets_a_s_a_prefix": 5500,
    # AWS, API reference of ListObjectsV2.
    "keys_a_page": 1000,
}


def tracks_of(folder: Path) -> list[Track]:
    return make_plan([], load(folder), retry_failed=False).tracks


def repeated(source: Path, tracks: int, folder: Path) -> Path:
    """A catalogue of so many tracks: those of another one, again and again under other ids."""
    given = load(source)
    table = given.table.iloc[[i % len(given.table) for i in range(tracks)]].reset_index(drop=True)
    table["track_id"] = [f"track-{i:06d}" for i in range(tracks)]
    save(Scan(table, [], given.audio_root), folder)
    return folder


def median_of(rounds: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(rounds))


# What a track takes.


def measure_service(source: Path, features: np.ndarray, work: Path) -> dict:
    """All that the simulation takes, once."""
    tracks = tracks_of(source)
    found: dict = {"decode_s": measure_decode(tracks), **measure_device()}
    found["speed_all_busy"] = measure_speed(tracks)
    found |= measure_shard(features, work)
    found["fixed_s"] = seconds_around(source, work)
    return found


def medians(rounds: list[dict]) -> dict:
    """Of each figure, and of each file."""
    found: dict = {
        name: statistics.median(each[name] for each in rounds)
        for name in rounds[0]
        if name != "decode_s"
    }
    files = zip(*(each["decode_s"] for each in rounds), strict=True)
    found["decode_s"] = [round(statistics.median(seconds), 6) for seconds in files]
    return found | {
        "files": len(found["decode_s"]),
        "decode_mean_s": statistics.fmean(found["decode_s"]),
    }


def mean_size(tracks: list[Track]) -> float:
    return statistics.fmean(track.path.stat().st_size for track in tracks)


def decode_cpu_s(track: Track, into: np.ndarray) -> float:
    began = time.thread_time()
    READ(track, into)
    return time.thread_time() - began


def measure_decode(tracks: list[Track]) -> list[float]:
    """CPU seconds of each file, in one thread alone."""
    buffer = room(CONFIG)
    decode_cpu_s(tracks[0], buffer)
    return [decode_cpu_s(track, buffer) for track in tracks]


def measure_speed(tracks: list[Track]) -> float:
    """By how much a core slows down where all are busy with tracks, of what they share: CPU seconds
    of decoding and computing by one thread over those by a thread a core."""
    some, cores = tracks[:: max(1, len(tracks) // 60)], os.cpu_count() or 1
    device = local_device()

    def lane(at: int) -> None:
        buffer = room(CONFIG)
        for track in some[at::cores]:
            (samples,) = READ(track, buffer)
            device.submit([(buffer[0], samples)], CONFIG).result()

    def cpu_s(threads: int) -> float:
        began = time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lane, range(threads)))
        done = sum(len(some[at::cores]) for at in range(threads))
        return (time.process_time() - began) / done

    cpu_s(1)
    alone, together = zip(*((cpu_s(1), cpu_s(cores)) for _ in range(3)), strict=True)
    device.close()
    return min(1.0, statistics.median(alone) / statistics.median(together))


def measure_device() -> dict[str, float]:
    """CPU seconds a clip on the CPU; and those to put a clip into an accelerator's batch."""
    device = local_device()
    y = np.random.default_rng(0).normal(0, 0.1, CONFIG.clip_samples).astype(np.float32)
    clips = 10

    def cpu_s() -> float:
        began = time.process_time()
        for _ in range(clips):
            device.submit([(y, len(y))], CONFIG).result()
        return (time.process_time() - began) / clips

    def gather_s() -> float:
        began = time.process_time()
        batch = np.zeros((PER_DEVICE, CONFIG.clip_samples), np.float32)
        for at in range(PER_DEVICE):
            batch[at] = y
        return (time.process_time() - began) / PER_DEVICE

    cpu_s()
    found = {"device_s": median_of(5, cpu_s), "gather_s": median_of(5, gather_s)}
    device.close()
    return found


def measure_shard(features: np.ndarray, work: Path) -> dict[str, float]:
    """Beginning, filling and writing of a whole shard of real features."""
    store = FeatureStore.create(work / "shard.zarr", CONFIG, ["a"])
    store.reserve(2 * SHARD_TRACKS)
    began = time.process_time()
    kept = empty_shard(CONFIG)
    store.load_shard(0, into=kept)
    opened = time.process_time()
    store.load_shard(0, into=kept)
    again = time.process_time()
    writer = ShardWriter(store, range(SHARD_TRACKS), lambda _: None)
    writer.put(entry(0), features[0])
    before = time.process_time()
    for row in range(1, SHARD_TRACKS - 1):
        writer.put(entry(row), features[row % len(features)])
    put = time.process_time()
    for row in range(SHARD_TRACKS):
        kept[row] = codec.encode(features[row % len(features)], CONFIG)
    entries = [entry(SHARD_TRACKS + row) for row in range(SHARD_TRACKS)]
    os.sync()
    cpu, wall = time.process_time(), time.perf_counter()
    store.write_shard(1, entries, kept)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    writer.close(drop=True)
    FeatureStore.delete(store.path)
    return {
        "open_s": opened - began,
        "open_again_s": again - opened,
        "put_s": (put - before) / (SHARD_TRACKS - 2),
        "shard_cpu_s": cpu,
        "shard_wall_s": wall,
        "shard_sync_s": max(0.0, wall - cpu / (os.cpu_count() or 1)),
    }


def entry(row: int) -> Entry:
    return Entry(row, f"track-{row:09d}", f"{row:064x}", CONFIG.n_frames)


def seconds_around(source: Path, work: Path) -> float:
    """Of `extract`, whatever there is to do: making, planning and opening."""
    catalogue = load(source)
    path = work / "around.zarr"
    began = time.perf_counter()
    FeatureStore.exists(path)
    store = FeatureStore.create(path, CONFIG, ["a"])
    plan = make_plan(store.entries, catalogue, retry_failed=False)
    store.reserve(plan.rows)
    for _ in range(2):
        FeatureStore.open(path)
    seconds = time.perf_counter() - began
    FeatureStore.delete(path)
    return seconds


START = """
import json, sys, time
began = time.perf_counter()
import numpy as np
from kit.defaults import ORIGINAL_FEATURES as config
from kit.features import engine_local
from kit.features.device import compute
imported = time.perf_counter()
compute([np.full(config.clip_samples, 0.1, np.float32)], config)
print(json.dumps({"import_s": imported - began, "first_clip_s": time.perf_counter() - imported}))
"""


def measure_start() -> dict[str, float]:
    """A new process, with JAX's compilation cache empty."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-c", START],
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
            capture_output=True,
            check=True,
        )
    return json.loads(done.stdout)


# Real runs, and what the simulation makes of them.


def measure_real(source: Path, workers: int) -> dict[str, float]:
    """`extract` into a fresh store, in a process that is warm."""
    os.sync()  # nobody waits for what another has written
    catalogue = load(source)
    cpu, of_all = time.process_time(), machine_cpu() or 0.0
    began = time.perf_counter()
    result = extract(catalogue, CONFIG, ExtractConfig(workers=workers))
    wall = time.perf_counter() - began
    cpu = time.process_time() - cpu
    if result.computed != len(catalogue.table):
        raise SystemExit(f"kit left out {len(result.failures)} of {source}")
    FeatureStore.delete(result.store.path)
    elsewhere = max(0.0, (machine_cpu() or 0.0) - of_all - cpu) / wall
    print(
        f"{workers} workers: {wall:.2f} s, CPU {cpu:.2f} s; other programs used {elsewhere:.2f} "
        "cores",
        flush=True,
    )
    return {"wall_s": wall, "cpu_s": cpu, "cores_elsewhere": elsewhere}


def measure_both(
    source: Path, few: Path, features: np.ndarray, rounds: int, work: Path
) -> tuple[dict, dict]:
    """Service times and whole runs in turn, since a machine in a cloud is not always as fast."""
    parts: list[dict] = []
    runs: dict[int, list[dict]] = {1: [], 2: []}
    for _ in range(rounds):
        parts.append(measure_service(few, features, work))
        shown = {k: v for k, v in parts[-1].items() if k != "decode_s"}
        print(json.dumps({"decode_mean_s": statistics.fmean(parts[-1]["decode_s"]), **shown}))
        for count, found in runs.items():
            found.append(measure_real(source, count))
    real = {
        str(count): {
            "median_s": statistics.median(r["wall_s"] for r in found),
            "cores_elsewhere": statistics.median(r["cores_elsewhere"] for r in found),
            "rounds": found,
        }
        for count, found in runs.items()
    }
    return medians(parts), real


def here(service: dict, workers: int) -> Machine:
    """This machine, as measured."""
    cores = os.cpu_count() or 1
    return dataclasses.replace(larger(service, cores), workers=workers, fixed_s=service["fixed_s"])


def larger(service: dict, cores: int, *, accelerator: bool = False) -> Machine:
    """One with so many cores like these, and a decoder a core."""
    shard = SHARD_TRACKS
    on_cpu = {"lanes": cores, "in_flight": 2 * cores, "device_s": service["device_s"]}
    moved = (CLIP_BYTES + FEATURE_BYTES) / ASSUMED["bus_bytes_a_s"]
    on_accelerator = {
        "lanes": 2,
        "in_flight": 2,
        "batch": PER_DEVICE,
        "device_s": service["gather_s"],
        "transfer_s": moved,
        "accelerator_s": ASSUMED["accelerator_s_a_clip"],
    }
    return Machine(
        cores=cores,
        workers=cores,
        shard_tracks=shard,
        most_open=MOST_OPEN,
        speeds=(1.0,) * (cores > 1) + (service["speed_all_busy"],),
        put_s=service["put_s"],
        open_s=service["open_s"],
        open_again_s=service["open_again_s"],
        write_s=service["shard_cpu_s"] / shard,
        write_threads=cores,
        sync_s=service["shard_sync_s"] / shard,
        flush_s=FLUSH_EVERY_S,
        **(on_accelerator if accelerator else on_cpu),
    )


def check(service: dict, real: dict, tracks: int) -> dict:
    """The simulation of the real runs, the measured seconds of each file in their own order."""
    decode_s = [service["decode_s"][i % service["files"]] for i in range(tracks)]
    found = {}
    for count, measured in real.items():
        outcome = run(here(service, int(count)), decode_s)
        error = outcome.seconds / measured["median_s"] - 1
        # What other programs took, as if evenly: says whether it was they.
        left = dataclasses.replace(here(service, int(count)), elsewhere=measured["cores_elsewhere"])
        disturbed = run(left, decode_s)
        cpu_s = statistics.median(r["cpu_s"] for r in measured["rounds"])
        found[count] = {
            **told(outcome),
            "error": error,
            "passed": abs(error) <= WITHIN,
            "error_less_elsewhere": disturbed.seconds / measured["median_s"] - 1,
            "cpu_s": outcome.cpu_s,
            "cpu_error": outcome.cpu_s / cpu_s - 1,
        }
        print(
            f"{count} workers: simulated {outcome.seconds:.2f} s, real {measured['median_s']:.2f} "
            f"s, {100 * error:+.1f}%: {'pass' if abs(error) <= WITHIN else 'fail'}; with the cores "
            f"that others left {100 * found[count]['error_less_elsewhere']:+.1f}%; CPU seconds "
            f"{100 * found[count]['cpu_error']:+.1f}%"
        )
    return found


def told(outcome: Outcome) -> dict:
    return {
        "seconds": outcome.seconds,
        "tracks_a_s": outcome.rate,
        "bottleneck": outcome.bottleneck,
        "busy": {stage: round(share, 4) for stage, share in outcome.busy.items()},
    }


# What is kept and moved.


def features_of(tracks: list[Track], work: int = 4) -> np.ndarray:
    with ThreadPoolExecutor(work) as pool:
        found = list(pool.map(lambda track: excerpts(track.path, CONFIG), tracks))
    return compute([excerpt.y for (excerpt,) in found], CONFIG)


def measure_size(features: np.ndarray, work: Path) -> dict[str, float]:
    """Bytes on disk a track, by dtype."""
    found = {}
    for dtype in ("float32", "float16", "int8"):
        config = dataclasses.replace(CONFIG, dtype=dtype)
        store = FeatureStore.create(work / f"{dtype}.zarr", config)
        store.reserve(SHARD_TRACKS)
        kept = empty_shard(config)
        kept[: len(features)] = codec.encode(features[:SHARD_TRACKS], config)
        count = min(len(features), SHARD_TRACKS)
        store.write_shard(0, [entry(row) for row in range(count)], kept)
        files = [f for f in (work / f"{dtype}.zarr" / "log_mel").rglob("*") if f.is_file()]
        found[dtype] = sum(f.stat().st_size for f in files) / count
        FeatureStore.delete(store.path)
    return found


def measure_wire(paths: list[Path]) -> dict:
    """What the features lose if the resampled waveform is rounded to 16 bits on its way."""
    apart: list[np.ndarray] = []
    levels: list[np.ndarray] = []
    for path in paths:
        y = excerpts(path, CONFIG)[0].y
        rounded = np.clip(np.rint(y * 32768), -32768, 32767).astype(np.float32) / 32768
        exact, other = compute([y], CONFIG)[0], compute([rounded], CONFIG)[0]
        apart.append(np.abs(other - exact).ravel())
        levels.append(exact.ravel())
    error, level = np.concatenate(apart), np.concatenate(levels)
    parts = {"all": level <= 0, "below -60 dB": level < -60, "above -40 dB": level > -40}
    return {
        "tracks": len(paths),
        **{
            name: {
                "share": float(mask.mean()),
                "max_db": float(error[mask].max(initial=0.0)),
                "p999_db": float(np.quantile(error[mask], 0.999)) if mask.any() else 0.0,
            }
            for name, mask in parts.items()
        },
    }


def measure_table(rows: int, work: Path) -> dict[str, float]:
    """A catalogue and a store of so many rows and no audio: what all of it in memory costs."""
    table = pd.DataFrame(
        {
            "track_id": [f"track-{i:09d}" for i in range(rows)],
            "label": "techno",
            "path": [f"{i % 1000:03d}/{i:09d}.mp3" for i in range(rows)],
            "artists": [f"Artist {i // 10}" for i in range(rows)],
            "duration_s": 30.0,
            "sample_rate": 44100,
            "channels": 2,
            "source_hash": [f"{i:064x}" for i in range(rows)],
        }
    )
    save(Scan(table, [], work), work / "many")
    began = time.perf_counter()
    catalogue = load(work / "many")
    loaded = time.perf_counter()
    make_plan([], catalogue, retry_failed=False)
    planned = time.perf_counter()
    store = FeatureStore.create(work / "many.zarr", CONFIG)
    store.reserve(rows)
    (work / "many.zarr" / "index").mkdir(exist_ok=True)
    for first in range(0, rows, SHARD_TRACKS):
        data = to_bytes(entry(row) for row in range(first, min(first + SHARD_TRACKS, rows)))
        (work / "many.zarr" / "index" / f"{first // SHARD_TRACKS:08d}.csv").write_bytes(data)
    ready = time.perf_counter()
    opened = FeatureStore.open(work / "many.zarr")
    open_s = time.perf_counter() - ready
    began_again = time.perf_counter()
    make_plan(opened.entries, catalogue, retry_failed=False)
    again_s = time.perf_counter() - began_again
    del opened
    tracemalloc.start()
    opened = FeatureStore.open(work / "many.zarr")
    of_entries, _ = tracemalloc.get_traced_memory()
    plan = make_plan([], catalogue, retry_failed=False)
    of_both, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del opened, plan
    FeatureStore.delete(work / "many.zarr")
    return {
        "rows": rows,
        "load_s": loaded - began,
        "plan_s": planned - loaded,
        "plan_again_s": again_s,
        "open_s": open_s,
        "csv_bytes": (work / "many" / "tracks.csv").stat().st_size / rows,
        "table_bytes": float(catalogue.table.memory_usage(deep=True).sum()) / rows,
        "entry_bytes": of_entries / rows,
        "plan_bytes": (of_both - of_entries) / rows,
        "part_bytes": float(len(to_bytes(entry(row) for row in range(SHARD_TRACKS)))),
    }


class _Nothing:
    """A shard's worker without its work."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        return {"done": [True] * len(batch["tracks"])}


def measure_ray() -> dict[str, float]:
    """CPU seconds of Ray's driver to deal out a block of shards that are no work, which bounds what
    it can do with the machine to itself; and seconds of a task that gives clips, without their
    decoding."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        text = "x" * (SHARD_TRACKS * 150)

        def blocks(count: int) -> np.ndarray:
            items = [{"tracks": text, "entries": "[]"} for _ in range(count * TOGETHER)]
            began = np.array([time.perf_counter(), time.process_time()])
            rows = ray.data.from_items(items, override_num_blocks=count).map_batches(
                _Nothing,
                batch_size=None,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(min_size=4, max_size=4),
                num_cpus=0.1,
            )
            assert sum(1 for _ in rows.iter_rows()) == len(items)
            return np.array([time.perf_counter(), time.process_time()]) - began

        few, many = 50, 450
        blocks(few)
        wall, cpu = (blocks(many) - blocks(few)) / (many - few)

        @ray.remote(num_cpus=1)
        def clips() -> list[np.ndarray]:
            return [np.zeros(CONFIG.clip_samples, np.float32) for _ in range(GROUP)]

        ray.get(clips.remote())
        tasks = []
        for _ in range(50):
            began = time.perf_counter()
            ray.get(clips.remote())
            tasks.append(time.perf_counter() - began)
        return {
            "deal_wall_s": float(wall),
            "deal_s": float(cpu),
            "task_s": float(np.quantile(tasks, 0.1)),
        }
    finally:
        ray.shutdown()


# Machines that are not here.


def draws(service: dict, tracks: int, seed: int = 0) -> np.ndarray:
    """Measured seconds of files, in an order that chance gives."""
    return np.random.default_rng(seed).choice(service["decode_s"], tracks)


def by_workers(service: dict) -> list[dict]:
    rows = []
    for cores in (1, 2, 4, 8, 16, 32, 64):
        row: dict = {"workers": cores}
        tracks = SHARD_TRACKS * max(4, cores // 2)
        for name, machine_ in {
            "cpu": larger(service, cores),
            "accelerator": larger(service, cores, accelerator=True),
        }.items():
            row[name] = told(run(machine_, draws(service, tracks).tolist()))
            quick = dataclasses.replace(machine_, sync_s=0.0)
            row[f"{name}, disk never waits"] = told(run(quick, draws(service, tracks).tolist()))
        rows.append(row)
    return rows


def with_stragglers(service: dict, tracks: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mean = service["decode_mean_s"]
    decode_s = heavy_tailed(tracks, mean, rng, sigma=ASSUMED["log_normal_sigma"])
    slow = rng.permutation(tracks)[: round(tracks * ASSUMED["stragglers"])]
    decode_s[slow] = ASSUMED["straggler_s"]
    return decode_s


def by_buffers(service: dict) -> list[dict]:
    """Buffers on a machine of many cores; log-normal files, no stragglers, no wait for the disk."""
    machine_ = larger(service, int(ASSUMED["cores_a_machine"]))
    machine_ = dataclasses.replace(machine_, sync_s=0.0)
    rng = np.random.default_rng(0)
    tracks = 16 * SHARD_TRACKS
    even = draws(service, tracks).tolist()
    sigma = ASSUMED["log_normal_sigma"]
    tailed = heavy_tailed(tracks, service["decode_mean_s"], rng, sigma=sigma).tolist()
    own = machine_.room
    rows = []
    for buffers in sorted({1, 2, 4, 8, 16, 17, 18, 20, 24, 32, 48, own, 64}):
        setup = dataclasses.replace(machine_, buffers=buffers)
        rows.append(
            {
                "buffers": buffers,
                "kits_own": buffers == own,
                "mib": buffers * CLIP_BYTES / 2**20,
                "measured": run(setup, even).rate,
                "log_normal": run(setup, tailed).rate,
            }
        )
    return rows


def by_open(service: dict) -> list[dict]:
    """Shards in memory against files that take long, on few and on many cores; no wait for the
    disk."""
    rows = []
    for cores in (os.cpu_count() or 1, int(ASSUMED["cores_a_machine"])):
        tracks = 32 * SHARD_TRACKS
        hung = draws(service, tracks, 1).tolist()
        hung[tracks // 8] = math.inf
        cases = {
            "measured": draws(service, tracks, 1).tolist(),
            "stragglers": with_stragglers(service, tracks, 1).tolist(),
            "one hangs": hung,
        }
        for most in (2, 3, 4, 8, 16):
            setup = dataclasses.replace(larger(service, cores), most_open=most, sync_s=0.0)
            row: dict = {"cores": cores, "most_open": most, "kits_own": most == MOST_OPEN}
            for name, decode_s in cases.items():
                row[name] = run(setup, decode_s).rate
            rows.append(row)
    return rows


def of_shards(
    service: dict, size: dict[str, float], ray_s: dict, rows: int, wait_s: float, **given: float
) -> dict[str, float]:
    """A shard by one actor and all cores of a machine, its rows uploaded rather than synced."""
    sync_s = size["float32"] / ASSUMED["upload_bytes_a_s"]
    machine_ = larger(service, int(ASSUMED["cores_a_machine"]))
    machine_ = dataclasses.replace(machine_, **{"sync_s": sync_s, **given})
    found = [
        shard_seconds(
            machine_,
            draws(service, rows, seed).tolist(),
            group=GROUP,
            task_s=ray_s["task_s"],
            wait_s=wait_s,
        )
        for seed in range(20)
    ]
    seconds = [outcome.seconds for outcome in found]
    return {
        "seconds": statistics.fmean(seconds),
        "sd_s": statistics.stdev(seconds),
        "tracks_a_s": rows / statistics.fmean(seconds),
        "cores_busy": statistics.fmean(outcome.busy["cores"] for outcome in found),
    }


def of_cluster(service: dict, size: dict[str, float], ray_s: dict) -> dict:
    near = ASSUMED["file_wait_s"]
    shards = {rows: of_shards(service, size, ray_s, rows, near) for rows in (16, 64, 256, 1024)}
    waits = {
        str(wait): of_shards(service, size, ray_s, SHARD_TRACKS, wait) for wait in (0.0, 0.01, 0.1)
    }
    unwritten = of_shards(service, size, ray_s, SHARD_TRACKS, near, sync_s=0.0, write_s=0.0)
    trouble = {
        "all alike": {},
        "speeds ±20%": {"spread": ASSUMED["machine_speed_spread"]},
        "1% at a third": {"slow": ASSUMED["slow_machines"], "slow_speed": ASSUMED["slow_speed"]},
        "failures": {"mtbf_s": ASSUMED["mtbf_s"], "restart_s": ASSUMED["restart_s"]},
    }
    everything = {name: value for part in trouble.values() for name, value in part.items()}
    trouble["all of it"] = everything
    trouble["and the driver"] = {**everything, "dispatch_s": ray_s["deal_s"]}
    runs = []
    facts = shards[SHARD_TRACKS]
    for machines in (8, 1000):
        for tracks in (10**6, 10**8):
            own = shards_a_block(math.ceil(tracks / SHARD_TRACKS), machines)
            for block in sorted({own} if machines == 8 else {1, own, TOGETHER}):
                for name, settings in trouble.items():
                    if block != own and name not in ("all of it", "and the driver"):
                        continue
                    # 1% of eight machines is none: there, one of the eight.
                    slow = settings.get("slow", 0.0)
                    given = {**settings, "slow": 1 / 8} if slow and machines == 8 else settings
                    spread_s = facts["sd_s"] * math.sqrt(block)
                    setup = Cluster(machines, facts["seconds"] * block, spread_s, **given)
                    outcome = cluster(setup, math.ceil(tracks / (SHARD_TRACKS * block)))
                    row = {"machines": machines, "tracks": tracks, "block": block, "case": name}
                    row |= {**outcome, "tracks_a_s": tracks / outcome["seconds"]}
                    runs.append({**row, "kits_own": block == own})
    return {
        "shards": {str(rows): facts for rows, facts in shards.items()},
        "by_wait": waits,
        "without_writing": unwritten,
        "runs": runs,
    }


def cost(service: dict, size: dict[str, float]) -> dict[str, float]:
    """Of a million tracks."""
    hours = 1e6 / 3600
    return {
        "decode_h": service["decode_mean_s"] * hours,
        "mel_h": service["device_s"] * hours,
        "gather_h": service["gather_s"] * hours,
        "loop_h": service["put_s"] * hours + service["open_again_s"] / SHARD_TRACKS * hours,
        "write_h": service["shard_cpu_s"] / SHARD_TRACKS * hours,
        "accelerator_h": ASSUMED["accelerator_s_a_clip"] * hours,
        "read_bytes": service["mp3_bytes"] * 1e6,
        "to_device_bytes": CLIP_BYTES * 1e6,
        "from_device_bytes": FEATURE_BYTES * 1e6,
        **{f"{dtype}_bytes": value * 1e6 for dtype, value in size.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalogue", type=Path, help="of at least some dozen tracks of 30 s")
    parser.add_argument("--tracks", type=int, default=640, help="of a real run: 2.5 shards")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many")
    parser.add_argument("--real", type=Path, help="a folder of MP3 files, for `wire` as well")
    parser.add_argument("--rows", type=int, default=100_000, help="of the tables without audio")
    parser.add_argument("--work", type=Path, help="folder for the stores; a temporary one")
    parser.add_argument("--from-json", type=Path, help="take what was measured from there")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    if options.from_json:
        result = json.loads(options.from_json.read_text())
    else:
        with tempfile.TemporaryDirectory(prefix="kit-scaling-", dir=options.work) as folder:
            result = measured(options, Path(folder))
    service, ray_s = result["service"], result["ray"]
    result["assumed"] = ASSUMED
    result["check"] = check(service, result["real"], result["inputs"]["tracks"])
    result["cost_of_a_million"] = cost(service, result["size"])
    began = time.perf_counter()
    result["what_if"] = {
        "workers": by_workers(service),
        "buffers": by_buffers(service),
        "open": by_open(service),
        "cluster": of_cluster(service, result["size"], ray_s),
    }
    print(f"simulated in {time.perf_counter() - began:.1f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def measured(options: argparse.Namespace, work: Path) -> dict:
    start = measure_start()
    source = repeated(options.catalogue, options.tracks, work / "catalogue")
    few = repeated(options.catalogue, 8, work / "few")
    extract(load(few), CONFIG, ExtractConfig(workers=2))  # compiles
    tracks = tracks_of(options.catalogue)
    result: dict = {
        "machine": machine(),
        "inputs": {
            "tracks": options.tracks,
            "rounds": options.rounds,
            "shard_tracks": SHARD_TRACKS,
            "shards_a_block": TOGETHER,
            "clip_s": CONFIG.clip_s,
            "clip_bytes": CLIP_BYTES,
            "feature_bytes": FEATURE_BYTES,
            "group": GROUP,
        },
    }
    print(json.dumps(result["machine"]), flush=True)
    features = features_of(tracks[:SHARD_TRACKS])
    result["start"] = start
    result["service"], result["real"] = measure_both(
        source, options.catalogue, features, options.rounds, work
    )
    result["service"]["mp3_bytes"] = mean_size(tracks)
    result["size"] = measure_size(features, work)
    rendered = [track.path for track in tracks[:: max(1, len(tracks) // 12)]][:12]
    result["wire"] = {"rendered": measure_wire(rendered)}
    if options.real:
        found = [track for track in sorted(options.real.rglob("*.mp3")) if is_long(track)]
        result["wire"]["real"] = measure_wire(found[:12])
    result["table"] = measure_table(options.rows, work)
    print(json.dumps({k: result[k] for k in ("start", "size", "wire", "table")}), flush=True)
    result["ray"] = measure_ray()
    print(json.dumps(result["ray"]), flush=True)
    return result


def is_long(path: Path) -> bool:
    import soundfile

    return soundfile.info(path).duration >= CONFIG.clip_s


if __name__ == "__main__":
    main()

"""Measure the constants that docs/scaling.md is computed from, on a machine that is idle.

    kit demo --demo.tracks 216 --demo.artists 36 --data data/bench
    python benchmarks/scaling.py data/bench --json benchmarks/results/scaling.json
    python benchmarks/scaling_page.py

`service`: CPU seconds of each stage of `kit features`, one at a time. `real`: whole runs of
`extract` with one worker and with two, which the cost model of scaling_page.py must predict within
15%. `at_scale`: the command on 10,000 tracks, twice. `size`, `table`, `ray`: bytes stored, tables
of many rows, the dispatch of shards. `training`: a step of two networks, the bytes that it reduces
over two devices, and reading from a store. Needs the extra `dev`.
"""

import argparse
import dataclasses
import json
import logging
import os
import re
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
from features_peers import features_command, machine

from kit.catalogue import Scan, load, save
from kit.config import MODELS, ExtractConfig, FeatureConfig, TrainConfig
from kit.defaults import ORIGINAL_FEATURES as CONFIG
from kit.features import FeatureStore, codec, excerpts, extract, store_path
from kit.features.decoders import reader
from kit.features.device import PER_DEVICE, compute, local_device
from kit.features.engine_ray import TOGETHER
from kit.features.excerpts import room
from kit.features.layout import SHARD_TRACKS, empty_shard
from kit.features.manifest import Entry, to_bytes
from kit.features.schedule import make_plan
from kit.models import build, size
from kit.training.optimiser import hyperparameters
from kit.training.placement import placed, shardings
from kit.training.scaling import make_scaling
from kit.training.state import init_state
from kit.training.step import Batch, make_train_step

NETWORKS, BATCH, FRAMES, CLASSES = ("conv1d", "short_chunk"), 128, 128, 5
BYTES = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1, "f16": 2, "u8": 1, "s8": 1}


def median_of(rounds: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(rounds))


def cpu_of(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def repeated(source: Path, tracks: int, folder: Path) -> Path:
    """Write a catalogue of `tracks` tracks: those of another one in turn, under other ids."""
    given = load(source)
    table = given.table.iloc[[i % len(given.table) for i in range(tracks)]].reset_index(drop=True)
    table["track_id"] = [f"track-{i:06d}" for i in range(tracks)]
    save(Scan(table, [], given.audio_root), folder)
    return folder


def entry(row: int) -> Entry:
    return Entry(row, f"track-{row:09d}", f"{row:064x}", CONFIG.n_frames)


def measure_service(source: Path, features: np.ndarray, work: Path) -> dict[str, float]:
    """Return CPU seconds: of a track where it has no unit, of a shard where the name says so."""
    tracks = make_plan([], load(source), retry_failed=False).tracks
    read, device, cores = reader(CONFIG), local_device(), os.cpu_count() or 1
    some = tracks[:: max(1, len(tracks) // 60)]
    y = np.random.default_rng(0).normal(0, 0.1, CONFIG.clip_samples).astype(np.float32)

    def lane(at: int) -> None:
        buffer = room(CONFIG)
        for track in some[at::cores]:
            (samples,) = read(track, buffer)
            device.submit([(buffer[0], samples)], CONFIG).result()

    def lanes(count: int) -> float:
        with ThreadPoolExecutor(count) as pool:
            spent = cpu_of(lambda: list(pool.map(lane, range(count))))
        return spent / sum(len(some[at::cores]) for at in range(count))

    def gather() -> None:
        batch = np.zeros((PER_DEVICE, CONFIG.clip_samples), np.float32)
        for at in range(PER_DEVICE):
            batch[at] = y

    lanes(1)
    buffer = room(CONFIG)
    found = {
        "decode_s": statistics.fmean(cpu_of(lambda t=t: read(t, buffer)) for t in tracks),
        "device_s": median_of(
            50, lambda: cpu_of(lambda: device.submit([(y, len(y))], CONFIG).result())
        ),
        "gather_s": median_of(5, lambda: cpu_of(gather) / PER_DEVICE),
        "speed_all_busy": min(1.0, median_of(3, lambda: lanes(1) / lanes(cores))),
        "files": len(tracks),
        "mp3_bytes": statistics.fmean(track.path.stat().st_size for track in tracks),
    }
    device.close()
    store = FeatureStore.create(work / "shard.zarr", CONFIG, ["a"])
    store.reserve(SHARD_TRACKS)
    kept = empty_shard(CONFIG)
    kept[:] = codec.encode(np.resize(features, kept.shape), CONFIG)
    os.sync()
    began = time.perf_counter()
    cpu = cpu_of(lambda: store.write_shard(0, [entry(i) for i in range(SHARD_TRACKS)], kept))
    found |= {
        "shard_cpu_s": cpu,
        "shard_sync_s": max(0.0, time.perf_counter() - began - cpu / cores),
    }
    FeatureStore.delete(store.path)
    return found


def measure_real(source: Path, workers: int) -> float:
    """Return the seconds of `extract` into a fresh store, in a process that is warm."""
    os.sync()
    result = extract(load(source), CONFIG, ExtractConfig(workers=workers))
    if result.failures:
        raise SystemExit(f"kit left out {len(result.failures)} tracks of {source}")
    FeatureStore.delete(result.store.path)
    return result.seconds


def measure_at_scale(source: Path, tracks: int, work: Path) -> dict[str, float]:
    """Run `kit features` on many tracks, twice: seconds, and the peak of the resident memory."""
    folder = repeated(source, tracks, work / "large")
    seconds, peaks = [], []
    for _ in range(2):
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, *features_command(folder, None)])
        peak = 0
        while process.poll() is None:
            # Not getrusage's peak, which a process inherits from the one that started it.
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *map(int, re.findall(r"VmHWM:\s*(\d+)", status))])
            time.sleep(0.02)
        seconds.append(time.perf_counter() - began)
        peaks.append(peak / 2**20)
    FeatureStore.delete(store_path(load(folder), FeatureConfig()))
    return {"tracks": tracks, "s": seconds[0], "again_s": seconds[1], "peak_gib": peaks[0]}


def measure_size(features: np.ndarray, work: Path) -> dict[str, float]:
    """Return the bytes of a track on disk, by dtype."""
    found = {}
    for dtype in ("float32", "float16", "int8"):
        config = dataclasses.replace(CONFIG, dtype=dtype)
        store = FeatureStore.create(work / f"{dtype}.zarr", config)
        store.write([f"{i}" for i in range(len(features))], ["0"] * len(features), features)
        files = [f for f in (work / f"{dtype}.zarr/log_mel").rglob("*") if f.is_file()]
        found[dtype] = sum(f.stat().st_size for f in files) / len(features)
    return found


def measure_table(rows: int, work: Path) -> dict[str, float]:
    """Return the cost of a catalogue and a store of many rows without audio."""
    number = np.arange(rows)
    columns = {
        "track_id": [f"track-{i:09d}" for i in number],
        "label": "techno",
        "path": [f"{i % 1000:03d}/{i:09d}.mp3" for i in number],
        "artists": [f"Artist {i // 10}" for i in number],
        "duration_s": 30.0,
        "source_hash": [f"{i:064x}" for i in number],
    }
    save(Scan(pd.DataFrame(columns), [], work), work / "many")
    path = work / "many.zarr"
    FeatureStore.create(path, CONFIG).reserve(rows)
    (path / "index").mkdir(exist_ok=True)
    for first in range(0, rows, SHARD_TRACKS):
        data = to_bytes(map(entry, range(first, min(first + SHARD_TRACKS, rows))))
        (path / "index" / f"{first // SHARD_TRACKS:08d}.csv").write_bytes(data)
    catalogue, opened = load(work / "many"), FeatureStore.open(path)

    def plan(entries: list[Entry]) -> object:
        return make_plan(entries, catalogue, retry_failed=False)

    found = {
        "rows": rows,
        "load_s": cpu_of(lambda: load(work / "many")),
        "plan_s": cpu_of(lambda: plan([])),
        "plan_again_s": cpu_of(lambda: plan(opened.entries)),
        "open_s": cpu_of(lambda: FeatureStore.open(path)),
        "table_bytes": float(catalogue.table.memory_usage(deep=True).sum()) / rows,
        "part_bytes": float(len(to_bytes(map(entry, range(SHARD_TRACKS))))),
    }
    for name, make in (("entry", lambda: FeatureStore.open(path)), ("plan", lambda: plan([]))):
        tracemalloc.start()
        made = make()
        found[f"{name}_bytes"] = tracemalloc.get_traced_memory()[0] / rows
        tracemalloc.stop()
        del made
    return found


class _Nothing:
    """A shard's worker without its work."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        return {"done": [True] * len(batch["tracks"])}


def measure_ray() -> dict[str, float]:
    """Return the CPU seconds of Ray's driver for a block of shards without work."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True

    def blocks(count: int) -> float:
        items = [{"tracks": "x" * (SHARD_TRACKS * 150)} for _ in range(count * TOGETHER)]
        pool = ray.data.ActorPoolStrategy(min_size=4, max_size=4)
        rows = ray.data.from_items(items, override_num_blocks=count).map_batches(
            _Nothing, batch_size=None, batch_format="numpy", compute=pool, num_cpus=0.1
        )
        return cpu_of(lambda: list(rows.iter_rows()))

    blocks(50)
    few, many = blocks(50), blocks(450)
    ray.shutdown()
    return {"deal_s": (many - few) / 400}


def measure_step(name: str) -> dict[str, float]:
    """Return the cost of one network's step on the devices of this process."""
    import jax

    network, rng = build(MODELS[name](), n_mels=128, n_classes=CLASSES), np.random.default_rng(0)
    x = rng.normal(-40, 15, (BATCH, FRAMES, 128)).astype(np.float16)
    y = rng.integers(0, CLASSES, BATCH).astype(np.int32)
    config = TrainConfig()
    given = (make_scaling(1, 0, -40, 15), hyperparameters(config, 1000, np.ones(CLASSES)))
    replicated, split = shardings(BATCH)
    state, key = placed((init_state(network, config), jax.random.key(0)), replicated)
    step, parts = make_train_step(network), placed(Batch(x, y, np.ones(BATCH, np.float32)), split)
    compiled = step.lower(state, parts, key, *given).compile()
    if len(replicated.device_set) > 1:
        return {"reduced_bytes": reduced(compiled.as_text())}
    times = []
    for number in range(6):
        began = time.process_time()
        state, _ = step(state, parts, jax.random.fold_in(key, number), *given)
        jax.block_until_ready(state)
        times.append(time.process_time() - began)
    found = {
        "parameters": size(state.params),
        "batch": BATCH,
        "cpu_s": statistics.median(times[1:]),
    }
    return found | {"flops": float(compiled.cost_analysis()["flops"])}


def reduced(text: str) -> int:
    """Return the bytes that a compiled program sums over its devices."""
    total = 0
    for line in re.findall(r"= (.*?) all-reduce(?:-start)?\(", text):
        for kind, shape in re.findall(r"(\w+)\[([\d,]*)\]", line):
            total += BYTES[kind] * int(np.prod([int(n) for n in filter(None, shape.split(","))]))
    return total


def step_in_child(name: str, devices: int) -> dict[str, float]:
    """Measure in a process of its own: its number of devices is fixed when it starts."""
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, __file__, "--step", name]
    done = subprocess.run(
        command, env=os.environ | flags | {"JAX_PLATFORMS": "cpu"}, check=True, capture_output=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure_reading(work: Path) -> dict[str, float]:
    """Return the cost of a row that is read from a store, in the page cache."""
    config, rng = FeatureConfig(), np.random.default_rng(0)
    store = FeatureStore.create(work / "noise.zarr", config)
    shape, ids = (256, config.n_frames, config.frontend.n_mels), [f"t{i}" for i in range(256)]
    store.write(ids, ["0"] * 256, rng.normal(-40, 15, shape).astype(np.float32))
    some = rng.choice(ids, 128, replace=False).tolist()
    cpu = median_of(6, lambda: cpu_of(lambda: store.read_stored(some)) / 128)
    files = [f for f in (work / "noise.zarr").rglob("*") if f.is_file()]
    disk = sum(f.stat().st_size for f in files) / 256
    return {"row_bytes": store.read_stored(some[:1]).nbytes, "disk_bytes": disk, "cpu_s": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalogue", type=Path, nargs="?", help="tracks of 30 s")
    parser.add_argument("--tracks", type=int, default=640, help="of a whole run")
    parser.add_argument("--work", type=Path, help="folder for stores, on the disk to be measured")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measure_step(options.step)))
        return
    with tempfile.TemporaryDirectory(prefix="kit-scaling-", dir=options.work) as folder:
        work = Path(folder)
        few, source = repeated(options.catalogue, 8, work / "few"), options.catalogue
        extract(load(few), CONFIG)  # compiles
        tracks = make_plan([], load(source), retry_failed=False).tracks[:SHARD_TRACKS]
        features = compute([excerpts(track.path, CONFIG)[0].y for track in tracks], CONFIG)
        whole = repeated(source, options.tracks, work / "whole")
        result = {
            "machine": machine(),
            "service": measure_service(source, features, work),
            "real": {
                "tracks": options.tracks,
                **{str(n): median_of(3, lambda n=n: measure_real(whole, n)) for n in (1, 2)},
            },
            "at_scale": measure_at_scale(source, 10_000, work),
            "size": measure_size(features, work),
            "table": measure_table(100_000, work),
            "ray": measure_ray(),
            "training": {
                "date": time.strftime("%Y-%m-%d"),
                "networks": {n: step_in_child(n, 1) | step_in_child(n, 2) for n in NETWORKS},
                "reading": measure_reading(work),
            },
        }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()

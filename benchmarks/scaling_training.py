"""The training half of docs/scaling.md: measure a step on this machine, then write the figures.

    python benchmarks/scaling_training.py --json benchmarks/results/scaling_training.json
    python benchmarks/scaling_training.py          # only writes docs/scaling.md from that file
    python benchmarks/scaling_training.py --check  # fails if the page is another

Measured: the CPU time of a step and its floating-point operations (XLA's count), the bytes that the
compiled step reduces over two devices, and the CPU time and bytes of reading a batch from a store.
The rest is arithmetic from these and from `ASSUMED`.
"""

import argparse
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dsp_page import table
from scaling_page import amount, span, update, wrapped

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scaling_training.json"
BLOCK = re.compile(r"(<!-- (training-[a-z]+) -->\n).*?(<!-- /training -->)", re.DOTALL)
NETWORKS = {"conv1d": 128, "short_chunk": 128}
"""Segments of a batch on one device."""
FRAMES, CLASSES, ROUNDS, TRACKS = 128, 5, 5, 256
DEVICES = (8, 64, 1000)
STRONG = 1024
ASSUMED = {
    "flops": 2e13,
    "link_bytes_s": 3.1e9,
    "inside_bytes_s": 1e11,
    "hop_s": 2e-5,
    "segments": 200_000,
    "devices_a_machine": 8,
}
"""Operations a second of an accelerator; bytes a second between machines (25 Gbit/s), and between
accelerators of one; seconds of a hop between machines; segments of a collection; accelerators of a
machine."""
BYTES = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1, "f16": 2, "u8": 1, "s8": 1}


def step_of(name: str, batch: int) -> dict[str, Any]:
    """Measure one network's step, on one device and, compiled only, over two."""
    import jax
    import numpy as np

    from kit.config import MODELS, TrainConfig
    from kit.models import build, size
    from kit.training.optimiser import hyperparameters
    from kit.training.placement import placed, shardings
    from kit.training.scaling import make_scaling
    from kit.training.state import init_state
    from kit.training.step import Batch, make_train_step

    network = build(MODELS[name](), n_mels=128, n_classes=CLASSES)
    rng = np.random.default_rng(0)
    x = rng.normal(-40, 15, (batch, FRAMES, 128)).astype(np.float16)
    ones = np.ones(batch, np.float32)
    host = Batch(x, rng.integers(0, CLASSES, batch).astype(np.int32), ones)
    config = TrainConfig()
    given = (make_scaling(1, 0, -40, 15), hyperparameters(config, 1000, np.ones(CLASSES)))
    replicated, split = shardings(batch)
    state, key = placed((init_state(network, config), jax.random.key(0)), replicated)
    step = make_train_step(network)
    parts = placed(host, split)
    compiled = step.lower(state, parts, key, *given).compile()
    found = {"parameters": size(state.params), "devices": len(replicated.device_set)}
    if len(replicated.device_set) > 1:
        return found | {"reduced_bytes": reduced(compiled.as_text())}
    times = []
    for number in range(ROUNDS + 1):
        started, wall = time.process_time(), time.perf_counter()
        state, _ = step(state, parts, jax.random.fold_in(key, number), *given)
        jax.block_until_ready(state)
        times.append((time.process_time() - started, time.perf_counter() - wall))
    cpu, walls = (statistics.median(t[i] for t in times[1:]) for i in (0, 1))
    cost = compiled.cost_analysis()
    return found | {"cpu_s": cpu, "wall_s": walls, "flops": float(cost["flops"]), "batch": batch}


def reduced(text: str) -> int:
    """Return the bytes that a compiled program sums over its devices."""
    total = 0
    for line in text.splitlines():
        if not (found := re.search(r"= (.*?) all-reduce(?:-start)?\(", line)):
            continue
        for kind, shape in re.findall(r"(\w+)\[([\d,]*)\]", found[1]):
            count = 1
            for n in filter(None, shape.split(",")):
                count *= int(n)
            total += count * BYTES[kind]
    return total


def reading() -> dict[str, Any]:
    """Measure the reading of tracks from a store of made-up features, in the page cache."""
    import numpy as np

    from kit.config import FeatureConfig
    from kit.features import FeatureStore

    config = FeatureConfig()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.create(Path(folder) / "x.zarr", config)
        shape = (64, config.n_frames, config.frontend.n_mels)
        for first in range(0, TRACKS, 64):
            ids = [f"t{i}" for i in range(first, first + 64)]
            x = rng.normal(-40, 15, shape).astype(np.float32)
            store.write(ids, ["0" * 64] * 64, x)
        ids, times = [f"t{i}" for i in range(TRACKS)], []
        for _ in range(ROUNDS + 1):
            some = rng.choice(ids, 128, replace=False).tolist()
            started = time.process_time()
            rows = store.read_stored(some)
            times.append((time.process_time() - started) / len(some))
        disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / TRACKS
    cpu = statistics.median(times[1:])
    return {"row_bytes": rows[:1].nbytes, "disk_bytes": disk, "cpu_s": cpu, "dtype": config.dtype}


def measure() -> dict[str, Any]:
    networks = {}
    for name, batch in NETWORKS.items():
        one, two = (child(name, batch, devices) for devices in (1, 2))
        networks[name] = one | {"reduced_bytes": two["reduced_bytes"]}
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    names = ("genre-kit", "jax", "jaxlib", "flax", "numpy", "tensorstore")
    return {
        "machine": {
            "cpu": model[1] if model else platform.processor(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in names},
            "date": time.strftime("%Y-%m-%d"),
        },
        "assumed": ASSUMED,
        "networks": networks,
        "reading": reading(),
    }


def child(name: str, batch: int, devices: int) -> dict[str, Any]:
    """Measure in a process of its own, whose number of devices is fixed when it starts."""
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, __file__, "--child", name, str(batch)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def origin(r: dict) -> str:
    m, a = r["machine"], r["assumed"]
    names = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    return wrapped(
        f"Measured {m['date']} on {m['cores']} cores of {m['cpu']}, Python {m['python']}, {names}; "
        f"the load was {m['load'][0]:.1f}, so times are CPU times; no accelerator was there. "
        f"**Assumed**: an accelerator computes {a['flops'] / 1e12:g}e12 operations a second; "
        f"{a['devices_a_machine']} are in a machine, joined by {a['inside_bytes_s'] / 1e9:g} GB/s; "
        f"machines are joined by {a['link_bytes_s'] / 1e9:g} GB/s (25 Gbit/s), with "
        f"{1e6 * a['hop_s']:g} µs a hop; gradients are summed in each machine, then over a tree of "
        f"machines, after the backward pass; the collection has {a['segments']:,} segments."
    )


def step(r: dict) -> str:
    rows = []
    for name, n in r["networks"].items():
        rows.append(
            [
                f"`{name}`",
                str(n["batch"]),
                f"{n['parameters']:,}",
                f"{n['cpu_s']:.2f} s",
                f"{n['flops'] / 1e9:.0f}e9",
                f"{1e3 * n['flops'] / r['assumed']['flops']:.2f} ms",
                amount(n["reduced_bytes"]),
            ]
        )
    head = ["network", "batch", "parameters", "a step, CPU time", "operations"]
    head += ["on an accelerator (assumed)", "reduced over devices"]
    d = r["reading"]
    said = wrapped(
        f"A streamed segment reads the whole row of its track: {amount(d['row_bytes'])} in memory "
        f"({d['dtype']}), {amount(d['disk_bytes'])} of noise on disk, and "
        f"{1e3 * d['cpu_s']:.2f} ms of a core, from the system's cache."
    )
    return f"{table(head, rows)}\n\n{said}"


def reduce_s(r: dict, network: dict, devices: int) -> float:
    """Return the time of an all-reduce: in each machine, then over a tree of the machines."""
    a, size = r["assumed"], network["reduced_bytes"]
    local = min(devices, a["devices_a_machine"])
    machines = -(-devices // local)
    inside = 2 * (local - 1) / local * size / a["inside_bytes_s"]
    across = 2 * (machines - 1) / machines * size / a["link_bytes_s"]
    return inside + across + 2 * math.ceil(math.log2(machines)) * a["hop_s"]


def row(r: dict, network: dict, devices: int, batch: float) -> dict[str, float]:
    """Return what one step costs at `batch` segments on each device."""
    compute = network["flops"] * batch / network["batch"] / r["assumed"]["flops"]
    reduce = reduce_s(r, network, devices)
    whole = compute + reduce
    return {
        "compute_s": compute,
        "reduce_s": reduce,
        "busy": compute / whole,
        "segments_s": batch * devices / whole,
        "steps": r["assumed"]["segments"] / (batch * devices),
    }


def weak(r: dict) -> str:
    rows = []
    for name, network in r["networks"].items():
        for devices in (1, *DEVICES):
            f = row(r, network, devices, network["batch"]) if devices > 1 else alone(r, network)
            each = r["assumed"]["devices_a_machine"]
            local = min(devices, each) * f["segments_s"] / devices
            rows.append(
                [
                    f"`{name}`",
                    f"{devices:,}",
                    f"{network['batch'] * devices:,}",
                    f"{1e3 * f['compute_s']:.2f} + {1e3 * f['reduce_s']:.2f} ms",
                    f"{100 * f['busy']:.0f}%",
                    f"{amount(local * r['reading']['disk_bytes'])}/s, "
                    f"{local * r['reading']['cpu_s']:.0f} cores",
                    f"{f['steps']:,.0f}" if f["steps"] >= 10 else f"{f['steps']:.1f}",
                ]
            )
    head = ["network", "devices", "global batch", "compute + all-reduce", "devices busy"]
    return table([*head, "a machine reads, streamed", "steps an epoch"], rows)


def alone(r: dict, network: dict) -> dict[str, float]:
    return row(r, network | {"reduced_bytes": 0}, 1, network["batch"])


def strong(r: dict) -> str:
    rows = []
    for name, network in r["networks"].items():
        one = row(r, network | {"reduced_bytes": 0}, 1, STRONG)
        for devices in DEVICES:
            f = row(r, network, devices, STRONG / devices)
            gain = f["segments_s"] / one["segments_s"]
            rows.append(
                [
                    f"`{name}`",
                    f"{devices:,}",
                    f"{STRONG / devices:.0f}",
                    f"{1e3 * f['compute_s']:.2f} + {1e3 * f['reduce_s']:.2f} ms",
                    f"{gain:.1f} times one device",
                    span(r["assumed"]["segments"] / f["segments_s"]),
                ]
            )
    head = ["network", "devices", "segments a device", "compute + all-reduce", "speed"]
    return table([*head, "an epoch"], rows)


BLOCKS = {
    "training-origin": origin,
    "training-step": step,
    "training-weak": weak,
    "training-strong": strong,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="measure, and write the results here")
    parser.add_argument("--check", action="store_true", help="fail if the page is another")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(step_of(arguments.child[0], int(arguments.child[1]))))
        return
    if arguments.json:
        arguments.json.write_text(json.dumps(measure(), indent=1) + "\n")
    result = json.loads((arguments.json or RESULTS).read_text())
    update(result, BLOCK, BLOCKS, arguments.check)


if __name__ == "__main__":
    main()

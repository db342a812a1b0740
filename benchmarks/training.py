"""Training the original network: kit, torch eager and torch.compile, in turns.

    python benchmarks/training.py [--json OUT] [--batch 64 128 1024] [--rounds 7]
    taskset --cpu-list 0 python benchmarks/training.py    # on one core

Each contender trains in a process of its own on the same made-up features: float16 rows that lie
on the device, of which each step cuts a batch of segments, widens it to float32 and scales it. The
network (convolutions of 64, 128 and 256 channels, 265,029 parameters), loss and optimiser (Adam)
are the same. kit runs `run_epoch`, as `kit train` does; torch runs a loop with the fused Adam.
Both may compute in TF32 on a GPU.

The parent lets one contender at a time do a round of steps. Given are medians over the rounds of
samples a second, by wall time and by CPU time (of interest where other jobs share the machine),
and each process's peak memory. Contenders that are not installed (extra `peers`) are left out.
"""

import argparse
import importlib.util
import itertools
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

CONTENDERS = ("kit", "torch eager", "torch.compile")
TRACKS, ROW_FRAMES, FRAMES, N_MELS, CLASSES = 300, 640, 128, 128, 5
PARAMETERS = 265_029
CHANNELS, KERNEL, DENSE, DROPOUT = (64, 128, 256), 4, 256, 0.3
GAIN, OFFSET, MEAN, DEVIATION, RATE = 1.0, 0.0, -40.0, 15.0, 1e-3
SAMPLES = {"cpu": 2048, "gpu": 262_144}
"""Segments of a round, at least; a whole number of batches."""

PEAK_FLOPS = {"A100": 1.56e14, "H100": 4.95e14, "H200": 4.95e14, "L4": 6.0e13}
"""TF32 without sparsity, by what the device's name has in it; from the makers' data sheets."""

Round = Callable[[], None]


def flops_a_sample() -> int:
    """Multiplications and additions of one segment's step, forward and backward.

    Each layer costs its forward pass three times, for its output and both gradients; the first
    one twice, since nobody needs the gradient of the features.
    """
    frames, before, total = FRAMES, N_MELS, 0
    for number, channels in enumerate(CHANNELS):
        frames -= KERNEL - 1
        total += (2 if number == 0 else 3) * 2 * frames * KERNEL * before * channels
        frames, before = frames // 2, channels
    return total + 3 * 2 * (before * DENSE + DENSE * CLASSES)


def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = (TRACKS, ROW_FRAMES, N_MELS)
    return (MEAN + DEVIATION * rng.standard_normal(shape, np.float32)).astype(np.float16)


def segments(steps: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, first frames and classes of the segments, (steps, batch) each."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, TRACKS, (steps, batch)).astype(np.int32)
    starts = rng.integers(0, ROW_FRAMES - FRAMES + 1, (steps, batch)).astype(np.int32)
    return rows, starts, (rows % CLASSES).astype(np.int32)


def steps_of(batch: int, on_cpu: bool) -> int:
    steps = -(-SAMPLES["cpu" if on_cpu else "gpu"] // batch)
    return steps if on_cpu else -(-steps // 32) * 32


def kit(batch: int) -> tuple[Round, dict[str, Any]]:
    import jax

    from kit.config import Conv1DConfig, TrainConfig
    from kit.models import build, size
    from kit.training.data import Held, Picks
    from kit.training.epoch import choose, run_epoch
    from kit.training.optimiser import hyperparameters
    from kit.training.placement import shardings
    from kit.training.scaling import make_scaling
    from kit.training.state import init_state
    from kit.training.step import make_train_step

    on_cpu = jax.default_backend() == "cpu"
    config = Conv1DConfig(CHANNELS, kernel_size=KERNEL, dense=DENSE, dropout=DROPOUT)
    network = build(config, n_mels=N_MELS, n_classes=CLASSES)
    data = features()
    path = choose(data.nbytes, 4.0, jax.default_backend())
    feed = path.feed(Held(data), FRAMES, shardings(batch)[1])
    rows, starts, y = segments(steps_of(batch, on_cpu), batch)
    picks = Picks(rows, starts, y, np.ones(y.shape, np.float32))
    train_step = make_train_step(network)
    train = TrainConfig(learning_rate=RATE)
    state = init_state(network, train)
    if size(state.params) != PARAMETERS:
        raise SystemExit(f"kit's network has {size(state.params)} parameters, not {PARAMETERS}")
    numbers = hyperparameters(train, 1_000_000, np.ones(CLASSES))
    given = (make_scaling(GAIN, OFFSET, MEAN, DEVIATION), numbers)
    key, step = jax.random.key(0), 0

    def run() -> None:
        nonlocal state, step
        for done in run_epoch(feed, train_step, state, picks, key, step, *given):
            state, step, _ = done
        jax.block_until_ready(state)

    return run, {"device": jax.devices()[0].device_kind, "on_cpu": on_cpu, "path": path.reason}


def torch(batch: int, compiled: bool) -> tuple[Round, dict[str, Any]]:
    import torch
    from torch import nn

    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = (N_MELS, *CHANNELS)
            self.convs = nn.ModuleList(
                nn.Conv1d(before, after, KERNEL) for before, after in itertools.pairwise(widths)
            )
            self.norms = nn.ModuleList(nn.BatchNorm1d(width, eps=1e-3) for width in CHANNELS)
            self.pool, self.dropout = nn.MaxPool1d(2), nn.Dropout(DROPOUT)
            self.dense, self.head = nn.Linear(CHANNELS[-1], DENSE), nn.Linear(DENSE, CLASSES)

        def forward(self, x: Any) -> Any:
            for conv, norm in zip(self.convs, self.norms, strict=True):
                x = self.pool(norm(conv(x).relu()))
            return self.head(self.dropout(self.dense(self.dropout(x.amax(2))).relu()))

    torch.manual_seed(0)
    torch.set_num_threads(cores())
    torch.set_float32_matmul_precision("high")
    on_cpu = not torch.cuda.is_available()
    device = "cpu" if on_cpu else "cuda"
    model = Conv1D().to(device)
    count = sum(p.numel() for p in model.parameters())
    if count != PARAMETERS:
        raise SystemExit(f"torch's network has {count} parameters, not {PARAMETERS}")
    adam = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    data = torch.from_numpy(features()).to(device)
    order = [torch.from_numpy(a).to(device) for a in segments(steps_of(batch, on_cpu), batch)]
    within = torch.arange(FRAMES, device=device)

    def loss_of(rows: Any, starts: Any, y: Any) -> Any:
        x = data[rows[:, None], starts[:, None] + within].float()
        x = (x * GAIN + OFFSET - MEAN) / DEVIATION
        return nn.functional.cross_entropy(model(x.transpose(1, 2)), y.long())

    loss_and_graph = torch.compile(loss_of) if compiled else loss_of
    total = torch.zeros((), device=device)

    def run() -> None:
        for rows, starts, y in zip(*order, strict=True):
            adam.zero_grad()
            loss = loss_and_graph(rows, starts, y)
            loss.backward()
            adam.step()
            total.add_(loss.detach())
        total.item()

    name = platform.machine() if on_cpu else torch.cuda.get_device_name()
    return run, {"device": name, "on_cpu": on_cpu}


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve(contender: str, batch: int) -> None:
    """Warm up, then do a round for each line on stdin; one line of JSON after each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # compilers print
    if contender == "kit":
        run, facts = kit(batch)
    else:
        run, facts = torch(batch, compiled=contender == "torch.compile")
    steps = steps_of(batch, facts["on_cpu"])
    started = time.perf_counter()
    run()
    print(json.dumps({**facts, "first_round_s": time.perf_counter() - started}), file=answers)
    answers.flush()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        # Unlike getrusage's, the kernel's own mark begins anew with each program.
        status = Path("/proc/self/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # pyright: ignore
        row = {"samples_s": steps * batch / wall, "samples_cpu_s": steps * batch / cpu}
        print(json.dumps({**row, "peak_mib": peak}), file=answers)
        answers.flush()


def measure(batch: int, contenders: list[str], rounds: int) -> dict[str, Any]:
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    children: dict[str, subprocess.Popen[str]] = {}
    found: dict[str, dict[str, Any]] = {}
    try:
        for name in contenders:
            command = [sys.executable, __file__, "--serve", name, "--batch", str(batch)]
            pipe = subprocess.PIPE
            children[name] = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, text=True, env=environment
            )
            found[name] = {**answer(name, children[name]), "rounds": []}
        for number in range(rounds):
            turn = number % len(contenders)
            for name in contenders[turn:] + contenders[:turn]:
                children[name].stdin.write("\n")  # pyright: ignore[reportOptionalMemberAccess]
                children[name].stdin.flush()  # pyright: ignore[reportOptionalMemberAccess]
                found[name]["rounds"].append(answer(name, children[name]))
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    return summary(found)


def answer(name: str, child: subprocess.Popen[str]) -> dict[str, Any]:
    line = child.stdout.readline()  # pyright: ignore[reportOptionalMemberAccess]
    if not line:
        raise SystemExit(f"{name} ended with code {child.wait()}; its messages are above")
    return json.loads(line)


def summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    for row in found.values():
        for name in ("samples_s", "samples_cpu_s", "peak_mib"):
            row[name] = statistics.median(each[name] for each in row["rounds"])
        names = [part for part in PEAK_FLOPS if part in row["device"]]
        if names:
            row["share_of_peak"] = row["samples_s"] * flops_a_sample() / PEAK_FLOPS[names[0]]
    out: dict[str, Any] = {"contenders": found}
    for by in ("samples_s", "samples_cpu_s"):
        peers = [name for name in found if name != "kit"]
        if peers and "kit" in found:
            best = max(peers, key=lambda name: found[name][by])
            # Of the same round: a busy machine slows neighbours in time alike.
            ratios = [
                ours[by] / theirs[by]
                for ours, theirs in zip(found["kit"]["rounds"], found[best]["rounds"], strict=True)
            ]
            out[f"ratio_by_{by}"] = {"to": best, "median": statistics.median(ratios)}
    return out


def machine() -> dict[str, Any]:
    versions = {}
    for name in ("genre-kit", "jax", "jaxlib", "flax", "numpy", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", facts.read_text()) if facts.exists() else None
    return {
        "cpu": found[1] if found else platform.processor() or platform.machine(),
        "cores": cores(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": versions,
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 128, 1024])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--note", default="", help="a sentence that the results keep")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, *given.batch)
        return
    contenders: list[str] = list(given.only)
    if importlib.util.find_spec("torch") is None:
        contenders = [name for name in contenders if name == "kit"]
        print("torch is not installed, so kit runs alone; install the extra `peers`")
    results: dict[str, Any] = {"machine": machine(), "note": given.note, "batches": {}}
    for batch in given.batch:
        row = measure(batch, contenders, given.rounds)
        results["batches"][str(batch)] = row
        for name, facts in row["contenders"].items():
            share = f"  {facts['share_of_peak']:.1%} of peak" if "share_of_peak" in facts else ""
            print(
                f"batch {batch:5d}  {name:14s}{facts['samples_s']:10.0f} samples/s"
                f"{facts['samples_cpu_s']:10.0f} a CPU second{facts['peak_mib']:8.0f} MiB{share}"
            )
        for by in ("samples_s", "samples_cpu_s"):
            if ratio := row.get(f"ratio_by_{by}"):
                print(f"batch {batch:5d}  kit / {ratio['to']}, {by}: {ratio['median']:.2f}")
        sys.stdout.flush()
        if given.json:
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

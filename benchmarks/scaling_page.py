"""The figures of docs/scaling.md: a cost model of the constants in benchmarks/results/scaling.json.

    python benchmarks/scaling_page.py [--check]

The prose is the page's own; the blocks between `<!-- NAME -->` and `<!-- end -->` are made here.
The model adds CPU seconds and takes the slowest stage; nothing waits for anything else, so that it
gives the highest rate that a machine can reach.
"""

import argparse
import json
import math
import re
import sys
import textwrap
from pathlib import Path

from dsp_page import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scaling.json"
PAGE = ROOT / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MANY = 10**8
# kit's own: tracks of a shard, shards in memory, files of a task, shards of a block at most.
SHARD_TRACKS, MOST_OPEN, GROUP, TOGETHER = 64, 3, 4, 8
CORES = 16  # of a machine of a cluster
CLIP_BYTES, ROW_BYTES = 2_646_000, 655_360  # 30 s at 22,050 Hz; 1280 frames of 128 bands; float32

# Assumed, since none of it could be measured here.
ACCELERATOR_S = 1e-3  # of an accelerator, a clip
FILE_WAIT_S = 0.01  # until the bytes of a file arrive
UPLOAD_BYTES_S = 300e6  # of a machine to object storage
SLOW_SHARE, SLOW_SPEED = 0.01, 1 / 3  # machines of a cluster that are slow, and how slow
FAILURE_S, RESTART_S = 24 * 3600.0, 120.0  # between two failures of a machine; until it is back
STRAGGLERS, STRAGGLER_S = 1e-3, 20.0  # files that take long, and how long
# AWS, "Best practices design patterns: optimizing Amazon S3 performance"; ListObjectsV2.
GETS_A_PREFIX, KEYS_A_PAGE = 5500, 1000
FLOPS = 2e13  # operations a second of an accelerator in training
INSIDE_BYTES_S, LINK_BYTES_S, HOP_S = 1e11, 3.1e9, 2e-5  # in a machine; between machines; a hop
DEVICES_A_MACHINE, SEGMENTS, STRONG = 8, 200_000, 1024


# The cost model.


def cpu_s(r: dict, *, accelerator: bool = False) -> float:
    """Return the CPU seconds of a track."""
    s = r["service"]
    mel = s["gather_s"] if accelerator else s["device_s"]
    return s["decode_s"] + mel + s["shard_cpu_s"] / SHARD_TRACKS


def machine_rate(
    r: dict, cores: int, *, accelerator: bool = False, quick: bool = False
) -> tuple[float, str]:
    """Return the tracks a second of one machine, and the stage that limits them."""
    s = r["service"]
    sync_s = 0.0 if quick else s["shard_sync_s"] / SHARD_TRACKS
    limits = {
        "cores": cores * s["speed_all_busy"] / cpu_s(r, accelerator=accelerator),
        "writer": 1 / (sync_s + s["shard_cpu_s"] / SHARD_TRACKS / cores),
    }
    if accelerator:
        limits["accelerator"] = 1 / ACCELERATOR_S
    stage = min(limits, key=lambda name: limits[name])
    return limits[stage], stage


def run_s(r: dict, workers: int) -> float:
    """Return the seconds of a run of `real` on the machine that was measured."""
    s, cores = r["service"], r["machine"]["cores"]
    a_track = max(s["decode_s"] / workers, cpu_s(r) / cores) / s["speed_all_busy"]
    return r["real"]["tracks"] * a_track


def with_stragglers(r: dict, cores: int) -> float:
    """Return the tracks a second of a machine where some files take long.

    A slow file keeps a decoder, and its shard in memory. The machine stands still once all shards
    in memory but the one being written wait for one.
    """
    busy = cores * r["service"]["speed_all_busy"] / (cpu_s(r) + STRAGGLERS * STRAGGLER_S)
    waits = 1 - (1 - STRAGGLERS) ** SHARD_TRACKS
    return min(busy, (MOST_OPEN - 1) * SHARD_TRACKS / (waits * STRAGGLER_S))


def shard_s(
    r: dict, rows: int = SHARD_TRACKS, wait_s: float = FILE_WAIT_S, *, write: bool = True
) -> float:
    """Return the seconds that an actor of a cluster takes for a shard.

    Tasks of a few files decode it on the cores of one machine, then it is computed and written.
    """
    s = r["service"]
    rounds = math.ceil(math.ceil(rows / GROUP) / CORES)
    decode = rounds * GROUP * (s["decode_s"] / s["speed_all_busy"] + wait_s)
    spent = s["device_s"] + write * s["shard_cpu_s"] / SHARD_TRACKS
    upload = write * rows * r["size"]["float32"] / UPLOAD_BYTES_S
    return decode + rows * spent / CORES / s["speed_all_busy"] + upload


def cluster_s(
    r: dict, machines: int, tracks: int, block: int, *, trouble: bool = True, driver: bool = True
) -> float:
    """Return the seconds of a cluster for a job.

    Args:
        r: the measurements.
        machines: one actor each.
        tracks: of the job.
        block: shards that the driver deals out at once.
        trouble: some machines are slow, and each fails now and then.
        driver: Ray's driver takes its CPU seconds for each block.
    """
    shards, one = math.ceil(tracks / SHARD_TRACKS), shard_s(r)
    slow = math.ceil(SLOW_SHARE * machines) if trouble else 0
    capacity = machines - slow * (1 - SLOW_SPEED)
    if trouble:
        capacity *= 1 - (RESTART_S + one / 2) / FAILURE_S
    dealt = math.ceil(shards / block) * r["ray"]["deal_s"] if driver else 0.0
    # The last block of the slowest machine.
    tail = block * one / SLOW_SPEED if trouble else 0.0
    return max(shards * one / capacity, dealt) + tail


def own_block(machines: int, tracks: int) -> int:
    """Return the shards that kit deals out at once; see `engine_ray.shards_a_block`."""
    return max(1, min(TOGETHER, math.ceil(tracks / SHARD_TRACKS) // (32 * machines)))


def cluster_rate(r: dict, machines: int, *, driver: bool = True) -> float:
    return MANY / cluster_s(r, machines, MANY, own_block(machines, MANY), driver=driver)


def step_s(network: dict, devices: int, batch: float) -> tuple[float, float]:
    """Return the seconds of computing and of the all-reduce, `batch` segments on each device.

    Gradients are summed in each machine, then over a tree of the machines.
    """
    compute = network["flops"] * batch / network["batch"] / FLOPS
    local = min(devices, DEVICES_A_MACHINE)
    machines = -(-devices // local)
    inside = 2 * (local - 1) / local / INSIDE_BYTES_S
    across = 2 * (machines - 1) / machines / LINK_BYTES_S
    hops = 2 * math.ceil(math.log2(machines)) * HOP_S
    return compute, (inside + across) * network["reduced_bytes"] + hops


# The page.


def amount(count: float) -> str:
    """Bytes, in decimal units and three digits."""
    power = min(5, max(0, int(math.log10(max(count, 1)) // 3)))
    return f"{count / 1000**power:.3g} {['B', 'kB', 'MB', 'GB', 'TB', 'PB'][power]}"


def span(seconds: float) -> str:
    """A time, in the unit that fits it."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def origin(r: dict) -> str:
    m, s = r["machine"], r["service"]
    names = ", ".join(f"{k} {v}" for k, v in m["versions"].items() if k != "libsndfile")
    return wrapped(
        f"Measured {m['date']} on {m['cores']} cores of {m['cpu']}, Python {m['python']}, {names}; "
        f"no accelerator was available. {s['files']} tracks of 30 s, MP3, {amount(s['mp3_bytes'])} "
        "each."
    )


def moves(r: dict) -> str:
    (two, _), (many, stage) = machine_rate(r, 2), machine_rate(r, CORES)
    big, end = machine_rate(r, 64)
    limit = SHARD_TRACKS * own_block(1000, MANY) / r["ray"]["deal_s"]
    alone = cluster_rate(r, 1000, driver=False)
    busy = SHARD_TRACKS * cpu_s(r) / (CORES * shard_s(r))
    items = (
        f"**1 machine**: the cores. Two give {two:.0f} tracks/s, and decoding is "
        f"{100 * r['service']['decode_s'] / cpu_s(r):.0f}% of the work; {CORES} are limited by the "
        f"{stage} too ({many:.0f}), 64 by the {end} ({big:.0f}). An accelerator saves the CPU "
        "its mel spectrograms and no more: it waits for decoders.",
        f"**8 machines** of {CORES} cores: the actor of each machine "
        f"({SHARD_TRACKS / shard_s(r):.0f} tracks/s, cores {100 * busy:.0f}% busy), which decodes "
        f"nothing while it writes. {cluster_rate(r, 8):,.0f} tracks/s in all; 1e8 tracks take "
        f"{span(MANY / cluster_rate(r, 8))}.",
        f"**1,000 machines**: Ray's one driver, with at most {limit:,.0f} tracks/s at "
        f"{1e3 * r['ray']['deal_s']:.1f} ms a block: 1e8 tracks take "
        f"{span(MANY / cluster_rate(r, 1000))} instead of {span(MANY / alone)}. With one driver "
        "for each of ten parts of the catalogue, the limit is object storage: "
        f"{amount(alone * r['service']['mp3_bytes'])}/s read and "
        f"{amount(alone * r['size']['float32'])}/s written.",
    )
    return "\n".join(wrapped(f"- {item}", "  ") for item in items)


def cost(r: dict) -> str:
    s, hours = r["service"], 1e6 / 3600
    rows = [
        ["decode, down-mix, resample, SHA-256", *[f"{s['decode_s'] * hours:.1f}"] * 2],
        [
            "mel and dB; or gathering a batch",
            f"{s['device_s'] * hours:.1f}",
            f"{s['gather_s'] * hours:.2f}",
        ],
        [
            "compress, checksum, write",
            *[f"{s['shard_cpu_s'] / SHARD_TRACKS * hours:.1f}"] * 2,
        ],
        [
            "**CPU core hours**",
            f"**{cpu_s(r) * hours:.1f}**",
            f"**{cpu_s(r, accelerator=True) * hours:.1f}**",
        ],
        ["accelerator hours (assumed: 1 ms a clip)", "0", f"{ACCELERATOR_S * hours:.2f}"],
    ]
    moved = {"MP3 read": s["mp3_bytes"], "to the accelerator, float32": CLIP_BYTES}
    moved |= {"from it": ROW_BYTES, **{f"stored, {k}": v for k, v in r["size"].items()}}
    bytes_ = [[name, amount(count), amount(1e6 * count)] for name, count in moved.items()]
    head = ["a million tracks", "mel on the CPU", "mel on an accelerator"]
    return f"{table(head, rows)}\n\n{table(['bytes', 'a track', 'a million tracks'], bytes_)}"


def check(r: dict) -> str:
    rows = []
    for n in ("1", "2"):
        real, model = r["real"][n], run_s(r, int(n))
        rows.append([n, f"{real:.2f} s", f"{model:.2f} s", f"{100 * (model / real - 1):+.1f}%"])
    head = [f"workers, {r['real']['tracks']} tracks", "measured", "model", "error"]
    return table(head, rows)


def workers(r: dict) -> str:
    rows = []
    for n in (1, 2, 4, 8, 16, 32, 64):
        kinds = [{}, {"quick": True}, {"accelerator": True}, {"accelerator": True, "quick": True}]
        found = [machine_rate(r, n, **kind) for kind in kinds]
        rows.append([str(n), *(f"{rate:.0f}, {stage}" for rate, stage in found)])
    head = ["cores and workers", "CPU alone", "CPU alone, quick disk"]
    return table([*head, "accelerator", "accelerator, quick disk"], rows)


def stragglers(r: dict) -> str:
    rows = [
        [str(n), f"{machine_rate(r, n)[0]:.0f}", f"{with_stragglers(r, n):.0f}"] for n in (2, 16)
    ]
    return table(["cores", "tracks/s", "one file in 1,000 takes 20 s"], rows)


def actors(r: dict) -> str:
    kinds = {f"{n} tracks a shard": (n, FILE_WAIT_S, True) for n in (16, 64, 256, 1024)}
    for wait_s in (0.0, 0.01, 0.1):
        name = f"files that take {1e3 * wait_s:g} ms to arrive"
        kinds[name] = (SHARD_TRACKS, wait_s, True)
    kinds["nothing to write"] = (SHARD_TRACKS, FILE_WAIT_S, False)
    found = []
    for name, (n, wait_s, write) in kinds.items():
        seconds = shard_s(r, n, wait_s, write=write)
        share = f"{100 * n * cpu_s(r) / (CORES * seconds):.0f}%"
        found.append([name, f"{seconds:.2f} s", f"{n / seconds:.0f}", share])
    return table([f"one actor, {CORES} cores", "a shard", "tracks/s", "cores busy"], found)


def clusters(r: dict) -> str:
    rows = []
    for machines, tracks, block in (
        (8, MANY, 8),
        (1000, 10**6, 1),
        (1000, 10**6, 8),
        (1000, MANY, 1),
        (1000, MANY, 8),
    ):
        ideal, trouble, all_of_it = (
            cluster_s(r, machines, tracks, block, trouble=t, driver=d)
            for t, d in ((False, False), (True, False), (True, True))
        )
        own = " (kit)" if block == own_block(machines, tracks) else ""
        rows.append([f"{machines:,}, {tracks:.0e}, {block}{own}".replace("e+0", "e")])
        rows[-1] += [span(ideal), span(trouble), span(all_of_it), f"{tracks / all_of_it:,.0f}"]
    head = ["machines, tracks, shards a block", "all alike", "slow machines, failures"]
    return table([*head, "and the driver", "tracks/s"], rows)


def storage(r: dict) -> str:
    rates = {"1": SHARD_TRACKS / shard_s(r), "8": cluster_rate(r, 8)}
    rates["1,000, a driver for each tenth"] = cluster_rate(r, 1000, driver=False)
    rates["1,000, one driver"] = cluster_rate(r, 1000)
    bytes_ = (r["service"]["mp3_bytes"], r["size"]["float32"], r["size"]["int8"])
    rows = [
        [
            name,
            f"{rate:,.0f}",
            *(f"{amount(rate * count)}/s" for count in bytes_),
            f"{2 * rate / SHARD_TRACKS:,.0f}",
            str(math.ceil(rate / GETS_A_PREFIX)),
        ]
        for name, rate in rates.items()
    ]
    head = ["machines", "tracks and GETs a s", "read", "written, float32", "written, int8"]
    return table([*head, "PUTs a s", "prefixes for the MP3s"], rows)


def layout(r: dict) -> str:
    count, part = math.ceil(MANY / SHARD_TRACKS), r["table"]["part_bytes"]
    pages = math.ceil(count / KEYS_A_PAGE)
    facts = {
        "shard objects, and as many index objects": f"{count:,}",
        **{f"a shard, {k}": amount(v * SHARD_TRACKS) for k, v in r["size"].items()},
        "an index object": amount(part),
        "all shards, float32": amount(MANY * r["size"]["float32"]),
        "all of the index": amount(count * part),
        "to list the index, 0.1 s a page, one after another": span(0.1 * pages),
        f"to read it at {GETS_A_PREFIX:,} GETs a s": span(count / GETS_A_PREFIX),
    }
    return table(["1e8 tracks", ""], [list(fact) for fact in facts.items()])


def limits(r: dict) -> str:
    t, rows = r["table"], []
    for name, stage, memory in (
        ("`catalogue.load`: CSV to a table", "load_s", "table_bytes"),
        ("`make_plan`, nothing done yet", "plan_s", "plan_bytes"),
        ("`make_plan`, all done", "plan_again_s", ""),
        ("`FeatureStore.open`, from a disk's cache", "open_s", "entry_bytes"),
    ):
        a_row = t[stage] / t["rows"]
        held = [f"{t[memory]:.0f} B", amount(t[memory] * MANY)] if memory else ["", ""]
        rows.append([name, f"{1e6 * a_row:.0f} µs", span(a_row * MANY), *held])
    head = ["in one process", "a row", "1e8 rows", "memory a row", "memory, 1e8 rows"]
    return f"{table(head, rows)}\n\nMeasured with {t['rows']:,} rows, and multiplied."


def training_step(r: dict) -> str:
    rows = []
    for name, n in r["training"]["networks"].items():
        step = f"{1e3 * n['flops'] / FLOPS:.2f} ms"
        rows.append([f"`{name}`", f"{n['parameters']:,}", f"{n['cpu_s']:.2f} s"])
        rows[-1] += [f"{n['flops'] / 1e9:.0f}e9", step, amount(n["reduced_bytes"])]
    head = ["network, 128 segments", "parameters", "a step, CPU time", "operations"]
    d = r["training"]["reading"]
    said = wrapped(
        f"A streamed segment reads the whole row of its track: {amount(d['row_bytes'])} in memory "
        f"(float32), {amount(d['disk_bytes'])} of noise on disk, and {1e3 * d['cpu_s']:.2f} ms of "
        "a core, from the system's cache."
    )
    head += ["on an accelerator (assumed)", "reduced over devices"]
    return f"{table(head, rows)}\n\n{said}"


def training(r: dict) -> str:
    rows, d = [], r["training"]["reading"]
    for name, n in r["training"]["networks"].items():
        alone, _ = step_s(n, 1, STRONG)
        for devices in (1, 8, 64, 1000):
            compute, reduce = step_s(n, devices, n["batch"])
            a_machine = min(devices, DEVICES_A_MACHINE) * n["batch"] / (compute + reduce)
            rows.append([f"`{name}`, {devices:,}", f"{1e3 * compute:.2f} + {1e3 * reduce:.2f} ms"])
            rows[-1] += [
                f"{100 * compute / (compute + reduce):.0f}%",
                f"{amount(a_machine * d['disk_bytes'])}/s, {a_machine * d['cpu_s']:.0f} cores",
                f"{SEGMENTS / (n['batch'] * devices):,.1f}",
                f"{alone / sum(step_s(n, devices, STRONG / devices)):.1f} times one device",
            ]
    head = ["network, devices", "compute + all-reduce", "devices busy", "a machine reads, streamed"]
    return table([*head, "steps an epoch", f"speed with {STRONG:,} segments in all"], rows)


_MAKERS = (origin, moves, cost, check, workers, stragglers, actors, clusters, storage, layout)
BLOCKS = {f.__name__.replace("_", "-"): f for f in (*_MAKERS, limits, training_step, training)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the page differs")
    result, before = json.loads(RESULTS.read_text()), PAGE.read_text()
    names = [name for _, name, _ in BLOCK.findall(before)]
    if sorted(names) != sorted(BLOCKS):
        raise SystemExit(f"{PAGE} has the blocks {names}; it needs each of {list(BLOCKS)} once")
    text = BLOCK.sub(lambda m: f"{m[1]}\n{BLOCKS[m[2]](result)}\n\n{m[3]}", before)
    if parser.parse_args().check:
        sys.exit(before != text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()

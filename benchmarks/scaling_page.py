"""The figures of docs/scaling.md from benchmarks/results/scaling.json: none is written by hand.

    python benchmarks/scaling_page.py [--check]

The prose is the page's own; what lies between `<!-- NAME -->` and `<!-- end -->` is made here.
"""

import argparse
import json
import math
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from dsp_page import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scaling.json"
PAGE = ROOT / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
MANY = 10**8
CORES = "cores_a_machine"


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


def wrapped(text: str, *, item: bool = False) -> str:
    indent = "  " if item else ""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def origin(r: dict) -> str:
    m, inputs = r["machine"], r["inputs"]
    names = ", ".join(f"{k} {v}" for k, v in m["versions"].items() if k != "libsndfile")
    return wrapped(
        f"Measured {m['date']} on {m['cores']} cores of {m['cpu']}, Python {m['python']}, {names}; "
        f"no accelerator was there. {r['service']['files']} tracks of {inputs['clip_s']:g} s, "
        f"MP3, {amount(r['service']['mp3_bytes'])} each; {times(inputs['rounds'])}."
    )


def times(rounds: int) -> str:
    return f"medians of {rounds} rounds" if rounds > 1 else "one round"


def checked(r: dict) -> str:
    rows = []
    for count, found in r["check"].items():
        real = r["real"][count]
        rows.append(
            [
                count,
                f"{real['median_s']:.2f} s",
                f"{found['seconds']:.2f} s",
                f"{100 * found['error']:+.1f}%",
                f"{100 * found['cpu_error']:+.1f}%",
                f"{real['cores_elsewhere']:.2f}",
                f"{100 * found['error_less_elsewhere']:+.1f}%",
            ]
        )
    head = ["workers", "real", "simulated", "error", "error of CPU seconds"]
    head += ["cores that other programs took", "error, those left out"]
    passed = all(found["passed"] for found in r["check"].values())
    verdict = (
        "Both are within 15%."
        if passed
        else "**Not within 15%**: with other programs at work this says nothing; measure again on "
        "a machine that is idle."
    )
    said = wrapped(f"{r['inputs']['tracks']} tracks a run. {verdict}")
    return f"{table(head, rows)}\n\n{said}"


def cost(r: dict) -> str:
    c, assumed, size = r["cost_of_a_million"], r["assumed"], r["size"]
    on_cpu = c["decode_h"] + c["mel_h"] + c["loop_h"] + c["write_h"]
    with_it = c["decode_h"] + c["gather_h"] + c["loop_h"] + c["write_h"]
    rows = [
        ["decode, down-mix, resample, SHA-256", f"{c['decode_h']:.1f}", f"{c['decode_h']:.1f}"],
        ["mel and dB; or to gather a batch", f"{c['mel_h']:.1f}", f"{c['gather_h']:.2f}"],
        ["copy into shards", f"{c['loop_h']:.2f}", f"{c['loop_h']:.2f}"],
        ["compress, checksum, write", f"{c['write_h']:.1f}", f"{c['write_h']:.1f}"],
        ["**CPU core hours**", f"**{on_cpu:.1f}**", f"**{with_it:.1f}**"],
        ["accelerator hours (assumed)", "0", f"{c['accelerator_h']:.2f}"],
    ]
    hours = table(["a million tracks", "mel on the CPU", "mel on an accelerator"], rows)
    moved = [
        ["MP3 read", amount(c["read_bytes"] / 1e6), amount(c["read_bytes"])],
        ["to the accelerator, float32", *both(c["to_device_bytes"])],
        ["from it", *both(c["from_device_bytes"])],
        *([f"stored, {name}", amount(size[name]), amount(size[name] * 1e6)] for name in size),
    ]
    bytes_ = table(["bytes", "a track", "a million tracks"], moved)
    start = r["start"]
    text = wrapped(
        f"The accelerator's {1e3 * assumed['accelerator_s_a_clip']:g} ms a clip is an assumption. "
        f"A process takes {start['import_s']:.1f} s to import and {start['first_clip_s']:.1f} s "
        "for its first clip, compilation included."
    )
    return f"{hours}\n\n{bytes_}\n\n{text}"


def both(million: float) -> list[str]:
    return [amount(million / 1e6), amount(million)]


def wire(r: dict) -> str:
    rows = []
    for kind, found in r["wire"].items():
        for part in ("all", "below -60 dB", "above -40 dB"):
            p = found[part]
            share, largest = f"{100 * p['share']:.0f}%", f"{p['max_db']:.4f} dB"
            rows.append([f"{found['tracks']} {kind}, {part}", share, f"{p['p999_db']:.4f} dB"])
            rows[-1].append(largest)
    return table(["tracks, levels", "share of all levels", "99.9% are within", "largest"], rows)


def workers(r: dict) -> str:
    rows = []
    for row in r["what_if"]["workers"]:
        cells = [str(row["workers"])]
        for kind in ("cpu", "accelerator"):
            for name in (kind, f"{kind}, disk never waits"):
                found = row[name]
                cells.append(f"{found['tracks_a_s']:.0f}, {found['bottleneck']}")
        rows.append(cells)
    head = ["cores and workers", "CPU alone", "CPU alone, quick disk"]
    head += ["accelerator", "accelerator, quick disk"]
    return table(head, rows)


def buffers(r: dict) -> str:
    rows = [
        [
            f"{row['buffers']}{' (kit)' if row['kits_own'] else ''}",
            f"{row['mib']:.0f} MiB",
            f"{row['measured']:.0f}",
            f"{row['log_normal']:.0f}",
        ]
        for row in r["what_if"]["buffers"]
    ]
    head = ["buffers", "memory", "tracks/s, measured files", "tracks/s, log-normal files"]
    return table(head, rows)


def shards(r: dict) -> str:
    names = ["measured", "stragglers", "one hangs"]
    rows = []
    for row in r["what_if"]["open"]:
        own = " (kit)" if row["kits_own"] else ""
        rows.append([f"{row['cores']}, {row['most_open']}{own}", *(f"{row[n]:.0f}" for n in names)])
    return table(["cores, shards in memory", *names], rows)


def actors(r: dict) -> str:
    c = r["what_if"]["cluster"]
    given = {
        **{f"{rows} tracks a shard": facts for rows, facts in c["shards"].items()},
        **{f"files that take {1e3 * float(w):g} ms to come": f for w, f in c["by_wait"].items()},
        "nothing to write": c["without_writing"],
    }
    rows = [
        [name, f"{f['seconds']:.2f} s", f"{f['tracks_a_s']:.0f}", f"{100 * f['cores_busy']:.0f}%"]
        for name, f in given.items()
    ]
    head = [f"one actor, {r['assumed'][CORES]} cores", "a shard", "tracks/s", "cores busy"]
    return table(head, rows)


def clusters(r: dict) -> str:
    rows = [
        [
            f"{row['machines']:,}, {row['tracks']:.0e}, {row['block']}, {row['case']}".replace(
                "e+0", "e"
            ),
            span(row["seconds"]),
            f"{100 * row['efficiency']:.0f}%",
            f"{row['tracks_a_s']:,.0f}",
            str(row["failures"]),
        ]
        for row in r["what_if"]["cluster"]["runs"]
        # On eight machines a million tracks take a hundredth of the time, and no more is to tell.
        if (row["machines"], row["tracks"]) != (8, 10**6)
    ]
    head = ["machines, tracks, shards a block, case", "time", "of the ideal", "tracks/s"]
    return table([*head, "failures"], rows)


def found_run(r: dict, machines: int, case: str) -> dict:
    return next(
        row
        for row in r["what_if"]["cluster"]["runs"]
        if (row["machines"], row["tracks"], row["case"]) == (machines, MANY, case)
        and row["kits_own"]
    )


def storage(r: dict) -> str:
    """What object storage has to bear, by how many machines there are."""
    size, rows = r["size"], []
    one = r["what_if"]["cluster"]["shards"][str(r["inputs"]["shard_tracks"])]["tracks_a_s"]
    many = {
        "1": one,
        "8": found_run(r, 8, "all of it")["tracks_a_s"],
        "1,000": found_run(r, 1000, "all of it")["tracks_a_s"],
        "1,000, one driver": found_run(r, 1000, "and the driver")["tracks_a_s"],
    }
    for name, rate in many.items():
        puts = 2 * rate / r["inputs"]["shard_tracks"]
        gets = max(1, math.ceil(rate / r["assumed"]["gets_a_s_a_prefix"]))
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{amount(rate * r['service']['mp3_bytes'])}/s",
                f"{amount(rate * size['float32'])}/s",
                f"{amount(rate * size['int8'])}/s",
                f"{puts:,.0f}",
                str(gets),
            ]
        )
    head = ["machines", "tracks and GETs a s", "read", "written, float32", "written, int8"]
    return table([*head, "PUTs a s", "prefixes for the MP3s"], rows)


def layout(r: dict) -> str:
    rows, assumed, t = r["inputs"]["shard_tracks"], r["assumed"], r["table"]
    count = math.ceil(MANY / rows)
    pages = math.ceil(count / assumed["keys_a_page"])
    facts = [
        ["shard objects", f"{count:,}"],
        ["index objects", f"{count:,}"],
        *([f"a shard, {k}", amount(v * rows)] for k, v in r["size"].items()),
        ["an index object", amount(t["part_bytes"])],
        ["all shards, float32", amount(MANY * r["size"]["float32"])],
        ["all of the index", amount(count * t["part_bytes"])],
        ["pages to list either", f"{pages:,}"],
        [
            "to list the index, 0.1 s a page, one after another",
            span(0.1 * pages),
        ],
        [
            f"to read it at {assumed['gets_a_s_a_prefix']:,} GETs a s",
            span(count / assumed["gets_a_s_a_prefix"]),
        ],
    ]
    return table([f"{MANY:.0e} tracks".replace("e+0", "e"), ""], facts)


def limits(r: dict) -> str:
    t, ray = r["table"], r["ray"]
    count = math.ceil(MANY / r["inputs"]["shard_tracks"])
    rows = []
    for name, seconds, bytes_ in (
        ("`catalogue.load`: CSV to a table", t["load_s"], t["table_bytes"]),
        ("`make_plan`, nothing done yet", t["plan_s"], t["plan_bytes"]),
        ("`make_plan`, all done", t["plan_again_s"], 0.0),
        ("`FeatureStore.open`, from a disk's cache", t["open_s"], t["entry_bytes"]),
    ):
        a_row = seconds / t["rows"]
        memory = [f"{bytes_:.0f} B", amount(bytes_ * MANY)] if bytes_ else ["", ""]
        rows.append([name, f"{1e6 * a_row:.0f} µs", span(a_row * MANY), *memory])
    block = r["inputs"]["shards_a_block"]
    deal = [
        f"Ray's driver, a block of {block} shards of nothing",
        f"{1e3 * ray['deal_s']:.1f} ms a block",
    ]
    rows.append([*deal, span(ray["deal_s"] * count / block), "", ""])
    head = ["in one process", "a row", "1e8 rows", "memory a row", "memory, 1e8 rows"]
    return f"{table(head, rows)}\n\nMeasured with {t['rows']:,} rows, and multiplied."


def moves(r: dict) -> str:
    """Where the bottleneck is, in words."""
    by = {row["workers"]: row for row in r["what_if"]["workers"]}
    cores = r["assumed"][CORES]
    two, one = by[2], by[cores]
    actor = r["what_if"]["cluster"]["shards"][str(r["inputs"]["shard_tracks"])]
    alone, driven = found_run(r, 1000, "all of it"), found_run(r, 1000, "and the driver")
    few = found_run(r, 8, "and the driver")
    limit = r["inputs"]["shard_tracks"] * r["inputs"]["shards_a_block"] / r["ray"]["deal_s"]
    quick = "accelerator, disk never waits"
    fed = [row for row in r["what_if"]["workers"] if row[quick]["bottleneck"] == "device"]
    gather = (
        f" From {fed[0]['workers']} cores on, the two threads that put its batches together "
        f"({fed[-1][quick]['tracks_a_s']:.0f} tracks/s at most)."
        if fed
        else ""
    )
    items = [
        f"- **1 machine**: of 2 cores, the {two['cpu']['bottleneck']} "
        f"({two['cpu']['tracks_a_s']:.0f} tracks/s; decoding is {100 * decode_share(r):.0f}% of "
        f"the work). Of {cores} cores and this disk, the {one['cpu']['bottleneck']} "
        f"({one['cpu']['tracks_a_s']:.0f}); with a disk that never waits, the "
        f"{one['cpu, disk never waits']['bottleneck']} "
        f"({one['cpu, disk never waits']['tracks_a_s']:.0f}). An accelerator spares the CPU its "
        f"mel spectrograms and no more: it waits for decoders.{gather}",
        f"- **8 machines** of {cores} cores: the actor of each machine "
        f"({actor['tracks_a_s']:.0f} tracks/s, cores {100 * actor['cores_busy']:.0f}% busy), which "
        f"decodes nothing while it writes. {few['tracks_a_s']:,.0f} tracks/s in all; 1e8 tracks "
        f"take {span(few['seconds'])}.",
        f"- **1,000 machines**: Ray's one driver, with at most {limit:,.0f} tracks/s at "
        f"{1e3 * r['ray']['deal_s']:.1f} ms a block: 1e8 tracks take {span(driven['seconds'])} "
        f"rather than {span(alone['seconds'])}. With a driver for each of ten parts of the "
        "catalogue, it is object storage: "
        f"{amount(alone['tracks_a_s'] * r['service']['mp3_bytes'])}/s read and "
        f"{amount(alone['tracks_a_s'] * r['size']['float32'])}/s written.",
    ]
    return "\n".join(wrapped(item, item=True) for item in items)


def decode_share(r: dict) -> float:
    c = r["cost_of_a_million"]
    return c["decode_h"] / (c["decode_h"] + c["mel_h"] + c["loop_h"] + c["write_h"])


BLOCKS: dict[str, Callable[[dict], str]] = {
    "origin": origin,
    "moves": moves,
    "cost": cost,
    "wire": wire,
    "check": checked,
    "workers": workers,
    "buffers": buffers,
    "shards": shards,
    "actors": actors,
    "clusters": clusters,
    "storage": storage,
    "layout": layout,
    "limits": limits,
}


def update(
    result: dict, pattern: re.Pattern, blocks: dict[str, Callable[[dict], str]], check: bool
) -> None:
    """Make the blocks of the page anew; with `check`, end with code 1 if one of them differs."""
    before = PAGE.read_text()
    names = [name for _, name, _ in pattern.findall(before)]
    if sorted(names) != sorted(blocks):
        raise SystemExit(f"{PAGE} has the blocks {names}; it needs each of {list(blocks)} once")
    text = pattern.sub(lambda m: f"{m[1]}\n{blocks[m[2]](result)}\n\n{m[3]}", before)
    if check:
        sys.exit(before != text)
    PAGE.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the page is another")
    arguments = parser.parse_args()
    update(json.loads(RESULTS.read_text()), BLOCK, BLOCKS, arguments.check)


if __name__ == "__main__":
    main()

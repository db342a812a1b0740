"""Measure `kit timeline` on rendered mixes, whose truth is known.

    python benchmarks/timeline.py data/demo runs/demo

Of ten mixes: the share of the seconds outside cross-fades whose label is right, the share of joins
found within 5 s of the cross-fade's middle, and the false joins in 10 minutes. Then the seconds and
the memory of the command line on the last mix, from the start of the process.
"""

import csv
import json
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from kit.config import MixConfig
from kit.demo.dj import render_mix
from kit.timeline import Timeline, timeline
from kit.training import restore

TOLERANCE_S = 5.0
_COUNTS = ("right_s", "outside_s", "joins", "found", "false", "duration_s")


def main(
    data: Annotated[Path, tyro.conf.Positional],
    run: Annotated[Path, tyro.conf.Positional],
    seeds: tuple[int, ...] = tuple(range(3000, 3010)),
    minutes: float = 30.0,
    out: Path = Path("benchmarks/results/timeline.json"),
) -> None:
    """Measure, print, and write a JSON file.

    Args:
        data: Folder of the rendered mixes.
        run: Run of a network of the demo, or the folder of its runs.
        seeds: Mixes; no network may have been trained on their artists.
        minutes: Length of each mix.
        out: The results.
    """
    folder = max(run.glob("2*"), default=run)
    restored = restore(folder)
    rows, audio = [], Path()
    for seed in seeds:
        audio, truth = render_mix(MixConfig(minutes=minutes, seed=seed), data)
        with truth.open(encoding="utf-8", newline="") as file:
            tracks = list(csv.DictReader(file))
        rows.append({"seed": seed, **measured(timeline(restored, audio), tracks)})
        print(json.dumps(rows[-1]))
    result = {
        **summary(rows),
        "command": commanded(folder, audio),
        "mixes": rows,
        "python": sys.version.split()[0],
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }
    print({name: value for name, value in result.items() if name != "mixes"})
    out.write_text(json.dumps(result, indent=2) + "\n")


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the shares of all mixes together, and the worst and the best of one mix."""
    totals = {name: sum(row[name] for row in rows) for name in _COUNTS}
    spread = {
        name: sorted(shares(row)[name] for row in rows)[:: max(1, len(rows) - 1)]
        for name in shares(totals)
    }
    return {**shares(totals), **totals, "minutes": totals["duration_s"] / 60, "of_one_mix": spread}


def shares(row: dict[str, Any]) -> dict[str, float]:
    """Return the three figures of some counts."""
    return {
        "seconds_right": row["right_s"] / row["outside_s"],
        "joins_found": row["found"] / row["joins"],
        "false_joins_in_10_minutes": row["false"] / (row["duration_s"] / 600),
    }


def measured(found: Timeline, tracks: list[dict[str, Any]]) -> dict[str, float]:
    """Return the counts of one mix.

    Args:
        found: its timeline.
        tracks: rows of its truth.
    """
    seconds = np.arange(0, found.duration_s, 0.5)
    starts = np.array([one.start_s for one in found.sections])
    labels = np.array([one.label for one in found.sections])
    heard = labels[np.searchsorted(starts, seconds, side="right") - 1]
    right = outside = 0.0
    for track in tracks:
        begin = float(track["start_s"]) + float(track["fade_in_s"])
        end = float(track["end_s"]) - float(track["fade_out_s"])
        inside = (seconds >= begin) & (seconds < end)
        outside += 0.5 * inside.sum()
        right += 0.5 * (heard[inside] == track["label"]).sum()
    middles = [(float(b["start_s"]) + float(a["end_s"])) / 2 for a, b in pairwise(tracks)]
    times = [join.time_s for join in found.joins]

    def near(one: float, others: list[float]) -> bool:
        return any(abs(one - other) <= TOLERANCE_S for other in others)

    return {
        "right_s": float(right),
        "outside_s": float(outside),
        "joins": len(middles),
        "found": sum(near(middle, times) for middle in middles),
        "false": sum(not near(one, middles) for one in times),
        "duration_s": found.duration_s,
    }


def commanded(run: Path, mix: Path) -> dict[str, Any]:
    """Return seconds and memory of the command, from the start of its process; its second run."""
    command = [sys.executable, "-m", "kit", "timeline", str(run), str(mix)]
    seconds = 0.0
    for _ in range(2):  # the first one compiles
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"mix": mix.name, "seconds": round(seconds, 2), "gib": round(peak, 3)}


if __name__ == "__main__":
    tyro.cli(main)

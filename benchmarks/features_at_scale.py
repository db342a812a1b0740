"""`kit features` on ten thousand tracks: memory, steadiness, and a second run with nothing to do.

    kit demo --demo.tracks 216 --demo.artists 36 --data data/bench
    python benchmarks/features_at_scale.py --audio data/bench/audio \\
        --json benchmarks/results/features_at_scale.json

The tracks are hard links to the rendered files under other names: each is opened, checked, decoded
and stored as a track of its own, but what is read comes from the page cache, and no disk is
measured in reading. The folder in which all is made (--work) needs 0.5 MB a track, and has to be on
the disk of the files. Removed at the end.

Memory is the largest sum of the peaks (VmHWM) of the command's processes, asked for every 20 ms:
not getrusage's, which a process inherits from the one that started it. Pages that two processes
share count twice. Progress is told by when each shard of the store was written.
"""

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from features_peers import FRAMES, SR, features_command, machine, machine_cpu

from kit.catalogue import Scan, load, save
from kit.config import FeatureConfig
from kit.features import store_path

PEAK_GIB = 1.5
SLOWEST_END = 0.9  # of the throughput of the beginning
AGAIN_S, AGAIN_S_A_TRACK = 3.0, 0.2e-3
POLL_S = 0.02


def catalogue_of_links(files: list[Path], tracks: int, folder: Path) -> Path:
    """A catalogue of so many tracks, each file linked as often as it takes."""
    audio = folder / "audio"
    audio.mkdir(parents=True)
    facts = [(hashlib.sha256(f.read_bytes()).hexdigest(), soundfile.info(f)) for f in files]
    rows = []
    for i in range(tracks):
        file, (digest, info) = files[i % len(files)], facts[i % len(files)]
        name = f"{i:05d}.mp3"
        try:
            os.link(file, audio / name)
        except OSError as error:
            raise SystemExit(
                f"cannot link {file} into {audio}: {error.strerror}; "
                "give --work a folder on the same disk"
            ) from error
        rows.append(
            {
                "track_id": f"track-{i:05d}",
                "label": file.parent.name,
                "path": name,
                "duration_s": info.duration,
                "sample_rate": info.samplerate,
                "channels": info.channels,
                "source_hash": digest,
            }
        )
    save(Scan(pd.DataFrame(rows), [], audio), folder)
    return folder


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may have spaces in it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def kib(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    # One that has ended has no memory any more.
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def command(folder: Path, workers: int | None) -> dict[str, float]:
    """Run the command to its end and watch its memory."""
    line = [sys.executable, *features_command(folder, workers)]
    peak, processes = 0, 0
    with tempfile.TemporaryFile() as log:
        before, of_all = resource.getrusage(resource.RUSAGE_CHILDREN), machine_cpu() or 0.0
        start = time.perf_counter()
        running = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=log)
        try:
            pids, polls = [running.pid], 0
            while running.poll() is None:
                # Looking through /proc costs more than reading a few processes' memory.
                if polls % 25 == 0:
                    pids = tree(running.pid)
                    processes = max(processes, len(pids))
                peak = max(peak, sum(kib(pid, "VmHWM") for pid in pids))
                polls += 1
                time.sleep(POLL_S)
        finally:
            if running.poll() is None:
                for pid in tree(running.pid):
                    os.kill(pid, signal.SIGKILL)
            running.wait()
        wall_s = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        log.seek(0)
        said = log.read().decode(errors="replace")
    if running.returncode:
        raise SystemExit(f"{' '.join(line)} failed:\n{said[-2000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "cores_elsewhere": max(0.0, (machine_cpu() or 0.0) - of_all - cpu_s) / wall_s,
        "peak_gib": peak / 2**20,
        "processes": processes,
    }


def shards(store: Path) -> tuple[np.ndarray, np.ndarray]:
    """Tracks written, and when: after each shard, in the order of time."""
    metadata = next(path for path in store.glob("*/zarr.json"))
    about = json.loads(metadata.read_text())
    size, tracks = about["chunk_grid"]["configuration"]["chunk_shape"][0], about["shape"][0]
    files = [path for path in (metadata.parent / "c").rglob("*") if path.is_file()]
    first = {path: size * int(path.relative_to(metadata.parent / "c").parts[0]) for path in files}
    files.sort(key=lambda path: path.stat().st_mtime)
    counts = np.cumsum([min(size, tracks - first[path]) for path in files])
    return counts, np.array([path.stat().st_mtime for path in files])


def rates(counts: np.ndarray, times: np.ndarray, part: int) -> dict[str, float]:
    """Tracks a second in the second and in the last `part` tracks, between whole shards."""

    def rate(start: int, end: int) -> float:
        at = np.interp([start, end], counts, times)
        return float((end - start) / (at[1] - at[0]))

    total = int(counts[-1])
    first, last = rate(part, 2 * part), rate(total - part, total)
    return {"tracks": part, "second_part": first, "last_part": last, "last_to_second": last / first}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, required=True, help="what `kit demo` rendered")
    parser.add_argument("--tracks", type=int, default=10_000, help="a tenth of them is a part")
    parser.add_argument("--workers", type=int, help="of kit; its own default if not given")
    parser.add_argument("--work", type=Path, help="folder for links and store; a temporary one")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    least_s = (FRAMES - 1) * 512 / SR
    found = sorted(options.audio.rglob("*.mp3"))
    files = [file for file in found if soundfile.info(file).duration >= least_s]
    if not files:
        parser.error(f"--audio {options.audio} has no MP3 files of 30 s; render some: kit demo")
    result: dict = {
        "machine": machine(),
        "tracks": options.tracks,
        "files": len(files),
        "workers": options.workers,
    }
    print(json.dumps(result["machine"]))
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-at-scale-", dir=options.work) as name:
        folder = catalogue_of_links(files, options.tracks, Path(name) / "catalogue")
        store = store_path(load(folder), FeatureConfig())
        result["run"] = command(folder, options.workers)
        counts, times = shards(store)
        if counts[-1] != options.tracks:
            raise SystemExit(f"the store has {counts[-1]} of {options.tracks} tracks")
        result["store_bytes"] = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
        result["run_again"] = command(folder, options.workers)
        if not np.array_equal(shards(store)[1], times):
            raise SystemExit("the second run wrote to the store, which was complete")
    result["shards"] = {
        "tracks": counts.tolist(),
        "seconds": (times - times[0]).round(3).tolist(),
    }
    run, again = result["run"], result["run_again"]
    again_s = AGAIN_S + AGAIN_S_A_TRACK * options.tracks
    goals = {
        "peak_gib": (run["peak_gib"], PEAK_GIB, run["peak_gib"] < PEAK_GIB),
        "run_again_s": (again["wall_s"], again_s, again["wall_s"] < again_s),
    }
    print(
        f"{options.tracks} tracks in {run['wall_s']:.1f} s, {options.tracks / run['wall_s']:.2f} a "
        f"second with the start; peak {run['peak_gib']:.2f} GiB in {run['processes']} processes; "
        f"again: {again['wall_s']:.2f} s, {again['peak_gib']:.2f} GiB; "
        f"other programs used {run['cores_elsewhere']:.2f} cores"
    )
    part = options.tracks // 10
    if part >= counts[0]:
        steady = result["tracks_a_second"] = rates(counts, times, part)
        ratio = steady["last_to_second"]
        goals["last_to_second"] = (ratio, SLOWEST_END, ratio >= SLOWEST_END)
        print(
            f"tracks {part} to {2 * part}: {steady['second_part']:.2f} a second; "
            f"the last {part}: {steady['last_part']:.2f}"
        )
    else:
        print(f"a tenth of the tracks is less than a shard of {counts[0]}: no rates")
    result["goals"] = {
        key: {"found": value, "limit": limit, "passed": bool(ok)}
        for key, (value, limit, ok) in goals.items()
    }
    for key, goal in result["goals"].items():
        word = "pass" if goal["passed"] else "fail"
        print(f"goal: {key} {goal['found']:.3f}, limit {goal['limit']:.3f}: {word}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

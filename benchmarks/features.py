"""`kit features` against its peers on the same MP3 files, interleaved in one run.

    kit demo --demo.tracks 216 --demo.artists 36 --data data/bench
    python benchmarks/features.py --audio data/bench/audio --json benchmarks/results/features.json

From MP3 files to 1280 frames of 128 mel bands in dB, the first 30 s of each. The contenders:

`kit, command`: `python -m kit features` with no store there, the whole process with its start.
`kit`: the call inside that command in a process that has warmed up on a few other tracks. It checks
each file's SHA-256, and compresses, writes and syncs its store, which the peers do not do.
`librosa loop`: load, melspectrogram, power_to_db, np.stack, np.save, as in a notebook.
`librosa pool`: the same in a pool of one spawned process a core, each with one thread for BLAS.
`torchaudio, …`: soundfile and soxr in threads; MelSpectrogram and dB in those threads, or batches
of 8 in the main thread. The fastest set-up counts. Results stay in memory.
`floor, …`: soundfile and soxr in threads and nothing else; the fastest number of threads counts.
Once more with `y.mean(axis=1)` in place of `(y[:, 0] + y[:, 1]) * 0.5`, to be seen beside it.

Every file is read once before each round. Each contender runs once a round, alone, in a new process
that first does a few files untimed; times are of the work alone but for `kit, command`, which is
compared with the whole processes of the others, less their warm-up. Medians of the rounds are
given, and ratios of medians. What other programs used meanwhile is measured as well: with more than
a tenth of a core the figures are worth little. Needs the extras `dev` and `peers`.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from features_peers import FRAMES, SR, features_command, machine, machine_cpu

LEAST_FILES = 200  # with fewer, a batch that is not full or a pause of the machine shows
WARM_FILES = 4
STAGED_FILES = 48
STAGES = (
    "libsndfile alone",
    "floor",
    "kit: hash, decode, mix, resample, check",
    "kit: log-mel",
    "kit: store",
)
"""CPU time of each, alone in one thread: what of the floor is left where nothing is lost."""
KIT, COMMAND = "kit", "kit, command"
GOALS = {"librosa loop": 3.2, "librosa pool": 2.4, "torchaudio": 1.15, "floor": 0.85}
"""The throughput of kit over that of each, at least."""
WITHIN_DB = {"librosa": 1e-3, "torchaudio": 2e-2}
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")
}
MOST_ELSEWHERE = 0.1  # cores
HERE = Path(__file__).parent


def contenders(workers: int | None, skip: list[str]) -> dict[str, dict]:
    """Return the jobs by name, without their files."""
    cores = os.cpu_count() or 1
    alone = {"env": ONE_THREAD, "torch_threads": 1}
    found = {
        COMMAND: {"contender": COMMAND, "threads": workers},
        KIT: {"contender": "kit", "threads": workers},
        "librosa loop": {"contender": "librosa_loop"},
        "librosa pool": {"contender": "librosa_pool", "threads": cores, "env": ONE_THREAD},
        f"torchaudio, batches, {cores} threads": {
            "contender": "torch_batched",
            "threads": cores,
            "torch_threads": cores,
        },
        "torchaudio, batches, 1 thread": {"contender": "torch_batched", "threads": cores, **alone},
    }
    for count in (1, 2):
        found[f"torchaudio, in {count * cores} decoders"] = {
            "contender": "torch_a_clip",
            "threads": count * cores,
            **alone,
        }
    for count in (1, 2, 3):
        job = {"contender": "floor", "threads": count * cores, "mean": False}
        found[f"floor, {count * cores} threads"] = job
    found["mean(axis=1), floor"] = {"contender": "floor", "threads": cores, "mean": True}
    return {name: job for name, job in found.items() if not name.startswith(tuple(skip))}


def long_enough(folder: Path) -> list[Path]:
    """The MP3 files below that have all frames; kit leaves out the others."""
    import soundfile

    files = sorted(folder.rglob("*.mp3"))
    least_s = (FRAMES - 1) * 512 / SR
    kept = [file for file in files if soundfile.info(file).duration >= least_s]
    if len(kept) < len(files):
        print(f"{folder}: {len(files) - len(kept)} of {len(files)} files are below {least_s:.1f} s")
    return kept


def scan(files: list[Path], folder: Path) -> Path:
    """A catalogue of links to these files."""
    for i, file in enumerate(files):
        link = folder / "audio" / (file.parent.name or "audio") / f"{i:05d}-{file.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
    command = [sys.executable, "-m", "kit", "scan", str(folder / "audio"), "--out", str(folder)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"kit scan failed on {folder}:\n{done.stderr[-2000:]}")
    return folder


def child(command: list[str], job: dict | None = None, env: dict | None = None) -> dict:
    """Run a program to its end; what it prints as JSON, with the times of the whole process."""
    os.sync()  # nobody waits for what another has written
    before, of_all = resource.getrusage(resource.RUSAGE_CHILDREN), machine_cpu()
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        input=None if job is None else json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    process_s = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {job}\n{done.stderr[-2000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(done.stdout) if job else {}
    if of_all is not None:
        found["cores_elsewhere"] = max(0.0, (machine_cpu() or 0) - of_all - used) / process_s
    return found | {"process_s": process_s, "process_cpu_s": used}


def run(
    name: str, job: dict, warm: Path, few: list[str], catalogue: Path, files: list[str]
) -> dict:
    """One contender, once, with no store there."""
    for folder in (warm, catalogue):
        shutil.rmtree(folder / "features", ignore_errors=True)
    job = {**job, "scratch": str(warm / "features.npy")}
    env = job.pop("env", None)
    if name == COMMAND:
        found = child(features_command(catalogue, job["threads"]))
        return found | {"wall_s": found["process_s"], "cpu_s": found["process_cpu_s"]}
    of_kit = name == KIT
    job["files"] = str(catalogue) if of_kit else files
    job["warm"] = str(warm) if of_kit else few
    return child([str(HERE / "features_peers.py")], job, env)


def measure(
    folder: Path, files: list[Path], rounds: int, workers: int | None, skip: list[str]
) -> dict[str, object]:
    catalogue = scan(files, folder / "all")
    few = files[:: max(1, len(files) // WARM_FILES)][:WARM_FILES]
    warm = scan(few, folder / "warm")
    paths = [str(file) for file in files]
    agree = child(
        [str(HERE / "features_peers.py")],
        {"contender": "agreement", "warm": str(warm), "threads": workers, "skip": skip},
    )
    differences = {name: agree[name] for name in WITHIN_DB if name in agree}
    print("largest difference from kit, dB:", differences)
    if any(not difference <= WITHIN_DB[name] for name, difference in differences.items()):
        raise SystemExit(f"the contenders compute different things: more than {WITHIN_DB} dB apart")
    shutil.rmtree(warm / "features", ignore_errors=True)
    # Compiled functions are kept from one run of the command to the next.
    child(features_command(warm, workers))
    job = {"contender": "stages", "files": paths[:STAGED_FILES], "scratch": str(folder)}
    stages = child([str(HERE / "features_peers.py")], job)
    jobs = contenders(workers, skip)
    runs: dict[str, list[dict]] = {name: [] for name in jobs}
    for i in range(rounds):
        for file in files:
            file.read_bytes()
        for name, job in jobs.items():
            found = run(name, job, warm, [str(file) for file in few], catalogue, paths)
            runs[name].append(found)
            other = found.get("cores_elsewhere", 0.0)
            note = f"  other programs used {other:.2f} cores" if other > MOST_ELSEWHERE else ""
            print(f"round {i + 1}  {name:32s}{found['wall_s']:8.2f} s{note}", flush=True)
    rows = {name: summary(runs[name], len(files)) for name in jobs}
    best = {}
    for kind in GOALS:
        if names := [name for name in rows if name.split(",")[0] == kind]:
            best[kind] = min(names, key=lambda name: rows[name]["median_s"])

    def ratios(figure: str, ours: str) -> dict[str, float]:
        return {kind: rows[name][figure] / rows[ours][figure] for kind, name in best.items()}

    faster = ratios("median_s", KIT)
    goals = {
        kind: {"at_least": least, "found": faster[kind], "passed": faster[kind] >= least}
        for kind, least in GOALS.items()
        if kind in faster
    }
    return {
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "largest_difference_db": differences,
        "stages_cpu_ms": {name: ms for name, ms in stages.items() if name in STAGES},
        "contenders": rows,
        "best": best,
        "times_faster": faster,
        "times_faster_by_best_rounds": ratios("best_s", KIT),
        "times_faster_whole_processes": ratios("whole_process_s", COMMAND),
        "goals": goals,
    }


def summary(runs: list[dict], files: int) -> dict[str, object]:
    seconds = [run["wall_s"] for run in runs]
    median = statistics.median(seconds)
    whole = [run["process_s"] - run.get("warm_up_s", 0.0) for run in runs]
    return {
        "median_s": median,
        "best_s": min(seconds),
        "whole_process_s": statistics.median(whole),
        "tracks_a_second": files / median,
        "cpu_ms_a_track": 1e3 * statistics.median(run["cpu_s"] for run in runs) / files,
        "rounds": runs,
    }


def show(title: str, result: dict) -> None:
    print(f"\n{title}: {result['files']} files; medians")
    print(f"{'':34s}{'s':>8s}{'tracks/s':>10s}{'CPU ms a track':>16s}{'to kit':>8s}")
    rows = result["contenders"]
    runs = [run for row in rows.values() for run in row["rounds"]]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["tracks_a_second"]):
        ratio = row["median_s"] / rows[KIT]["median_s"]
        print(
            f"{name:34s}{row['median_s']:8.2f}{row['tracks_a_second']:10.2f}"
            f"{row['cpu_ms_a_track']:16.1f}{ratio:8.2f}"
        )
    for kind, goal in result["goals"].items():
        word = "pass" if goal["passed"] else "fail"
        whole = result["times_faster_whole_processes"][kind]
        print(
            f"goal: {goal['at_least']:.2f} times the throughput of {result['best'][kind]}: "
            f"{goal['found']:.2f}, {word} (whole processes: {whole:.2f})"
        )
    stages = result["stages_cpu_ms"]
    print("CPU ms a track, one stage after another in one thread:")
    for name, ms in stages.items():
        print(f"    {name:42s}{ms:8.2f}")
    ours = sum(ms for name, ms in stages.items() if name.startswith("kit: "))
    print(
        f"so kit can have {stages['floor'] / ours:.2f} of the floor's throughput if no core waits"
    )
    disturbed = sum(run.get("cores_elsewhere", 0.0) > MOST_ELSEWHERE for run in runs)
    if disturbed:
        print(f"warning: other programs were busy in {disturbed} of {len(runs)} runs")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, required=True, help="what `kit demo` rendered")
    parser.add_argument("--real", type=Path, help="a folder of other MP3 files, measured as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, help="of kit; its own default if not given")
    parser.add_argument("--limit", type=int, help="files at most: does it run at all")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument(
        "--skip",
        nargs="*",
        default=[],
        metavar="NAME",
        help="contenders to leave out, by the beginning of their names, such as torchaudio",
    )
    options = parser.parse_args()
    if any(COMMAND.startswith(name) for name in options.skip):
        parser.error("--skip would leave out kit, which the others are compared with")
    needed = ["librosa", *([] if "torchaudio" in options.skip else ["torch", "torchaudio"])]
    missing = [n for n in needed if not importlib.util.find_spec(n)]
    if missing:
        parser.error(
            f"{', '.join(missing)} not installed; python -m pip install -e '.[dev,peers]', "
            "or --skip torchaudio"
        )
    folders = {"rendered": options.audio} | ({"real": options.real} if options.real else {})
    sets = {name: long_enough(folder) for name, folder in folders.items()}
    if not sets.get("real", True):
        parser.error(f"--real {options.real} has no MP3 files of 30 s")
    if len(sets["rendered"]) < LEAST_FILES and not options.limit:
        parser.error(
            f"--audio {options.audio} has {len(sets['rendered'])} MP3 files of 30 s, fewer than "
            f"{LEAST_FILES}; render some: "
            "kit demo --demo.tracks 216 --demo.artists 36 --data data/bench"
        )
    result: dict = {"machine": machine(), "rounds": options.rounds, "workers": options.workers}
    print(json.dumps(result["machine"]))
    with tempfile.TemporaryDirectory(prefix="kit-features-") as folder:
        for name, files in sets.items():
            chosen = files[: options.limit]
            result[name] = measure(
                Path(folder) / name, chosen, options.rounds, options.workers, options.skip
            )
    for name in sets:
        show(name, result[name])
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

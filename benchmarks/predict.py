"""Compare kit with librosa and PyTorch from the start of the process: a folder, and a long mix.

    python benchmarks/predict.py runs/demo/RUN/fold-0 music/ mix.mp3

Both predict every MP3 file of a folder, and answer every few seconds of a mix, with the weights of
one network (a Conv1D with the original front end). The answers must be equal to 1e-3. Each time is
the lower one of two runs after one that compiles and fills the caches; the contenders take turns.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from features_peers import machine

from kit.training import restore

ROUNDS = 2
PEERS = Path(__file__).with_name("predict_peers.py")


def main(
    run: Annotated[Path, tyro.conf.Positional],
    folder: Annotated[Path, tyro.conf.Positional],
    mix: Annotated[Path, tyro.conf.Positional],
    out: Path = Path("benchmarks/results/predict.json"),
) -> None:
    """Measure, print, and write a JSON file.

    Args:
        run: Run of one network.
        folder: MP3 files.
        mix: An MP3 file of any length.
        out: The results.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch, "weights.npz")
        save_weights(run, weights)
        rows, found = Path(scratch, "rows.json"), Path(scratch, "found.npy")

        def peer(contender: str, network: Path, source: Path) -> Callable[[], list[str]]:
            names = (contender, network, source, found)
            return lambda: [sys.executable, str(PEERS), *map(str, names)]

        command = [sys.executable, "-m", "kit", "predict", str(run), str(folder)]
        options = ["--out", str(rows), "--fresh"]
        results = {
            "files": compared(
                lambda: [*command, *options, "--no-music"],
                lambda: of_rows(rows),
                peer("torch-files", weights, folder),
                lambda: np.load(found),
            ),
            "mix": compared(
                peer("kit-mix", run, mix),
                lambda: np.load(found),
                peer("torch-mix", weights, mix),
                lambda: np.load(found),
            ),
            "files with tempo and key": timed([*command, *options]),
            "kit timeline": timed([sys.executable, "-m", "kit", "timeline", str(run), str(mix)]),
        }
    results |= {"mix_bytes": mix.stat().st_size, "machine": machine()}
    out.write_text(json.dumps(results, indent=2) + "\n")
    for what in ("files", "mix"):
        print(what, results[what])
    print(results["machine"]["versions"])


def save_weights(run: Path, path: Path) -> None:
    """Write the arrays of a run's network, and what its front end needs."""
    restored = restore(run)
    (network,) = restored.networks
    features, segments = restored.experiment.features, restored.experiment.segments
    arrays: Any = {**network.params, **network.buffers}
    np.savez(
        path,
        **arrays,
        mean=np.asarray(network.scaling.mean),
        deviation=np.asarray(network.scaling.deviation),
        rate=features.frontend.sample_rate,
        clip_s=features.clip_s,
        n_frames=features.n_frames,
        length=segments.frames,
        hop=segments.hop_frames,
    )


def of_rows(path: Path) -> np.ndarray:
    """Probabilities in the rows of `kit predict`, in the order of the files' names."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return np.array([list(row["probabilities"].values()) for row in rows])


def compared(
    kit: Callable[[], list[str]],
    of_kit: Callable[[], np.ndarray],
    peer: Callable[[], list[str]],
    of_peer: Callable[[], np.ndarray],
) -> dict[str, Any]:
    """Time both in turns, and compare their answers."""
    times: dict[str, list[dict[str, float]]] = {"kit": [], "librosa and torch": []}
    answers = []
    for _ in range(1 + ROUNDS):
        answers = []
        for name, command, read in (
            ("kit", kit, of_kit),
            ("librosa and torch", peer, of_peer),
        ):
            times[name].append(timed(command()))
            answers.append(read())
    difference = float(np.abs(answers[0] - answers[1]).max())
    if difference > 1e-3:
        raise SystemExit(f"the answers differ by {difference:.2g}")
    best = {
        name: {key: min(row[key] for row in rows[1:]) for key in rows[0]}
        for name, rows in times.items()
    }
    ratio = {
        key: round(best["librosa and torch"][key] / best["kit"][key], 2) for key in best["kit"]
    }
    return {**best, "ratio": ratio, "difference": difference, "answers": len(answers[0])}


def timed(command: list[str]) -> dict[str, float]:
    """Seconds of a command from the start of its process, on the clock and of all cores."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu_s": round(cpu, 2)}


if __name__ == "__main__":
    tyro.cli(main)

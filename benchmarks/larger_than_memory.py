"""A training on features that are larger than the memory it may use.

    python benchmarks/larger_than_memory.py [--tracks 20000] [--steps 300] [--json OUT]

The features of TRACKS tracks, noise in dB with a band that tells two labels apart, are written into
a store as `kit features` writes them. Another process trains the original network on them, reading
batch by batch, and stops after STEPS steps. The result has its peak memory, the size of the
features, and the segments a second after the first ten steps.
"""

import argparse
import contextlib
import csv
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from kit.catalogue import from_csv, load, save
from kit.config import Experiment, FeatureConfig, SplitConfig, TrainConfig
from kit.features import FeatureStore, store_path

ARTISTS = 400
WRITTEN = 64  # tracks at once
WARM = 10  # steps


class StopError(Exception):
    """Enough steps."""


def made_up(folder: Path, tracks: int) -> Experiment:
    """Write a catalogue and its features, and return the experiment on it."""
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["track_id", "label", "artists"])
        for i in range(tracks):
            writer.writerow([f"t{i}", ("edm", "techno")[i % 2], f"artist {i % ARTISTS}"])
    save(from_csv(table), folder)
    config = FeatureConfig()
    store = FeatureStore.create(store_path(load(folder), config), config)
    rng = np.random.default_rng(0)
    shape = (WRITTEN, config.n_frames, config.frontend.n_mels)
    noise = rng.normal(-40, 15, shape).astype(np.float32)
    for first in range(0, tracks, WRITTEN):
        count = min(WRITTEN, tracks - first)
        features = np.roll(noise[:count], rng.integers(shape[1]), axis=1)
        features[(first + np.arange(count)) % 2 == 1, :, 30] += 10
        ids = [f"t{i}" for i in range(first, first + count)]
        store.write(ids, ["0" * 64] * count, features)
    return Experiment("large", str(folder), config, SplitConfig(), train=TrainConfig(epochs=1))


def train(folder: Path, tracks: int, steps: int) -> None:
    """Train, and print what it took."""
    from kit.training import Progress, fit

    experiment = Experiment(
        "large", str(folder), FeatureConfig(), SplitConfig(), train=TrainConfig(epochs=1)
    )
    seen: list[float] = []
    said = ""

    def progress(p: Progress) -> None:
        nonlocal said
        said = p.path
        seen.append(time.monotonic())
        if p.step == steps:
            raise StopError

    with contextlib.suppress(StopError):
        fit(experiment, runs=folder / "runs", memory_gib=0.0, progress=progress)
    rate = (len(seen) - 1 - WARM) * experiment.train.batch_size / (seen[-1] - seen[WARM])
    config = experiment.features
    size = tracks * config.row_frames * config.frontend.n_mels * np.dtype(config.dtype).itemsize
    found = {
        "tracks": tracks,
        "features_gib": round(size / 2**30, 2),
        "steps": len(seen),
        "batch_size": experiment.train.batch_size,
        "path": said,
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "segments_per_s": round(rate, 1),
    }
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="where the features are made; deleted if not")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.folder, arguments.tracks, arguments.steps)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        if not (folder / "tracks.csv").exists():
            made_up(folder, arguments.tracks)
        command = [sys.executable, __file__, "--child", "--folder", str(folder)]
        command += ["--tracks", str(arguments.tracks), "--steps", str(arguments.steps)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    names = ("jax", "flax", "numpy", "tensorstore")
    found["versions"] = {"python": platform.python_version()} | {n: version(n) for n in names}
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

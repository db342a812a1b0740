"""The demo's accuracy by track on held-out artists: seeds, and a control with shuffled labels.

    kit demo                              (renders data/demo, if it is not there)
    python benchmarks/demo_accuracy.py

Prints a table and writes benchmarks/results/demo_accuracy.json.
"""

import argparse
import dataclasses
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

from kit.catalogue import load
from kit.defaults import DEMO
from kit.evaluation import evaluate
from kit.features import extract
from kit.files import write_json
from kit.training import fit


def accuracy(experiment, runs):
    """Accuracy by track and by segment of the best checkpoint on the test part."""
    run = fit(experiment, runs=runs)
    result = evaluate(run.folder)
    return result["track"]["accuracy"], result["segment"]["accuracy"], result["track"]["n"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/demo", help="folder that `kit demo` made")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders go")
    parser.add_argument("--seeds", type=int, default=3, help="splits, each with weights of its own")
    parser.add_argument("--shuffles", type=int, default=6, help="draws of shuffled labels")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/demo_accuracy.json"))
    options = parser.parse_args()
    base = dataclasses.replace(DEMO, catalogue=options.data, name="demo_accuracy")
    extract(load(Path(options.data)), base.features)
    rows = []
    for shuffled, count in ((False, options.seeds), (True, options.shuffles)):
        for seed in range(count):
            experiment = dataclasses.replace(
                base,
                split=dataclasses.replace(base.split, seed=seed, shuffle_labels=shuffled),
                train=dataclasses.replace(base.train, seed=seed),
            )
            track, segment, n = accuracy(experiment, options.runs)
            kind = "labels shuffled over artists" if shuffled else "labels as they are"
            print(f"{kind}, seed {seed}: {track:.3f} of {n} tracks, {segment:.3f} of segments")
            rows.append(
                {"shuffled": shuffled, "seed": seed, "track": track, "segment": segment, "n": n}
            )
    means = {
        name: statistics.fmean(r["track"] for r in rows if r["shuffled"] is shuffled)
        for name, shuffled in (("as they are", False), ("shuffled", True))
    }
    for name, value in means.items():
        print(f"labels {name}: mean accuracy by track {value:.3f}")
    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    about = {name: version(name) for name in packages} | {"python": platform.python_version()}
    write_json(options.out, {"runs": rows, "mean_by_track": means, "versions": about})


if __name__ == "__main__":
    main()

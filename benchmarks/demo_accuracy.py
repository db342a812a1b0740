"""The demo's accuracy by track on held-out artists: seeds, and a control with shuffled labels.

    kit demo                              (renders data/demo, if it is not there)
    python benchmarks/demo_accuracy.py

    kit demo --demo.difficulty hard --data data/demo_hard
    python benchmarks/demo_accuracy.py --demo.difficulty hard --train.epochs 40

Prints a table and writes it to benchmarks/results/demo_accuracy.json, or demo_accuracy_hard.json.
"""

import argparse
import dataclasses
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

from kit.catalogue import load
from kit.defaults import DEMO_HELD_OUT
from kit.evaluation import evaluate
from kit.features import extract
from kit.files import write_json
from kit.training import fit

DATA = {"easy": "data/demo", "hard": "data/demo_hard"}


def accuracy(experiment, runs):
    """Accuracy by track and by segment of the best checkpoint on the test part."""
    run = fit(experiment, runs=runs)
    result = evaluate(run.folder)
    return result["track"]["accuracy"], result["segment"]["accuracy"], result["track"]["n"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo.difficulty", dest="difficulty", choices=DATA, default="easy")
    parser.add_argument("--data", help="folder that `kit demo` made; data/demo or data/demo_hard")
    parser.add_argument(
        "--train.epochs", dest="epochs", type=int, default=DEMO_HELD_OUT.train.epochs
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders go")
    parser.add_argument("--seeds", type=int, default=3, help="splits, each with weights of its own")
    parser.add_argument("--shuffles", type=int, default=6, help="draws of shuffled labels")
    parser.add_argument("--out", type=Path, help="where the table goes")
    options = parser.parse_args()
    data = Path(options.data or DATA[options.difficulty])
    name = "demo_accuracy" if options.difficulty == "easy" else "demo_accuracy_hard"
    base = dataclasses.replace(
        DEMO_HELD_OUT,
        catalogue=str(data),
        name=name,
        train=dataclasses.replace(DEMO_HELD_OUT.train, epochs=options.epochs),
    )
    extract(load(data), base.features)
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
        labels: statistics.fmean(r["track"] for r in rows if r["shuffled"] is shuffled)
        for labels, shuffled in (("as they are", False), ("shuffled", True))
        if any(r["shuffled"] is shuffled for r in rows)
    }
    for labels, value in means.items():
        print(f"labels {labels}: mean accuracy by track {value:.3f}")
    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    about = {package: version(package) for package in packages} | {
        "python": platform.python_version()
    }
    out = options.out or Path(f"benchmarks/results/{name}.json")
    table = {"runs": rows, "mean_by_track": means, "epochs": options.epochs}
    write_json(out, table | {"versions": about})


if __name__ == "__main__":
    main()

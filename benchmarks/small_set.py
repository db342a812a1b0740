"""The recipe for small sets beside every row that it chooses from: mean of several seeds.

    python benchmarks/small_set.py CATALOGUE [--by artist] [--fold-column COLUMN] [--least-s 3]
        [--networks short_chunk musicnn] [--seeds 3] [--runs build/small_set] [--json OUT]

Each seed makes one run by the recipe: of forests, dictionaries and inner folds, and of the outer
folds unless a column names them. A run is scored on tracks that had no part in its choice, as
`kit evaluate` does, and the rows on the same folds. Interrupted and started again, it goes on where
it was. Prints a table with the least and the greatest of the seeds, and the runs' 95% intervals.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import kit
from kit.catalogue import load
from kit.cli.train import by_recipe
from kit.evaluation.baselines.beside import RECIPE
from kit.evaluation.baselines.nested import in_words
from kit.evaluation.small_set import beside
from kit.shallow.recipe import SmallSetConfig
from kit.terminal import bars

MFCC = "MFCC statistics, SVM"


def scored(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the rows of one seed: accuracy and interval by name, and what was chosen."""
    began = time.process_time()
    split = kit.SplitConfig(by=options.by, fold_column=options.fold_column, seed=seed)
    features = kit.FeatureConfig(least_s=options.least_s, clip_s=options.clip_s, n_frames=1)
    about = {"name": "small_set", "features": features, "split": split, "seed": seed}
    model = SmallSetConfig(networks=tuple(options.networks))
    experiment = by_recipe(options.catalogue, model, **about)
    run = kit.fit(experiment, runs=options.runs, progress=True)
    with bars() as progress:
        _, weights = beside(run, curve=False, progress=progress)
    rows = kit.evaluate(run, report=False)["baselines"]["rows"]
    return {
        "seed": seed,
        "chosen": in_words(weights),
        "cpu_s": round(time.process_time() - began, 1),
        "rows": {row["name"]: [row["accuracy"], *row["interval"]] for row in rows},
    }


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--by", default="artist")
    parser.add_argument("--fold-column")
    parser.add_argument("--least-s", type=float, default=3.0)
    parser.add_argument("--clip-s", type=float, default=30.0)
    parser.add_argument("--networks", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("build/small_set"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seeds = [scored(seed, options) for seed in range(options.seeds)]
    names = sorted(
        seeds[0]["rows"], key=lambda name: -mean(seed["rows"][name][0] for seed in seeds)
    )
    table = {name: [seed["rows"][name][0] for seed in seeds] for name in names}
    for name, values in table.items():
        print(f"{mean(values):.3f}  ({min(values):.3f} to {max(values):.3f})  {name}")
    for seed in seeds:
        accuracy, low, high = seed["rows"][RECIPE]
        print(
            f"seed {seed['seed']}: {accuracy:.3f}, 95% interval {low:.3f} to {high:.3f}, chosen: "
            f"{seed['chosen']}"
        )
    best = max(mean(values) for name, values in table.items() if name != RECIPE)
    ours = mean(table[RECIPE])
    print(f"less the best single row: {ours - best:+.3f}")
    print(f"less {MFCC}: {ours - mean(table[MFCC]):+.3f}")
    if options.json:
        about = {
            "tracks": len(load(options.catalogue).table),
            "by": options.by,
            "fold_column": options.fold_column,
            "networks": options.networks,
            "versions": {
                name: version(name) for name in ("genre-kit", "jax", "numpy", "scikit-learn")
            },
        }
        content = {**about, "mean": {n: round(mean(v), 4) for n, v in table.items()}}
        options.json.write_text(json.dumps({**content, "seeds": seeds}, indent=1) + "\n")


if __name__ == "__main__":
    main()

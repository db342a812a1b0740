"""ESC-10 from scratch: a recipe chosen by nested cross-validation over the official folds.

    python benchmarks/esc10.py FOLDER [--json OUT] [--seeds 3] [--work build/esc10]

FOLDER has one folder for each label, and a labels.csv with the columns path, label and fold.

For each outer fold the recipe is the one with the most clips right in the inner folds: each of the
other four is held out once, by a network trained on the remaining three. Two folds that are held
out together serve both of them, so a recipe needs ten networks. The chosen recipe is then trained
on all four folds with each seed, and scored on the outer fold, which nothing before has seen.
Interrupted and started again, it goes on where it was.
"""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import kit
from kit.catalogue import Catalogue, from_csv, load, save
from kit.config import AugmentConfig, Experiment, OptimiserConfig, ShortChunkConfig
from kit.evaluation.answers import score_part
from kit.features import extract
from kit.training import restore
from kit.training.collection import Collection, open_collection
from kit.training.fitting import train

FEATURES = kit.FeatureConfig(
    frontend=kit.FrontendConfig(n_fft=2048, hop_length=1024, n_mels=64),
    clip_s=5.0,
    n_frames=108,
    least_s=5.0,
)
PLAIN = Experiment(
    name="esc10",
    features=FEATURES,
    split=kit.SplitConfig(by="track"),
    segments=kit.SegmentConfig(frames=96, hop=6),
    model=ShortChunkConfig(pooling="statistics"),
    train=kit.TrainConfig(
        epochs=60,
        batch_size=32,
        learning_rate=3e-3,
        standardise="band",
        optimiser=OptimiserConfig(name="adamw", weight_decay=0.05, warmup=0.1),
    ),
)


def with_train(**fields: object) -> Experiment:
    """Return the plain recipe with other options of training."""
    return dataclasses.replace(PLAIN, train=dataclasses.replace(PLAIN.train, **fields))


MASKS = AugmentConfig(gain_db=6, tilt_db=6, shift=8, time_masks=1, band_masks=1, band_width=8)
RECIPES = {
    "plain": PLAIN,
    "masks": with_train(augment=MASKS, epochs=90),
    "between_class": with_train(
        augment=dataclasses.replace(MASKS, time_masks=0, band_masks=0, mix="between_class"),
        epochs=120,
    ),
}


def main() -> None:
    """Choose, train and score; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, default=Path("build/esc10"), help="for catalogue, runs"
    )
    arguments = parser.parse_args()
    catalogue = catalogue_of(arguments.folder, arguments.work)
    collection, _ = open_collection(PLAIN, catalogue)
    folds = dict(zip(catalogue.table["track_id"], catalogue.table["fold"].astype(str), strict=True))
    names = sorted(set(folds.values()))
    bench = Bench(catalogue, collection.held(), folds, arguments.work / "runs")

    inner = {
        recipe: {
            pair: bench.right(recipe, pair, seed=0) for pair in itertools.combinations(names, 2)
        }
        for recipe in RECIPES
    }
    rows = []
    for outer in names:
        sums = {
            recipe: sum(
                counts[pair][other]
                for pair in counts
                if outer in pair
                for other in pair
                if other != outer
            )
            for recipe, counts in inner.items()
        }
        chosen = max(sums, key=lambda recipe: sums[recipe])
        right = [bench.right(chosen, (outer,), seed)[outer] for seed in range(arguments.seeds)]
        size = sum(fold == outer for fold in folds.values())
        rows.append({"fold": outer, "inner": sums, "chosen": chosen, "right": right, "of": size})
        print(rows[-1], flush=True)
    by_seed = [
        sum(row["right"][seed] for row in rows) / len(folds) for seed in range(arguments.seeds)
    ]
    spread = stdev(by_seed) if len(by_seed) > 1 else 0.0
    print(f"accuracy {mean(by_seed):.3f}, standard deviation over seeds {spread:.3f}: {by_seed}")
    if arguments.json:
        packages = ("genre-kit", "jax", "jaxlib", "flax", "optax", "numpy")
        figures = {
            "versions": {name: version(name) for name in packages},
            "recipes": {name: dataclasses.asdict(recipe) for name, recipe in RECIPES.items()},
            "folds": rows,
            "accuracy_by_seed": by_seed,
            "accuracy": mean(by_seed),
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def catalogue_of(folder: Path, work: Path) -> Catalogue:
    """Return the catalogue of the clips, with features."""
    place = work / "catalogue"
    if not (place / "tracks.csv").exists():
        save(from_csv(folder / "labels.csv"), place)
    catalogue = load(place)
    extract(catalogue, FEATURES)
    return catalogue


@dataclasses.dataclass(frozen=True)
class Bench:
    """Trains a recipe beside held-out folds, and counts the clips that it gets right."""

    catalogue: Catalogue
    collection: Collection
    folds: dict[str, str]
    runs: Path

    def right(self, recipe: str, held_out: Sequence[str], seed: int) -> dict[str, int]:
        """Return the clips that are right of each held-out fold."""
        parts = self.collection.parts.copy()
        parts["part"] = [
            "test" if self.folds[track_id] in held_out else "train"
            for track_id in parts["track_id"]
        ]
        experiment = dataclasses.replace(
            RECIPES[recipe],
            name=recipe,
            catalogue=str(self.catalogue.folder.resolve()),
            train=dataclasses.replace(RECIPES[recipe].train, seed=seed),
        )
        collection = dataclasses.replace(self.collection, parts=parts)
        run = train(experiment, collection, runs=self.runs)
        scores = score_part(run, restore(run.folder, "last"), self.catalogue, "test")
        answers = scores.answers.of_tracks().argmax(axis=1)
        tracks = scores.tracks
        right = tracks["label"].to_numpy() == np.array(self.collection.labels)[answers]
        of_fold = np.array([self.folds[track_id] for track_id in tracks["track_id"]])
        counts = {name: int(right[of_fold == name].sum()) for name in held_out}
        print(recipe, seed, counts, flush=True)
        return counts


if __name__ == "__main__":
    main()

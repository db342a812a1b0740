"""A run for 30 to 150 clips a label, chosen by nested cross-validation.

Command:   python experiments/small_set.py data/mine
Hardware:  2 CPU cores, about 8 minutes for 400 clips of 5 s
Expected:  ESC-10 by its own folds (--split.by track --split.fold-column fold), with musicnn's
           weights: accuracy by track 0.932, 95% interval 0.903 to 0.953

Prints each candidate, the accuracy with less music, and that of the choice on unseen tracks. Splits
by artist by default. To train networks too, add --networks short_chunk musicnn.
"""

from pathlib import Path

import kit
from kit.cli.script import as_script
from kit.cli.train import by_recipe
from kit.evaluation.baselines.beside import RECIPE
from kit.evaluation.baselines.nested import in_words
from kit.evaluation.small_set import beside
from kit.shallow.recipe import NetworkName, SmallSetConfig
from kit.terminal import bars, say


def main(
    catalogue: Path,
    /,
    split: kit.SplitConfig = kit.SplitConfig(),
    features: kit.FeatureConfig = kit.FeatureConfig(),
    networks: tuple[NetworkName, ...] = (),
    seed: int = 0,
) -> None:
    """Choose among classifiers and averages of them, and score the choice.

    Args:
        catalogue: Folder that `kit scan` made.
        split: Groups of the folds, and their number (default 5) or their column.
        features: Position, number and length of the excerpts.
        networks: Networks to train as candidates.
        seed: Seed of forests, dictionaries and inner folds.
    """
    about = {"features": features, "split": split, "seed": seed}
    experiment = by_recipe(catalogue, SmallSetConfig(networks=networks), **about)
    run = kit.fit(experiment, progress=True)
    with bars() as progress:
        found, weights = beside(run, progress=progress)
    for point in found.curve:
        say(f"{point.groups:.0f} groups, {point.tracks:.0f} tracks: {point.accuracy:.3f}")
    for row in (rows := kit.evaluate(run)["baselines"]["rows"]):
        low, high = row["interval"]
        print(f"{row['accuracy']:.3f}  {low:.3f} to {high:.3f}  {row['name']}")
    own = next(row for row in rows if row["name"] == RECIPE)
    print(
        f"accuracy by track {own['accuracy']:.3f}, 95% interval {own['interval'][0]:.3f} to "
        f"{own['interval'][1]:.3f}, chosen: {in_words(weights)}"
    )


if __name__ == "__main__":
    as_script(main, {})

"""The best that kit knows for 30 to 150 clips a label: a choice by nested cross-validation.

Command:   python experiments/small_set.py data/mine
Hardware:  2 CPU cores, about 10 minutes for 400 clips
Expected:  ESC-10 by its own folds (--split.by track --split.fold-column fold), with musicnn's
           weights: accuracy by track 0.915, 95% interval 0.883 to 0.939

Prints what was tried, what more music would bring, and what the choice is worth on tracks that had
no part in it. Splits by artist; `--split.by track` and `--split.fold-column` say otherwise.
"""

from pathlib import Path

import kit
from kit.cli.script import as_script
from kit.cli.stages.embedding import compute
from kit.terminal import bars, say, warn
from kit.weights.musicnn import weights_file

WITHOUT = "without musicnn's weights: `kit weights musicnn` (they bring ESC-10 from 0.90 to 0.92)"


def main(
    catalogue: Path,
    /,
    split: kit.SplitConfig = kit.SplitConfig(),
    features: kit.FeatureConfig = kit.FeatureConfig(),
    seed: int = 0,
) -> None:
    """Choose among classifiers and averages of them, and tell what the choice is worth.

    Args:
        catalogue: Folder that `kit scan` made.
        split: What the folds keep apart, and their number (5 if not given) or their column.
        features: Position, number and length of the excerpts.
        seed: Seed of forests, dictionaries and inner folds.
    """
    probed = {}
    if weights_file("MSD_musicnn").is_file():
        probed["musicnn"] = compute(kit.catalogue.load(catalogue), "MSD_musicnn", 30.0)
    else:
        warn(WITHOUT)
    with bars() as progress:
        found = kit.baselines(
            catalogue, features, split, probed=probed, choose=True, seed=seed, progress=progress
        )
    print(found.table.round(3).to_string(index=False))
    for point in found.curve:
        say(f"{point.groups:.0f} groups, {point.tracks:.0f} tracks: {point.accuracy:.3f}")
    row = found.table.iloc[-1]
    print(
        f"accuracy by track {row.accuracy:.3f}, 95% interval {row.low:.3f} to {row.high:.3f}, "
        f"chosen: {found.chosen}"
    )


if __name__ == "__main__":
    as_script(main, {})

"""The best that kit knows for 30 to 150 clips a label: a choice by nested cross-validation.

Command:   python experiments/small_set.py data/mine
Hardware:  2 CPU cores, about 5 minutes for 400 clips
Expected:  ESC-10 by its own folds, without published weights: see docs/baselines.md

Prints what was tried, what more music would bring, and what the choice is worth on tracks that had
no part in it. Splits by artist; `--split.by track` and `--split.fold-column` say otherwise.
"""

from pathlib import Path

import kit
from kit.cli.script import as_script
from kit.terminal import bars, say


def main(
    catalogue: Path,
    /,
    split: kit.SplitConfig = kit.SplitConfig(),
    features: kit.FeatureConfig = kit.FeatureConfig(),
    seed: int = 0,
) -> None:
    """Choose among baselines and averages of them, and tell what the choice is worth.

    Args:
        catalogue: Folder that `kit scan` made.
        split: What the folds keep apart, and their number (5 if not given) or their column.
        features: Position, number and length of the excerpts.
        seed: Seed of forests, dictionaries and inner folds.
    """
    with bars() as progress:
        found = kit.baselines(catalogue, features, split, choose=True, seed=seed, progress=progress)
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

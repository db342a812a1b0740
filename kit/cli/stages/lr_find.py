"""A catalogue to a learning-rate range test."""

from pathlib import Path
from typing import Any

import pandas as pd

from kit import terminal
from kit.catalogue import Catalogue
from kit.catalogue.rights import require_audio_rights
from kit.cli.stages.features import compute
from kit.config import Experiment
from kit.evaluation import figures
from kit.files import atomic_write
from kit.plots.style import save
from kit.training.lr_find import RangeTest, lr_find


def find(
    experiment: Experiment, catalogue: Catalogue, *, out: Path, rights: bool, **options: Any
) -> RangeTest:
    """Compute missing features, test learning rates, and write a figure and a table.

    Args:
        experiment: the configuration.
        catalogue: the experiment's, loaded.
        out: folder of lr_find.svg and lr_find.csv.
        rights: the user states a right to train on the catalogue's audio.
        options: of `kit.training.lr_find.lr_find`.
    Raises:
        UsageError: audio from Spotify without a stated right to it, or options that do not fit.
        KitError: the folder cannot be written.
    """
    # Before hours of work; `lr_find` checks again the tracks that it trains on.
    require_audio_rights(catalogue, stated=rights)
    compute(catalogue, experiment.features, segments=experiment.segments, brief=True)
    with terminal.bar("lr-find") as update:
        found = lr_find(
            experiment,
            catalogue,
            rights=rights,
            progress=lambda done, total: update(done, total, ""),
            **options,
        )
    table = {"learning_rate": found.rates, "loss": found.losses, "smoothed_loss": found.smoothed}
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / "lr_find.csv") as stream:
        pd.DataFrame(table).to_csv(stream, index=False, lineterminator="\n")
    picture = save(figures.range_test(found), out / "lr_find.svg")
    end = "the loss diverged" if found.diverged else "the highest rate was reached"
    terminal.say(f"{len(found.rates)} steps up to {found.rates[-1]:.2g}, where {end}: {picture}")
    if found.suggestion is None:
        terminal.say("no suggestion: the loss does not fall; try more --steps or other rates")
    else:
        terminal.say(
            f"the smoothed loss is least at {10 * found.suggestion:.2g}; a tenth of it: "
            f"try --train.learning-rate {found.suggestion:.2g}"
        )
    return found

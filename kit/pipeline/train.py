"""A catalogue to a trained run."""

from pathlib import Path

import pandas as pd

from kit import terminal
from kit.catalogue import load
from kit.catalogue.rights import require_rights
from kit.config import Experiment, require_model
from kit.pipeline.features import features
from kit.training import Progress, Run, fit


def train(experiment: Experiment, *, runs: Path, fresh: bool = False, rights: bool = False) -> Run:
    """Features, then training, with a bar.

    Args:
        experiment: the configuration.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        rights: the user states a right to train on the catalogue's audio (`kit.training.fit`).
    Raises:
        UsageError: audio from Spotify, and no right to it stated.
    """
    # Both before the work of hours; `fit` asks for the right once more, of what it trains on.
    require_model(experiment.model)
    catalogue = load(Path(experiment.catalogue))
    require_rights(_with_audio(catalogue.table), catalogue.folder, stated=rights)
    features(catalogue.folder, experiment.features)
    with terminal.bar("train") as update:

        def progress(p: Progress) -> None:
            shown = ("train_loss", "validation_loss", "validation_accuracy")
            known = {k: p.metrics.get(k) for k in shown if p.metrics.get(k) is not None}
            update(p.step, p.total_steps, " ".join(f"{k} {v:.3f}" for k, v in known.items()))

        run = fit(experiment, runs=runs, fresh=fresh, rights=rights, progress=progress)
    rows = run.metrics()
    terminal.say(f"trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}")
    return run


def _with_audio(table: pd.DataFrame) -> pd.DataFrame:
    return table.loc[table["path"] != ""] if "path" in table else table.iloc[:0]

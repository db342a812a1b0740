"""A catalogue to a trained run."""

import shlex
from pathlib import Path

from kit import terminal
from kit.catalogue import Catalogue
from kit.catalogue.rights import require_audio_rights
from kit.catalogue.split import kept_apart
from kit.cli.stages.features import compute
from kit.config import Experiment
from kit.training import Progress, Run, fit
from kit.training.stopping import early_stop_in_words

_SHOWN = ("train_loss", "validation_loss", "validation_accuracy")


def train(
    experiment: Experiment,
    catalogue: Catalogue,
    *,
    runs: Path,
    fresh: bool = False,
    rights: bool = False,
) -> Run:
    """Compute missing features and train, with bars and a summary.

    Args:
        experiment: the configuration.
        catalogue: the experiment's, loaded.
        runs: folder of the run folders.
        fresh: start a new run even if there is one.
        rights: the user states a right to train on the catalogue's audio (`kit.training.fit`).
    Raises:
        UsageError: audio from Spotify without a stated right to it, or a split that cannot be
            made.
    """
    # Before hours of work; `fit` checks again the tracks that it trains on.
    require_audio_rights(catalogue, stated=rights)
    apart = kept_apart(catalogue.table, experiment.split)
    compute(catalogue, experiment.features, segments=experiment.segments)
    if apart.alone:
        terminal.warn(apart.in_words())
    steps = 0
    with terminal.bar("train") as update:

        def progress(p: Progress) -> None:
            nonlocal steps
            if not steps:
                terminal.say(p.path)
            steps += 1
            known = {k: p.metrics.get(k) for k in _SHOWN if p.metrics.get(k) is not None}
            update(p.step, p.total_steps, " ".join(f"{k} {v:.3f}" for k, v in known.items()))

        run = fit(
            experiment,
            catalogue=catalogue,
            runs=runs,
            fresh=fresh,
            rights=rights,
            progress=progress,
        )
    rows = run.metrics()
    if said := early_stop_in_words(rows, experiment):
        terminal.say(said)
    if steps:
        terminal.say(f"trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}")
    else:
        terminal.say(
            f"already trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}; "
            f"--fresh trains anew, --train.seed {experiment.train.seed + 1} trains another one"
        )
    return run


def say_next(run: Run) -> None:
    """Print the command that comes after a training."""
    terminal.say(f"next: kit evaluate {shlex.quote(str(run.folder))}")

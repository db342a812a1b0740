"""Train a network on a catalogue."""

import shlex
from functools import partial
from pathlib import Path
from typing import Any

from kit import terminal
from kit.catalogue import Catalogue
from kit.catalogue.rights import require_audio_rights
from kit.catalogue.split import kept_apart
from kit.cli.interrupt import in_two_steps
from kit.cli.stages.features import compute
from kit.config import Experiment
from kit.shallow.recipe import SmallSetConfig
from kit.training import Run, TrainingProgress, fit
from kit.training.processes import agreed, is_first
from kit.training.stopping import early_stop_in_words
from kit.training.transfer import published

_SHOWN = ("train_loss", "validation_loss", "validation_accuracy")


def train(
    experiment: Experiment,
    catalogue: Catalogue,
    *,
    runs: Path,
    fresh: bool = False,
    memory_gib: float = 4.0,
    rights: bool = False,
) -> Run:
    """Compute missing features and train, with progress bars and a summary.

    Args:
        catalogue: the tracks of the experiment.
        The others: as for `kit.training.fit`.
    Raises:
        UsageError: audio from Spotify without a stated right, or an impossible split.
    """
    # Fail before hours of work; `fit` checks the tracks that it trains on again.
    require_audio_rights(catalogue, stated=rights)
    published(experiment.model)
    apart = kept_apart(catalogue.table, experiment.split)
    agreed(lambda: _compute(experiment, catalogue))
    about = {"catalogue": catalogue, "runs": runs, "fresh": fresh, "rights": rights}
    if isinstance(experiment.model, SmallSetConfig):
        return _by_recipe(experiment, about)
    train_it = partial(fit, experiment, memory_gib=memory_gib, **about)
    if not is_first():
        return train_it()
    # For official folds, the summary after the training says whether they keep artists apart.
    if apart.alone and experiment.split.fold_column is None:
        terminal.warn(apart.in_words())
    steps = 0
    with terminal.bar("train") as update:

        def progress(p: TrainingProgress) -> None:
            nonlocal steps
            if not steps:
                terminal.say(p.path)
            steps += 1
            known = {k: p.metrics.get(k) for k in _SHOWN if p.metrics.get(k) is not None}
            said = [p.place, *(f"{k} {v:.3f}" for k, v in known.items())]
            update(p.done, p.total, " ".join(text for text in said if text))

        run = train_it(progress=progress)
    if run.inside:
        _say_networks(run, steps > 0)
        return run
    rows = run.metrics()
    if said := early_stop_in_words(rows, experiment):
        terminal.say(said)
    if steps:
        terminal.say(f"trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}")
    else:
        terminal.say(
            f"already trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}; "
            f"--fresh trains it again, --train.seed {experiment.train.seed + 1} trains another one"
        )
    return run


def _by_recipe(experiment: Experiment, about: dict[str, Any]) -> Run:
    from kit.evaluation.small_set import fit_small_set

    with in_two_steps() as stop, terminal.bars() as show:
        run = fit_small_set(
            experiment,
            progress=lambda p: show("train", p.done, p.total, f"{p.place} {p.path}"),
            show=show,
            stop=stop,
            **about,
        )
    for network in run.trainings:
        terminal.say(f"{network.folder.name}: {network.metrics()[-1]['chosen']}")
    terminal.say(run.facts()["kept_apart"]["in_words"])
    terminal.say(f"trained: {run.folder}")
    return run


def _compute(experiment: Experiment, catalogue: Catalogue) -> None:
    compute(catalogue, experiment.features, segments=experiment.segments)


def _say_networks(run: Run, trained: bool) -> None:
    """Print the networks of a run of folds or members, and which of them stopped early."""
    for network in run.trainings:
        if said := early_stop_in_words(network.metrics(), network.experiment()):
            terminal.say(f"{network.folder.relative_to(run.folder)}: {said}")
    if run.is_folded:
        terminal.say(run.facts()["kept_apart"]["in_words"])
    networks, how = len(run.trainings), "trained" if trained else "already trained"
    hint = "" if trained else "; --fresh trains them again"
    terminal.say(f"{how} {networks} networks: {run.folder}{hint}")


def say_next(run: Run) -> None:
    """Print the next command after a training."""
    terminal.say(f"next: kit evaluate {shlex.quote(str(run.folder))}")

"""A catalogue to a trained run."""

from pathlib import Path

from kit import terminal
from kit.config import Experiment
from kit.models import check
from kit.pipeline.features import features
from kit.training import Progress, Run, fit


def train(experiment: Experiment, *, runs: Path, fresh: bool = False) -> Run:
    """Features, then training, with a bar."""
    check(experiment.model)  # before the work of hours
    features(Path(experiment.catalogue), experiment.features)
    with terminal.bar("train") as update:

        def progress(p: Progress) -> None:
            shown = ("train_loss", "validation_loss", "validation_accuracy")
            known = {k: p.metrics.get(k) for k in shown if p.metrics.get(k) is not None}
            update(p.step, p.total_steps, " ".join(f"{k} {v:.3f}" for k, v in known.items()))

        run = fit(experiment, runs=runs, fresh=fresh, progress=progress)
    rows = run.metrics()
    terminal.say(f"trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}")
    return run

"""A whole experiment on a catalogue that is there."""

from pathlib import Path

from kit.config import Experiment
from kit.pipeline.evaluate import evaluate
from kit.pipeline.train import train
from kit.training import Run


def run(experiment: Experiment, *, runs: Path = Path("runs"), fresh: bool = False) -> Run:
    """A whole experiment: features, training, evaluation and its report."""
    trained = train(experiment, runs=runs, fresh=fresh)
    evaluate(trained.folder)
    return trained

"""The whole job on the embedded default, from the rendering of its audio on."""

import subprocess
import sys
from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.config import DemoConfig, Experiment
from kit.defaults import for_length
from kit.demo import render
from kit.errors import KitError, UsageError
from kit.features import FeatureStore, store_path
from kit.pipeline.scan import scan
from kit.pipeline.train import train
from kit.training import Run


def demo(config: DemoConfig, experiment: Experiment, *, runs: Path, fresh: bool = False) -> Run:
    """The main job on the embedded default; the evaluation is a new process's, from the files."""
    experiment = for_length(experiment, config.duration_s)
    if experiment.split.by == "artist" and config.artists < 6:
        raise UsageError(
            f"DemoConfig.artists is {config.artists}; to have one of each genre in every part of a "
            "split by artist it must be at least 6"
        )
    folder = Path(experiment.catalogue)
    with terminal.bar("render") as progress:
        audio = render(config, folder, fresh=fresh, progress=progress)
    scan(audio, folder, label=None, audio_root=None)
    if fresh:
        FeatureStore.delete(store_path(load(folder), experiment.features))
    trained = train(experiment, runs=runs, fresh=fresh)
    command = [sys.executable, "-m", "kit", "evaluate", str(trained.folder)]
    if subprocess.run(command, check=False, stderr=_stderr()).returncode:
        raise KitError(f"the evaluation failed; try it alone: kit evaluate {trained.folder}")
    return trained


def _stderr() -> int | None:
    """Python's stderr for a child, which need not be file 2; None, the default, in a notebook."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None

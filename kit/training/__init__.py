"""Train networks on features, and restore them from the checkpoints of a run."""

from kit.training.arrays import fit_arrays
from kit.training.fitting import fit
from kit.training.folders import listing, locate
from kit.training.loop import TrainingProgress
from kit.training.restore import Restored, restore
from kit.training.run import Run
from kit.training.scores import track_log_probabilities

__all__ = [
    "Restored",
    "Run",
    "TrainingProgress",
    "fit",
    "fit_arrays",
    "listing",
    "locate",
    "restore",
    "track_log_probabilities",
]

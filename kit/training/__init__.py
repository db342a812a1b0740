"""Training: features to a run with checkpoints, and a run back to a network that answers."""

from kit.training.loop import Progress, fit
from kit.training.restore import Restored, restore
from kit.training.run import Run

__all__ = ["Progress", "Restored", "Run", "fit", "restore"]

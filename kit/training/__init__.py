"""Train networks on features, and restore them from the checkpoints of a run.

What only training needs is imported on demand: a restored network does without.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kit.training.folders import listing, locate
from kit.training.restore import Restored, restore
from kit.training.run import Run
from kit.training.scores import track_log_probabilities

if TYPE_CHECKING:
    from kit.training.arrays import fit_arrays
    from kit.training.fitting import fit
    from kit.training.loop import TrainingProgress

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

_MODULES = {"fit": "fitting", "fit_arrays": "arrays", "TrainingProgress": "loop"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

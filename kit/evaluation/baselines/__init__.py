"""Baselines: simple classifiers of simple numbers, on the network's folds.

Names are imported on demand: a report of stored baselines needs no scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.evaluation.baselines.run import Baselines, baselines

__all__ = ["Baselines", "baselines"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.run"), name)

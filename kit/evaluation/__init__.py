"""Evaluation: score a run, and write figures and a report.

Names are imported on demand: predictions need neither Matplotlib nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.evaluation.parts import Part
    from kit.evaluation.scoring import evaluate, score_arrays
    from kit.evaluation.words import evaluation_in_words

__all__ = ["Part", "evaluate", "evaluation_in_words", "score_arrays"]

_MODULES = {"Part": "parts", "evaluation_in_words": "words"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'scoring')}"), name)

"""kit: tell dance-music genres apart by ear, in JAX.

The names below are imported when they are first used, so `import kit` is instant and imports no
JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit import audio, catalogue, dsp, explore, features, models, predict, training
    from kit.cli.script import run_script
    from kit.config import (
        AugmentConfig,
        Conv1DConfig,
        DemoConfig,
        Experiment,
        ExtractConfig,
        FeatureConfig,
        FrontendConfig,
        MusicnnConfig,
        OptimiserConfig,
        PreviewConfig,
        SegmentConfig,
        ShortChunkConfig,
        SplitConfig,
        TrainConfig,
    )
    from kit.errors import KitError, KitWarning
    from kit.evaluation import evaluate
    from kit.evaluation.baselines.run import baselines
    from kit.experiment import fit, fit_arrays, run, sweep
    from kit.features.embed import embed
    from kit.predict import load
    from kit.shallow.recipe import small_set

__version__ = "0.1.0"

_NAMES = {
    **dict.fromkeys(("fit", "fit_arrays", "run", "sweep"), "kit.experiment"),
    "embed": "kit.features.embed",
    "run_script": "kit.cli.script",
    "baselines": "kit.evaluation.baselines.run",
    "evaluate": "kit.evaluation",
    "load": "kit.predict",
    "small_set": "kit.shallow.recipe",
    **dict.fromkeys(("KitError", "KitWarning"), "kit.errors"),
    **dict.fromkeys(
        (
            *("AugmentConfig", "Conv1DConfig", "DemoConfig", "Experiment", "ExtractConfig"),
            *("FeatureConfig", "FrontendConfig", "MusicnnConfig", "OptimiserConfig"),
            *("PreviewConfig", "SegmentConfig", "ShortChunkConfig", "SplitConfig", "TrainConfig"),
        ),
        "kit.config",
    ),
}
_ROOMS = ("audio", "catalogue", "dsp", "explore", "features", "models", "predict", "training")

__all__ = [
    "AugmentConfig",
    "Conv1DConfig",
    "DemoConfig",
    "Experiment",
    "ExtractConfig",
    "FeatureConfig",
    "FrontendConfig",
    "KitError",
    "KitWarning",
    "MusicnnConfig",
    "OptimiserConfig",
    "PreviewConfig",
    "SegmentConfig",
    "ShortChunkConfig",
    "SplitConfig",
    "TrainConfig",
    "__version__",
    "audio",
    "baselines",
    "catalogue",
    "dsp",
    "embed",
    "evaluate",
    "explore",
    "features",
    "fit",
    "fit_arrays",
    "load",
    "models",
    "predict",
    "run",
    "run_script",
    "small_set",
    "sweep",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"kit.{name}")
    if name not in _NAMES:
        raise AttributeError(f"module 'kit' has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return __all__

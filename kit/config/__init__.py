"""Configuration of every stage, as frozen dataclasses that check themselves.

The same classes define the command line (tyro), the JSON in a run's folder, and the hash that names
a feature store. They import no large package, so that `kit --help` is fast.
"""

from kit.config.base import (
    LATER,
    Checked,
    from_dict,
    from_json,
    hash_of,
    identity,
    replaced,
    to_dict,
    to_json,
)
from kit.config.collection import DemoConfig, MixConfig, PreviewConfig, SplitConfig
from kit.config.experiment import Experiment
from kit.config.features import (
    MUSICNN_FRONTEND,
    DecodeConfig,
    ExtractConfig,
    FeatureConfig,
    FrontendConfig,
    frames_of,
    seconds_of,
)
from kit.config.models import (
    MODELS,
    Conv1DConfig,
    MusicnnConfig,
    ShortChunkConfig,
    model_class,
    require_model,
)
from kit.config.training import (
    AugmentConfig,
    DistributedConfig,
    OptimiserConfig,
    SegmentConfig,
    TrainConfig,
)

__all__ = [
    "LATER",
    "MODELS",
    "MUSICNN_FRONTEND",
    "AugmentConfig",
    "Checked",
    "Conv1DConfig",
    "DecodeConfig",
    "DemoConfig",
    "DistributedConfig",
    "Experiment",
    "ExtractConfig",
    "FeatureConfig",
    "FrontendConfig",
    "MixConfig",
    "MusicnnConfig",
    "OptimiserConfig",
    "PreviewConfig",
    "SegmentConfig",
    "ShortChunkConfig",
    "SplitConfig",
    "TrainConfig",
    "frames_of",
    "from_dict",
    "from_json",
    "hash_of",
    "identity",
    "model_class",
    "replaced",
    "require_model",
    "seconds_of",
    "to_dict",
    "to_json",
]

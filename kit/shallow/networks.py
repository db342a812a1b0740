"""Networks among the recipe's candidates: features, segments and training of each."""

import math
from dataclasses import replace
from typing import Any, Literal, get_args

from kit.config import (
    MUSICNN_FRONTEND,
    AugmentConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    MusicnnConfig,
    OptimiserConfig,
    SegmentConfig,
    ShortChunkConfig,
    SplitConfig,
    TrainConfig,
    frames_of,
    seconds_of,
)
from kit.defaults import for_weights
from kit.errors import ConfigError

NetworkName = Literal["short_chunk", "musicnn"]
NETWORKS: tuple[str, ...] = get_args(NetworkName)
SHORT_CHUNK = ShortChunkConfig(pooling="statistics")
MUSICNN = MusicnnConfig(transfer="fine-tune")

HEARD = 90
"""Training segments of each track for short_chunk: 90 epochs with clips of 5 s, as on ESC-10, or
15 with clips of 30 s."""
_FRONTEND = FrontendConfig(hop_length=1024, n_mels=64)
_FRAMES = 96  # 4.5 s
# The best of three recipes on ESC-10 in the nested folds of benchmarks/esc10.py.
_TRAIN = TrainConfig(
    batch_size=32,
    learning_rate=3e-3,
    standardise="band",
    optimiser=OptimiserConfig(name="adamw", weight_decay=0.05, warmup=0.1),
    augment=AugmentConfig(
        gain_db=6.0, tilt_db=6.0, shift=8, time_masks=1, band_masks=1, band_width=8
    ),
)


def row_of(name: str) -> str:
    """Return the name of a network's row in a table."""
    return f"{name}, trained"


def experiments_of(recipe: Experiment) -> dict[str, Experiment]:
    """Return the experiment of each network of a recipe (`kit.shallow.recipe.small_set`).

    A track that is shorter than a segment is repeated up to a segment (`kit.features.log_mel`).

    Raises:
        ConfigError: an excerpt is shorter than the network needs.
    """
    made = {"short_chunk": _short_chunk, "musicnn": _musicnn}
    return {name: made[name](recipe) for name in recipe.model.networks}


def _short_chunk(recipe: Experiment) -> Experiment:
    own, model = recipe.model, recipe.model.short_chunk
    features = _log_mel(recipe.features, _FRONTEND, model.least_frames, "short_chunk")
    segments = SegmentConfig(frames=min(_FRAMES, features.n_frames))
    made = _experiment(recipe, features, segments, model, replace(_TRAIN, members=own.members))
    epochs = own.epochs or math.ceil(HEARD / made.segments_per_track)
    return replace(made, train=replace(made.train, epochs=epochs))


def _musicnn(recipe: Experiment) -> Experiment:
    own, model = recipe.model, recipe.model.musicnn
    known = for_weights(model)
    segments, train = known["segments"], known["train"]
    features = _log_mel(recipe.features, MUSICNN_FRONTEND, segments.frames, "musicnn")
    train = replace(train, epochs=own.epochs or train.epochs)
    return _experiment(recipe, features, segments, model, train)


def _log_mel(
    features: FeatureConfig, frontend: FrontendConfig, least: int, name: str
) -> FeatureConfig:
    """Return the features of a network for the excerpts of a recipe."""
    frames = frames_of(int(features.clip_s * frontend.sample_rate), frontend)
    if frames < least:
        raise ConfigError(
            f"FeatureConfig.clip_s is {features.clip_s:g}; the network {name} needs excerpts of "
            f"{seconds_of(least, frontend):.2g} s at least: raise --features.clip-s, or leave "
            f"{name} out of --model.networks"
        )
    log_mel: dict[str, Any] = {"keep": "log_mel", "dtype": "float32", "least_s": None}
    return replace(features, frontend=frontend, n_frames=frames, **log_mel)


def _experiment(
    recipe: Experiment,
    features: FeatureConfig,
    segments: SegmentConfig,
    model: ShortChunkConfig | MusicnnConfig,
    train: TrainConfig,
) -> Experiment:
    return replace(
        recipe,
        features=features,
        split=SplitConfig(by=recipe.split.by, validation_fraction=0.0),
        segments=segments,
        model=model,
        train=replace(train, seed=recipe.train.seed),
    )

"""Presets: the demo's and the original project's; light, since the command line shows them."""

import dataclasses
from typing import Any

from kit.config import (
    MUSICNN_FRONTEND,
    Experiment,
    FeatureConfig,
    MusicnnConfig,
    OptimiserConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import ConfigError

ORIGINAL_FEATURES = FeatureConfig(position="start", least_s=None)
"""The original project's: the first 1280 frames of a track; shorter tracks are left out."""

ORIGINAL_SEGMENTS = SegmentConfig(hop=128, draw="grid")
"""The original project's: ten segments side by side, in training and in evaluation."""

DEMO = Experiment(
    name="demo",
    catalogue="data/demo",
    split=SplitConfig(
        by="artist",  # a network that has learned an artist's drums has not learned a genre
        folds=4,  # a quarter of 24 artists alone is too few for a claim
    ),
    train=TrainConfig(epochs=12),  # the training part is right to the last track after five
)

DEMO_HELD_OUT = dataclasses.replace(DEMO, split=SplitConfig(by="artist", test_fraction=0.25))
"""The demo with one network, for experiments that train many; six of its artists are held out."""


def for_length(experiment: Experiment, duration_s: float) -> Experiment:
    """Return an experiment whose rows hold no more frames than tracks of this length give.

    Args:
        experiment: one for tracks of any length.
        duration_s: length of the tracks, seconds.
    Returns:
        The same experiment, but for the length of its excerpts and the shortest track it takes.
    Raises:
        ConfigError: a track does not hold one segment.
    """
    features, segment = experiment.features, experiment.segments.frames
    clip_s = min(features.clip_s, duration_s)
    frames = dataclasses.replace(features, clip_s=clip_s, n_frames=1).clip_frames
    if frames < segment:
        needed_s = segment * features.frontend.hop_length / features.frontend.sample_rate
        raise ConfigError(
            f"DemoConfig.duration_s is {duration_s:g}; one segment of {segment} frames needs "
            f"{needed_s:.2f} s"
        )
    features = dataclasses.replace(
        features,
        clip_s=clip_s,
        n_frames=min(features.n_frames, frames),
        least_s=None if features.least_s is None else min(features.least_s, clip_s),
    )
    return dataclasses.replace(experiment, features=features)


MUSICNN_FEATURES = FeatureConfig(frontend=MUSICNN_FRONTEND, n_frames=1870)
"""musicnn's front end and the 30 s in the middle of a track, ten segments of 3 s."""

MUSICNN_SEGMENTS = SegmentConfig(frames=187, hop=187, draw="grid")
"""The patches that musicnn's weights were trained on, side by side: so all segments are known
before, and the frozen part's outputs are computed once."""

_STEPS = {
    "probe": TrainConfig(epochs=1, standardise="none"),
    "head": TrainConfig(epochs=20, optimiser=OptimiserConfig(name="adamw"), standardise="none"),
    "fine-tune": TrainConfig(
        epochs=5, learning_rate=1e-4, optimiser=OptimiserConfig(name="adamw"), standardise="none"
    ),
}


def for_weights(model: Any) -> dict[str, Any]:
    """Return the other fields of an experiment whose network starts from published weights.

    They are features, segments, split and training:
    `Experiment(model=model, **for_weights(model))`. Nothing is held out for validation, since small
    collections need every track.

    Args:
        model: the options of a network; without weights the answer is empty.
    """
    if not isinstance(model, MusicnnConfig) or model.transfer == "none":
        return {}
    return {
        "features": MUSICNN_FEATURES,
        "segments": MUSICNN_SEGMENTS,
        "split": SplitConfig(validation_fraction=0.0),
        "train": _STEPS[model.transfer],
    }

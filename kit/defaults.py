"""Presets of the demo, the original project and musicnn, without large imports."""

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
"""The original project's features: the first 1280 frames; shorter tracks are left out."""

ORIGINAL_SEGMENTS = SegmentConfig(hop=128, draw="grid")
"""The original project's segments: ten adjacent ones, in training and evaluation."""

DEMO = Experiment(
    name="demo",
    catalogue="data/demo",
    split=SplitConfig(
        by="artist",  # otherwise a network can recognise an artist's drums
        folds=4,  # one test part of 24 artists is too small for a claim
    ),
    train=TrainConfig(epochs=12),  # the training accuracy is 1 after five
)

DEMO_HELD_OUT = dataclasses.replace(DEMO, split=SplitConfig(by="artist", test_fraction=0.25))
"""The demo with one network and six held-out artists, for experiments that train many networks."""

SMALL_DEMO = dataclasses.replace(DEMO_HELD_OUT, name="demo-small", catalogue="data/demo-small")
"""One network for `kit demo --small`, which tries an installation."""


def for_length(experiment: Experiment, duration_s: float) -> Experiment:
    """Shorten an experiment's excerpts and its shortest track to tracks of this length.

    Raises:
        ConfigError: a track is shorter than one segment.
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
"""musicnn's front end, and the middle 30 s of a track, ten segments of 3 s."""

MUSICNN_SEGMENTS = SegmentConfig(frames=187, hop=187, draw="grid")
"""Adjacent patches of musicnn's length, so that all segments are known in advance and the frozen
layers' outputs are computed once."""

_STEPS = {
    "probe": TrainConfig(epochs=1, standardise="none"),
    "head": TrainConfig(epochs=20, optimiser=OptimiserConfig(name="adamw"), standardise="none"),
    "fine-tune": TrainConfig(
        epochs=5, learning_rate=1e-4, optimiser=OptimiserConfig(name="adamw"), standardise="none"
    ),
}


def for_weights(model: Any) -> dict[str, Any]:
    """Return the other fields of an experiment that starts from published weights.

    `Experiment(model=model, **for_weights(model))` sets features, segments, split and training.
    Small collections need every track, so the validation part is empty. Returns an empty dictionary
    for networks without published weights.
    """
    if not isinstance(model, MusicnnConfig) or model.transfer == "none":
        return {}
    return {
        "features": MUSICNN_FEATURES,
        "segments": MUSICNN_SEGMENTS,
        "split": SplitConfig(validation_fraction=0.0),
        "train": _STEPS[model.transfer],
    }

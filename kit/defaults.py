"""Presets: the demo's and the original project's; light, since the command line shows them."""

import dataclasses

from kit.config import Experiment, FeatureConfig, SegmentConfig, SplitConfig, TrainConfig
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
        test_fraction=0.25,
    ),
    train=TrainConfig(epochs=12),  # the training part is right to the last track after five
)


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

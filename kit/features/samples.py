"""Convert between excerpts and rows of a store of waveforms, which are rounded to 16 bits."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from kit.config import FeatureConfig
from kit.features import codec
from kit.features.excerpts import valid_frames


def stored(y: Float32[np.ndarray, " samples"], config: FeatureConfig) -> np.ndarray:
    """Return an excerpt bit for bit as `clips_of` returns it from a store of waveforms."""
    whole = valid_frames(len(y), config) * config.frontend.hop_length
    padded = np.zeros(whole, np.float32)
    padded[: len(y)] = y[:whole]
    kept = replace(config, keep="waveform", dtype="float32")
    return codec.decode(codec.encode(padded, kept), kept)[: config.clip_samples]


def clips_of(
    row: Float32[np.ndarray, "frames hop_length"], config: FeatureConfig
) -> list[Float32[np.ndarray, " samples"]]:
    """Return the samples of each excerpt in `row`, the valid frames of a row of samples."""
    return [y[: config.clip_samples] for y in whole_frames_of(row, config)]


def whole_frames_of(
    row: Float32[np.ndarray, "frames hop_length"], config: FeatureConfig
) -> list[Float32[np.ndarray, " samples"]]:
    """Return `clips_of`, with each excerpt's last frame filled."""
    cuts = range(config.n_frames, len(row), config.n_frames)
    return [part.reshape(-1) for part in np.split(row, list(cuts))]

"""Compute log-mel frames from stored samples, for networks with their own front end."""

from collections.abc import Sequence

import numpy as np
import soxr
from jaxtyping import Float32

from kit.config import FeatureConfig
from kit.features.device import row_of
from kit.features.samples import clips_of

Clips = Sequence[Float32[np.ndarray, " _"]]


def at_rate(clips: Clips, stored_hz: int, wanted_hz: int) -> Clips:
    """Return excerpts at another sample rate."""
    if stored_hz == wanted_hz:
        return clips
    return [soxr.resample(y, stored_hz, wanted_hz, quality="HQ") for y in clips]


def log_mel_row(
    row: Float32[np.ndarray, "frames hop_length"],
    stored: FeatureConfig,
    wanted: FeatureConfig,
    least: int,
) -> tuple[Float32[np.ndarray, "row_frames n_mels"], int]:
    """Return a track's row of log-mel frames, and the number of its valid frames.

    A track with fewer than `least` frames is repeated to this length.
    """
    clips = clips_of(row, stored)
    rates = (stored.frontend.sample_rate, wanted.frontend.sample_rate)
    made, frames = row_of(at_rate(clips, *rates), wanted)
    if frames < least:
        made = made.copy()
        made[:least] = np.resize(made[:frames], (least, made.shape[1]))
        frames = least
    return made, frames

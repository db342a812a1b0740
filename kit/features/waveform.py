"""The excerpts of a waveform in memory, placed and resampled as those of a file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kit.audio.source import Source
from kit.config import FeatureConfig
from kit.errors import UsageError
from kit.features.excerpts import Excerpt, excerpts_of, room

_NAME = Path("the waveform")  # in error messages, where a file's path stands
_BLOCK = 1 << 16  # samples resampled at once


def waveform_excerpts(y: np.ndarray, sample_rate: int, config: FeatureConfig) -> list[Excerpt]:
    """Return the excerpts that `kit.features.excerpts` takes from a file of these samples.

    Args:
        y: (samples,) or (channels, samples), floats with full scale 1.0. The mean of the channels
            is heard.
        sample_rate: of `y`, Hz.
        config: position, number and length of the excerpts.
    Raises:
        UsageError: an array of another shape or type, or no sample rate above 0.
        AudioError: too short, silent, cancelled when mixed, or not finite.
    """
    return excerpts_of(_source(y, sample_rate), config, room(config))


def _source(y: np.ndarray, sample_rate: int) -> Source:
    if not np.issubdtype(y.dtype, np.floating):
        raise UsageError(
            f"the waveform is of {y.dtype}; give floats with full scale 1.0 (int16: y / 32768)"
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[0] > y.shape[1]):
        raise UsageError(
            f"the waveform has shape {y.shape}; give (samples,) or (channels, samples), such as "
            "y.T of an array that soundfile read"
        )
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate}; it must be at least 1 Hz")
    channels = np.atleast_2d(y)

    def read(start: int, count: int | None) -> Iterator[np.ndarray]:
        end = channels.shape[1] if count is None else min(start + count, channels.shape[1])
        for at in range(start, end, _BLOCK):
            yield np.ascontiguousarray(channels[:, at : min(at + _BLOCK, end)].T, np.float32)

    return Source(_NAME, sample_rate, len(channels), "array", channels.shape[1], True, read, True)

"""Real files of every kind, written by libsndfile from one known sound."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


def sound(rate: int, channels: int, seconds: float, seed: int = 0) -> np.ndarray:
    """A chord and some noise, another one in each channel; (frames, channels) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    tones = [0.2 * np.sin(2 * np.pi * 110 * (c + 2) * t) for c in range(channels)]
    noise = 0.02 * rng.standard_normal((len(t), channels))
    return (np.stack(tones, axis=1) + noise).astype(np.float32)


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a sound to a file; the extension chooses the format."""

    def write(name: str, rate: int = 44100, channels: int = 2, seconds: float = 2.0, **how) -> Path:
        path = tmp_path / name
        soundfile.write(path, sound(rate, channels, seconds), rate, **how)
        return path

    return write

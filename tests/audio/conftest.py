"""Real files of every kind, written by libsndfile from one known sound."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

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


def write_foreign(
    path: Path,
    samples: np.ndarray,
    codec: str,
    format: str,
    options: Mapping[str, str] = MappingProxyType({}),
    *,
    metadata: Mapping[str, str] = MappingProxyType({}),
    layout: str = "stereo",
) -> None:
    """Write int16 samples of shape (frames, channels), 44,100 of them a second, by PyAV."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    rate = 48000 if codec == "libopus" else 44100
    with av.open(str(path), "w", format=format, options=dict(options)) as out:
        out.metadata.update(metadata)
        stream = out.add_stream(codec, rate=rate, layout=layout)
        if codec in ("wavpack", "tta"):
            # The first of their formats has 8 bits.
            stream.codec_context.format = "s16p" if codec == "wavpack" else "s16"
        elif not codec.startswith("pcm"):
            stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)

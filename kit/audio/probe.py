"""Facts in a file's header, checked by decoding its first block."""

from dataclasses import dataclass
from pathlib import Path

from kit.audio.open import open_source


@dataclass(frozen=True)
class AudioInfo:
    """Length, rate, channels and format of a file."""

    duration_s: float
    """Seconds; close, not exact, for an MP3 file without a length tag."""
    sample_rate: int
    """Hz."""
    channels: int
    """Number of channels."""
    format: str
    """Container or codec, such as "WAV", "FLAC", "OGG" or "MP3"."""


def probe(path: Path | str) -> AudioInfo:
    """Read a file's header and decode its beginning. Safe to call from threads.

    Args:
        path: the file.
    Returns:
        Facts of the header; the length is counted by decoding where the header does not tell.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file.
    """
    with open_source(path) as source:
        if source.frames is None:
            frames = sum(len(block) for block in source.blocks())
        else:
            frames = source.frames
            for _ in source.blocks(0, min(max(frames, 1), _FIRST)):
                pass
            if source.check_end is not None and frames > _FIRST:
                source.check_end()
        return AudioInfo(
            duration_s=frames / source.sample_rate,
            sample_rate=source.sample_rate,
            channels=source.channels,
            format=source.format,
        )


# Frames that are decoded to see whether it can be done at all.
_FIRST = 4096

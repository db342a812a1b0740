"""Length, rate, channels and format of a file."""

from dataclasses import dataclass
from pathlib import Path

from kit.audio.open import open_source


@dataclass(frozen=True)
class AudioInfo:
    """Length, rate, channels and format of a file.

    Example:
        >>> kit.audio.probe("music/high/00.flac").channels
        1
    """

    duration_s: float
    """Seconds: the number of frames that decoding gives, over the sample rate."""
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
        Its facts; see `duration_samples` for the length.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file.

    Example:
        >>> kit.audio.probe("music/high/00.flac").channels
        1
    """
    with open_source(path) as source:
        frames = source.length()
        for _ in source.blocks(0, min(max(frames, 1), _FIRST)):
            pass
        if source.check_end is not None:
            source.check_end()
        return AudioInfo(
            duration_s=frames / source.sample_rate,
            sample_rate=source.sample_rate,
            channels=source.channels,
            format=source.format,
        )


def duration_samples(path: Path | str) -> tuple[int, int]:
    """Return the length of a file in frames at its own rate, and that rate. Safe in threads.

    WAV, FLAC, Ogg, AIFF and most MP3 files state it. The frames of other MP3 files are counted by
    their headers. Files of other formats are decoded to their end.

    Args:
        path: the file.
    Returns:
        Frames, which are samples a channel, and the sample rate in Hz.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file.

    Example:
        >>> kit.audio.duration_samples("music/high/00.flac")
        (10400, 8000)
    """
    with open_source(path) as source:
        return source.length(), source.sample_rate


# Frames that are decoded to see whether it can be done at all.
_FIRST = 4096

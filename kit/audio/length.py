"""The exact length of a file."""

from pathlib import Path

from kit.audio.open import open_source


def duration_samples(path: Path | str) -> tuple[int, int]:
    """Return the length of a file in frames at its own rate, and that rate. Safe in threads.

    The container states the length of most files. The frames of an MP3 file without a length tag
    are counted by their headers. Other files are decoded to their end.

    Args:
        path: the file.
    Returns:
        Frames, which are samples a channel, and the sample rate in Hz.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file.
    """
    with open_source(path) as source:
        return source.length(), source.sample_rate

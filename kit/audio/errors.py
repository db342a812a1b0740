"""Faults of audio files as exceptions; `failures.csv` shows their `reason`."""

import os
from pathlib import Path

from kit.errors import KitError


def shown(path: Path | str) -> str:
    """Return a path as one line of valid UTF-8, unprintable characters as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class AudioError(KitError):
    """A file that cannot be used as audio. The message names the file and what to do."""

    reason = "audio"


class NotAudioError(AudioError):
    """No decoder knows the file, or what it claims to hold is not sound."""

    reason = "not_audio"


class DecoderError(Exception):
    """A decoder gave up; who called it says of which file, and after how many seconds."""


class UnreadableError(AudioError):
    """The file cannot be opened: no permission, a folder, gone, a loop of links."""

    reason = "unreadable"


class EmptyError(AudioError):
    """The file has no bytes, or no samples."""

    reason = "empty"


class TruncatedError(AudioError):
    """The file promises more samples than it holds."""

    reason = "truncated"


class CorruptError(AudioError):
    """The file is of a known format, and not one sample of it can be decoded."""

    reason = "corrupt"


class NonFiniteError(AudioError):
    """The samples hold NaN or infinity."""

    reason = "non_finite"


class SilentError(AudioError):
    """No channel of the file, or of the part that was decoded, holds any sound."""

    reason = "silent"


class CancelledError(AudioError):
    """The channels cancel each other when they are mixed to mono."""

    reason = "cancelled"


class ChangedRateError(AudioError):
    """The sample rate or the number of channels changes, or another file follows the first."""

    reason = "changed_rate"


class ChangedFileError(AudioError):
    """The file is not the one that was scanned: what is made of it would bear a wrong name."""

    reason = "changed_file"


class TooShortError(AudioError):
    """The file holds less than is needed.

    Args:
        path: the file.
        length_s: how long it is, seconds.
        needed_s: how long it would have to be, seconds.
    """

    reason = "too_short"

    def __init__(self, path: Path | str, length_s: float, needed_s: float) -> None:
        super().__init__(
            f"{shown(path)} is {length_s:.3f} s long, {needed_s:.3f} s are needed; "
            "leave it out or ask for less"
        )
        self.path = path
        self.length_s = length_s
        self.needed_s = needed_s

    def __reduce__(self) -> tuple[type, tuple[Path | str, float, float]]:
        # The default hands the message to the constructor: it would break on its way out of a
        # pool of processes.
        return type(self), (self.path, self.length_s, self.needed_s)

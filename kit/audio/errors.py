"""Faults of audio files as exceptions; `failures.csv` shows their `reason`."""

import os
from pathlib import Path

from kit.errors import KitError


def shown(path: Path | str) -> str:
    """Return a path as one line of valid UTF-8, unprintable characters as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class AudioError(KitError):
    """A file that cannot be used as audio. The message names the file and what to do.

    Example:
        >>> try:
        ...     kit.audio.decode("missing.flac")
        ... except kit.audio.AudioError as error:
        ...     print(error.reason)
        unreadable
    """

    reason = "audio"


class NotAudioError(AudioError):
    """No decoder knows the file, or what it claims to hold is not sound.

    Example:
        >>> kit.audio.decode("data/tones/tracks.csv")
        Traceback (most recent call last):
            ...
        kit.audio.errors.NotAudioError: data/tones/tracks.csv is not audio but text, ...
    """

    reason = "not_audio"


class DecoderError(Exception):
    """A decoder gave up; who called it says of which file, and after how many seconds."""


class UnreadableError(AudioError):
    """The file cannot be opened: no permission, a folder, gone, a loop of links.

    Example:
        >>> kit.audio.decode("missing.flac")
        Traceback (most recent call last):
            ...
        kit.audio.errors.UnreadableError: missing.flac cannot be read: No such file ...
    """

    reason = "unreadable"


class EmptyError(AudioError):
    """The file has no bytes, or no samples.

    Example:
        >>> open("empty.wav", "wb").close()
        >>> kit.audio.decode("empty.wav")
        Traceback (most recent call last):
            ...
        kit.audio.errors.EmptyError: empty.wav has no bytes; get it again or leave it out
    """

    reason = "empty"


class TruncatedError(AudioError):
    """The file promises more samples than it holds."""

    reason = "truncated"


class CorruptError(AudioError):
    """The file is of a known format, and not one sample of it can be decoded.

    Example:
        >>> from pathlib import Path
        >>> whole = Path("music/high/00.flac").read_bytes()
        >>> count = Path("begun.flac").write_bytes(whole[: len(whole) // 8])
        >>> kit.audio.decode("begun.flac")
        Traceback (most recent call last):
            ...
        kit.audio.errors.CorruptError: begun.flac is FLAC, and none of it can be decoded: ...
    """

    reason = "corrupt"


class NonFiniteError(AudioError):
    """The samples hold NaN or infinity.

    Example:
        >>> import soundfile
        >>> soundfile.write("nan.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
        >>> kit.audio.decode("nan.wav")
        Traceback (most recent call last):
            ...
        kit.audio.errors.NonFiniteError: nan.wav holds NaN or infinity ...
    """

    reason = "non_finite"


class SilentError(AudioError):
    """No channel of the file, or of the part that was decoded, holds any sound.

    Example:
        >>> import soundfile
        >>> soundfile.write("silent.wav", np.zeros(800), 8000)
        >>> kit.audio.decode("silent.wav", check_sound=True)
        Traceback (most recent call last):
            ...
        kit.audio.errors.SilentError: silent.wav is silent from 0.00 to 0.10 s (constant); ...
    """

    reason = "silent"


class CancelledError(AudioError):
    """The channels cancel each other when they are mixed to mono.

    Example:
        >>> import soundfile
        >>> y = np.sin(np.arange(800))
        >>> soundfile.write("out_of_phase.wav", np.stack([y, -y], axis=1), 8000)
        >>> kit.audio.decode("out_of_phase.wav", check_sound=True)
        Traceback (most recent call last):
            ...
        kit.audio.errors.CancelledError: out_of_phase.wav: its channels cancel ...
    """

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

    Example:
        >>> kit.audio.decode("music/high/00.flac", offset_s=60.0)
        Traceback (most recent call last):
            ...
        kit.audio.errors.TooShortError: music/high/00.flac is 1.300 s long, 60.000 s are needed; ...
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

"""Audio files to float32 arrays, and what can be wrong with them."""

from kit.audio.decode import blocks, decode
from kit.audio.errors import (
    AudioError,
    ChangedFileError,
    ChangedRateError,
    CorruptError,
    EmptyError,
    NonFiniteError,
    NotAudioError,
    TooShortError,
    TruncatedError,
    UnreadableError,
)
from kit.audio.probe import AudioInfo, probe

__all__ = [
    "AudioError",
    "AudioInfo",
    "ChangedFileError",
    "ChangedRateError",
    "CorruptError",
    "EmptyError",
    "NonFiniteError",
    "NotAudioError",
    "TooShortError",
    "TruncatedError",
    "UnreadableError",
    "blocks",
    "decode",
    "probe",
]

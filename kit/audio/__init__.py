"""Audio files to float32 arrays, and what can be wrong with them."""

from kit.audio.decode import blocks, decode
from kit.audio.errors import (
    AudioError,
    CancelledError,
    ChangedFileError,
    ChangedRateError,
    CorruptError,
    EmptyError,
    NonFiniteError,
    NotAudioError,
    SilentError,
    TooShortError,
    TruncatedError,
    UnreadableError,
)
from kit.audio.probe import AudioInfo, duration_samples, probe

__all__ = [
    "AudioError",
    "AudioInfo",
    "CancelledError",
    "ChangedFileError",
    "ChangedRateError",
    "CorruptError",
    "EmptyError",
    "NonFiniteError",
    "NotAudioError",
    "SilentError",
    "TooShortError",
    "TruncatedError",
    "UnreadableError",
    "blocks",
    "decode",
    "duration_samples",
    "probe",
]

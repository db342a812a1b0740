"""One file to one clip: what of a track the front end sees."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError, ChangedFileError, TooShortError, UnreadableError, decode
from kit.audio.errors import shown
from kit.config import FeatureConfig, frames_of
from kit.features.plan import Track

T = TypeVar("T")


def clip(
    path: Path, config: FeatureConfig, out: Float32[np.ndarray, "clip_samples"] | None = None
) -> Float32[np.ndarray, " samples"]:
    """The decoded clip of one file: mono, float32, at the front end's rate.

    Args:
        path: the file; of a long one, only the clip is decoded.
        config: clip and front end.
        out: written into, and the result a view of it, if given.
    Raises:
        AudioError: unreadable, or too short for `config.n_frames`.
    """
    rate = config.frontend.sample_rate
    y, _ = decode(
        path, sample_rate=rate, offset_s=config.offset_s, duration_s=config.clip_s, out=out
    )
    y = y[: config.clip_samples]
    if frames_of(len(y), config.frontend) < config.n_frames:
        # The least number of samples that gives n_frames.
        frontend = config.frontend
        lead = 0 if frontend.center else frontend.n_fft
        needed = max((config.n_frames - 1) * frontend.hop_length + lead, 1)
        raise TooShortError(path, len(y) / rate, needed / rate)
    return y


def scanned_clip(
    track: Track, config: FeatureConfig, out: Float32[np.ndarray, "clip_samples"] | None = None
) -> Float32[np.ndarray, " samples"]:
    """`clip` of a track whose file is still the one that was scanned.

    Raises:
        AudioError: as of `clip`, or the file has changed since.
    """
    return of_scanned(track, lambda path: clip(path, config, out))


def of_scanned(track: Track, read: Callable[[Path], T]) -> T:
    """What `read` makes of a track's file, if that is still the one that was scanned.

    Raises:
        AudioError: as of `read`, or the file has changed since.
    """
    try:
        found = read(track.path)
    except AudioError as error:
        # What is wrong with another file than the one that was scanned says nothing of that one.
        if track.path.is_file():
            _require_scanned(track, error)
        raise
    _require_scanned(track)
    return found


def _require_scanned(track: Track, cause: Exception | None = None) -> None:
    try:
        with track.path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{shown(track.path)}: {error.strerror}; scan again") from error
    if found != track.source_hash:
        raise ChangedFileError(
            f"{shown(track.path)} has changed since it was scanned; scan again"
        ) from cause

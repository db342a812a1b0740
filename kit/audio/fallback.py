"""Containers that libsndfile does not know, by audioread: decoders that come with the system."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kit.audio.content import Container
from kit.audio.errors import AudioError, NotAudioError, shown
from kit.audio.source import Blocks, Source

with warnings.catch_warnings():
    # audioread's reader of plain PCM imports modules that are deprecated in Python 3.11 and 3.12.
    # Their back-ports in 3.13 warn too.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioread
    from audioread.rawread import RawAudioFile


def open_audioread(path: Path, container: Container) -> Source:
    """Open a file.

    Raises:
        NotAudioError: no installed decoder knows it.
    """
    with _opened(path, container) as file:
        rate, channels = int(file.samplerate), int(file.channels)
        stated = file.duration
    if channels < 1 or rate < 1:
        raise _unknown(path, container)
    frames = round(stated * rate) if stated and np.isfinite(stated) else None
    return Source(
        path=path,
        sample_rate=rate,
        channels=channels,
        format=container.name,
        frames=frames,
        exact=False,
        read=lambda start, count: _read(path, container, channels, start, count),
    )


@contextlib.contextmanager
def _opened(path: Path, container: Container) -> Iterator[Any]:
    """Open a file, and convert exceptions of audioread, which may be of any class."""
    backends = [b for b in audioread.available_backends() if b is not RawAudioFile]
    try:
        # An absolute path, so that no name can be taken for an option or a protocol of ffmpeg.
        with audioread.audio_open(str(path.absolute()), backends=backends) as file:
            yield file
    except AudioError:
        raise
    except Exception as error:
        raise _unknown(path, container) from error


def _read(path: Path, container: Container, channels: int, start: int, count: int | None) -> Blocks:
    width, rest = 2 * channels, b""
    skip, left = start, count
    with _opened(path, container) as file:
        for chunk in file:
            data = rest + bytes(chunk)
            whole = len(data) - len(data) % width
            rest = data[whole:]
            # audioread gives signed 16-bit samples only, little-endian.
            block = np.frombuffer(data[:whole], "<i2").astype(np.float32).reshape(-1, channels)
            block = block[skip:] if left is None else block[skip : skip + left]
            skip = max(0, skip - whole // width)
            if len(block):
                left = None if left is None else left - len(block)
                yield block / np.float32(32768)
            if left == 0:
                return


def _unknown(path: Path, container: Container) -> NotAudioError:
    return NotAudioError(
        f"{shown(path)} is {container.name}, which no installed decoder can read; install ffmpeg, "
        "convert the file to FLAC or MP3, or leave it out"
    )

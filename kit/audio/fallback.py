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


def open_audioread(path: Path, container: Container, stack: contextlib.ExitStack) -> Source:
    """Open a file, to be closed by `stack`.

    Raises:
        NotAudioError: no installed decoder knows it.
    """
    backends = [b for b in audioread.available_backends() if b is not RawAudioFile]
    # An absolute path, so that no name can be taken for an option or a protocol of ffmpeg.
    with _foreign(path, container):
        file = stack.enter_context(audioread.audio_open(str(path.absolute()), backends=backends))
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
        read=lambda start, count: _read(path, container, file, channels, start, count),
    )


def _read(
    path: Path, container: Container, file: Any, channels: int, start: int, count: int | None
) -> Blocks:
    width, rest = 2 * channels, b""
    skip, left = start, count
    chunks = iter(file)
    while left is None or left > 0:
        with _foreign(path, container):
            chunk = next(chunks, None)
        if chunk is None:
            return
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


@contextlib.contextmanager
def _foreign(path: Path, container: Container) -> Iterator[None]:
    """Convert exceptions of audioread's back ends, which may be of any class, to `AudioError`."""
    try:
        yield
    except AudioError:
        raise
    except Exception as error:
        raise _unknown(path, container) from error


def _unknown(path: Path, container: Container) -> NotAudioError:
    return NotAudioError(
        f"{shown(path)} is {container.name}, which no installed decoder can read; install ffmpeg, "
        "convert the file to FLAC or MP3, or leave it out"
    )

"""Files that libsndfile does not know, by audioread: ffmpeg or the system's own decoders."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kit.audio.errors import AudioError, NotAudioError, shown
from kit.audio.source import Blocks, Source

with warnings.catch_warnings():
    # audioread's reader of plain PCM imports modules that are deprecated in Python 3.11 and 3.12
    # and that come as back-ports, with a warning of their own, in 3.13.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioread
    from audioread.rawread import RawAudioFile


class _Plain(RawAudioFile):
    """audioread's reader of plain PCM, which leaves the file open when its header is broken."""

    def __init__(self, filename: str) -> None:
        try:
            super().__init__(filename)
        except Exception as error:
            if hasattr(self, "_fh"):
                self._fh.close()
            raise audioread.DecodeError from error


def open_audioread(path: Path, stack: contextlib.ExitStack) -> Source:
    """Open a file, to be closed by `stack`.

    Raises:
        NotAudioError: no back end that is installed knows it.
    """
    backends = [_Plain if b is RawAudioFile else b for b in audioread.available_backends()]
    # An absolute path, so that no name can be taken for an option or a protocol of ffmpeg.
    with _foreign(path):
        file = stack.enter_context(audioread.audio_open(str(path.absolute()), backends=backends))
        rate, channels = int(file.samplerate), int(file.channels)
        stated = file.duration
    if channels < 1 or rate < 1:
        raise _unknown(path)
    frames = round(stated * rate) if stated and np.isfinite(stated) else None
    return Source(
        path=path,
        sample_rate=rate,
        channels=channels,
        format=path.suffix.lstrip(".").upper() or "unknown",
        frames=frames,
        exact=False,
        read=lambda start, count: _read_audioread(path, file, channels, start, count),
    )


def _read_audioread(path: Path, file: Any, channels: int, start: int, count: int | None) -> Blocks:
    width, rest = 2 * channels, b""
    skip, left = start, count
    chunks = iter(file)
    while left is None or left > 0:
        with _foreign(path):
            chunk = next(chunks, None)
        if chunk is None:
            return
        data = rest + bytes(chunk)
        whole = len(data) - len(data) % width
        rest = data[whole:]
        # Signed 16 bits, little end first, is all that audioread gives.
        block = np.frombuffer(data[:whole], "<i2").astype(np.float32).reshape(-1, channels)
        block = block[skip:] if left is None else block[skip : skip + left]
        skip = max(0, skip - whole // width)
        if len(block):
            left = None if left is None else left - len(block)
            yield block / np.float32(32768)


@contextlib.contextmanager
def _foreign(path: Path) -> Iterator[None]:
    """audioread's back ends parse hostile bytes in Python and raise whatever comes of it."""
    try:
        yield
    except AudioError:
        raise
    except Exception as error:
        raise _unknown(path) from error


def _unknown(path: Path) -> NotAudioError:
    return NotAudioError(
        f"{shown(path)} is not audio that an installed decoder knows; leave it out, or convert "
        "it to FLAC or MP3 (with ffmpeg installed, its formats can be read too)"
    )

"""Decode by audioread: Core Audio on macOS, and GStreamer."""

import warnings
from typing import Any

import numpy as np

from kit.audio.content import Container
from kit.audio.errors import DecoderError
from kit.audio.file import File
from kit.audio.source import Blocks, Stream

with warnings.catch_warnings():
    # audioread's reader of plain PCM imports modules that are deprecated in Python 3.11 and 3.12.
    # Their back-ports in 3.13 warn too.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioread
    from audioread.ffdec import FFmpegAudioFile
    from audioread.rawread import RawAudioFile

# The first reads what ffmpeg prints for people, in which a title may pass for a fact; the second
# reads what libsndfile reads better.
_LEFT_OUT = (FFmpegAudioFile, RawAudioFile)


def open_stream(file: File, container: Container) -> Stream | None:
    """Return the sound of a file; None if no decoder is installed that reads it."""
    try:
        with _opened(file) as sound:
            rate, channels = int(sound.samplerate), int(sound.channels)
            stated_s = float(sound.duration or 0)
    except DecoderError:
        return None
    return Stream(rate, channels, stated_s, lambda: _blocks(file, channels))


def _opened(file: File) -> Any:
    backends = [b for b in audioread.available_backends() if b not in _LEFT_OUT]
    try:
        return audioread.audio_open(str(file.path.absolute()), backends=backends)
    except Exception as error:  # a decoder's own, of any class
        raise DecoderError from error


def _blocks(file: File, channels: int) -> Blocks:
    width, rest = 2 * channels, b""
    with _opened(file) as sound:
        chunks = iter(sound)
        while True:
            try:
                chunk = next(chunks, None)
            except Exception as error:  # a decoder's own, of any class
                raise DecoderError from error
            if chunk is None:
                return
            data = rest + bytes(chunk)
            whole = len(data) - len(data) % width
            rest = data[whole:]
            # audioread gives signed 16-bit samples only, little-endian.
            block = np.frombuffer(data[:whole], "<i2").astype(np.float32).reshape(-1, channels)
            yield block / np.float32(32768)

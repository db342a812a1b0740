"""Decode by PyAV, FFmpeg's libraries as a Python package; the extra `formats` installs it."""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.audio.content import Container
from kit.audio.errors import ChangedRateError, DecoderError, NotAudioError, shown
from kit.audio.file import File
from kit.audio.source import Blocks, Stream

# Of a planar frame with more channels, PyAV 18 and 19 read planes that are not there, and crash.
_PLANES = 7


def is_installed() -> bool:
    """Return whether PyAV can be imported."""
    return importlib.util.find_spec("av") is not None


def open_stream(file: File, container: Container) -> Stream | None:
    """Return the sound of a file; None if PyAV is not installed or cannot read it.

    Raises:
        NotAudioError: there is no sound in it.
    """
    if not is_installed():
        return None
    try:
        with _opened(file, container) as (opened, sound):
            if sound is None:
                raise NotAudioError(
                    f"{shown(file.path)} is {container.name} without sound; leave it out"
                )
            codec = sound.codec_context
            stated_s = _stated_s(opened, sound)
            # What a header says of the rate is half of it in AAC with spectral band replication.
            first = next(_frames(opened, sound, container), None) or codec
            rate, channels = first.sample_rate, len(first.layout.channels)
    except DecoderError:
        return None
    return Stream(rate, channels, stated_s, lambda: _blocks(file, container, rate, channels))


@contextlib.contextmanager
def _opened(file: File, container: Container) -> Iterator[tuple[Any, Any]]:
    """Yield a file and its first stream of sound, None without one."""
    import av.error

    # PyAV 18 refuses a file with a tag that is not UTF-8, unless it is told not to.
    old = int(av.__version__.split(".")[0]) < 19
    how: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    with file.reading() as stream:
        try:
            opened = av.open(stream, format=container.demuxer, **how)
        except (av.error.FFmpegError, ValueError) as error:
            raise DecoderError from error
        with opened:
            yield opened, next(iter(opened.streams.audio), None)


def _stated_s(opened: Any, sound: Any) -> float:
    if sound.duration is not None and sound.time_base is not None:
        return float(sound.duration * sound.time_base)
    pictures = [s for s in opened.streams.video if not s.disposition & _cover()]
    # The length of all streams together, of which pictures may be the longest.
    return 0.0 if pictures else (opened.duration or 0) / 1e6


def _cover() -> Any:
    from av.stream import Disposition

    return Disposition.attached_pic


def _frames(opened: Any, sound: Any, container: Container) -> Iterator[Any]:
    """Yield decoded frames.

    Raises:
        DecoderError: there is sound behind a part that cannot be decoded.
    """
    import av.error

    bad: Exception | None = None
    started = False
    try:
        for packet in opened.demux(sound):
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                bad = error
                continue
            for frame in decoded:
                if bad is not None and started:
                    raise DecoderError from bad
                started = True
                yield frame
    except av.error.FFmpegError as error:
        # Bytes behind the last packet; where a length is stated, it tells whether any are missing.
        if not container.states_length:
            raise DecoderError from error


def _blocks(file: File, container: Container, rate: int, channels: int) -> Blocks:
    with _opened(file, container) as (opened, sound):
        for frame in _frames(opened, sound, container):
            if (frame.sample_rate, len(frame.layout.channels)) != (rate, channels):
                raise ChangedRateError(
                    f"{shown(file.path)}: the sample rate or the number of channels changes in the "
                    "file; split it there or convert it"
                )
            yield _samples(frame, channels)


def _samples(frame: Any, channels: int) -> Float32[np.ndarray, "frames channels"]:
    """Return a frame as float32, full scale 1.0; the bits are those of FFmpeg's own conversion."""
    if frame.format.is_planar and channels > _PLANES:
        import av

        (frame,) = av.AudioResampler(format=frame.format.packed).resample(frame)
    y = frame.to_ndarray()
    y = y.T if frame.format.is_planar else y.reshape(-1, channels)
    if y.dtype.kind == "f":
        return np.ascontiguousarray(y, np.float32)
    full = 1 << 8 * y.dtype.itemsize - 1
    middle = full if y.dtype.kind == "u" else 0
    return ((y.astype(np.float64) - middle) / full).astype(np.float32)

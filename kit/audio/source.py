"""An open audio file as blocks of frames: libsndfile first, audioread where it cannot.

Nothing is ever allocated by what a header claims: blocks have a fixed size, and what they add up
to is compared with the header at the end.
"""

import contextlib
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from kit.audio import mp3
from kit.audio.errors import (
    AudioError,
    ChangedRateError,
    CorruptError,
    EmptyError,
    NotAudioError,
    TooShortError,
    TruncatedError,
    UnreadableError,
    shown,
)

with warnings.catch_warnings():
    # audioread's reader of plain PCM imports modules that are deprecated in Python 3.11 and 3.12
    # and that come as back-ports, with a warning of their own, in 3.13.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioread
    from audioread.rawread import RawAudioFile

_Opener = Callable[[], soundfile.SoundFile]
Blocks = Iterator[Float32[np.ndarray, "frames channels"]]

# What is no sample rate of a recording is a sign of a damaged header; the upper end is four times
# the highest of today's converters. It also bounds what resampling can make of a small file.
RATES_HZ = (1_000, 1_536_000)

# Less than this missing at the end is how encoders round (two frames of MP3 at 22,050 Hz are 52
# ms); more is a file that was cut.
TOLERANCE_S = 0.1

# Samples of all channels in one block: 1 MiB of float32.
_BLOCK_VALUES = 1 << 18

# libsndfile's code for a stream whose channels change; it has none for the rate.
_CHANNELS_CHANGED = 160

# Sizes from here on are what programs write that stream and do not know the size.
_SIZE_UNKNOWN = 0x7F000000

# A frame of FLAC holds at most 65,535 samples, and takes more than eight bytes.
_SAMPLES_PER_BYTE = 8192


@dataclass(frozen=True)
class Source:
    """An open file.

    Attributes:
        path: the file.
        sample_rate: Hz.
        channels: number of channels.
        format: name of the container or codec, such as "MP3".
        frames: length that the header states, or None if it states none that can be believed.
        exact: the length is stated, not guessed from the size of the file.
    """

    path: Path
    sample_rate: int
    channels: int
    format: str
    frames: int | None
    exact: bool
    _read: Callable[[int, int | None], Blocks]

    def blocks(self, start: int = 0, count: int | None = None) -> Blocks:
        """Frames from `start` on, at most `count`, as blocks of shape (frames, channels).

        Raises:
            TruncatedError: there are fewer than the header states.
            CorruptError: there is none, and there should be.
            EmptyError: there is none, and the file says so.
            TooShortError: the file ends before `start`.
            ChangedRateError: rate or channels change among these frames.
        """
        if self.frames is not None and 0 < self.frames <= start:
            raise TooShortError(self.path, self.frames / self.sample_rate, start / self.sample_rate)
        got = 0
        for block in self._read(start, count):
            got += len(block)
            yield block
        if count == 0:
            return
        wanted = None if self.frames is None else self.frames - start
        if wanted is not None and count is not None:
            wanted = min(wanted, count)
        if got == 0:
            if start > 0 and not self.exact:
                raise TooShortError(self.path, 0.0, start / self.sample_rate)
            if wanted is None or wanted <= 0:
                raise EmptyError(f"{shown(self.path)} holds no samples; leave it out")
            raise self.worthless()
        missing = 0 if wanted is None else (wanted - got) / self.sample_rate
        if self.exact and missing > TOLERANCE_S:
            raise self.cut_at((start + got) / self.sample_rate)

    def cut_at(self, end_s: float) -> TruncatedError:
        """The error of a file that ends too early."""
        promised = "" if self.frames is None else f" of {self.frames / self.sample_rate:.2f} s"
        return TruncatedError(
            f"{shown(self.path)} can be decoded up to {end_s:.2f} s{promised} only: it is cut "
            "short or damaged; get it again or leave it out"
        )

    def worthless(self) -> CorruptError:
        """The error of a file of which nothing can be decoded."""
        return CorruptError(
            f"{shown(self.path)} is {self.format}, and none of it can be decoded: it is damaged; "
            "get it again or leave it out"
        )


@contextlib.contextmanager
def open_source(path: Path | str) -> Iterator[Source]:
    """Open a file for reading, with whichever decoder knows it.

    Raises:
        UnreadableError: no permission, a folder, not there.
        EmptyError: no bytes.
        NotAudioError: no decoder knows it.
        TruncatedError: its header states more bytes than there are.
    """
    path = Path(path)
    size = _check_readable(path)
    with contextlib.ExitStack() as stack:
        source = _open_sndfile(path, size, stack)
        if source is None:
            source = _open_audioread(path, stack)
        if not RATES_HZ[0] <= source.sample_rate <= RATES_HZ[1]:
            raise NotAudioError(
                f"{shown(path)} states a sample rate of {source.sample_rate} Hz, outside "
                f"{RATES_HZ[0]} to {RATES_HZ[1]}: it is damaged or no sound; leave it out"
            )
        yield source


def _check_readable(path: Path) -> int:
    """Size in bytes of a regular file that can be opened and read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever, so it is not tried.
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableError(f"{shown(path)} is {kind}; give an audio file")
        with path.open("rb") as stream:
            first = stream.read(1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(
            f"{shown(path)} cannot be read: {why}; check its name and permission"
        ) from error
    if not first:
        raise EmptyError(f"{shown(path)} has no bytes; get it again or leave it out")
    return status.st_size


class _Sequential(soundfile.SoundFile):
    """A sound file that is read from front to back.

    soundfile seeks after every read where it can. In a FLAC file of unknown length the seek at
    its end fails, and the last block with it.
    """

    def seekable(self) -> bool:
        return False


def _open_sndfile(path: Path, size: int, stack: contextlib.ExitStack) -> Source | None:
    # soundfile encodes names strictly; bytes, which its annotations lack, pass through as they are.
    name: Any = os.fsencode(path) if os.name == "posix" else str(path)

    def again() -> soundfile.SoundFile:
        return stack.enter_context(_Sequential(name))

    try:
        file = again()
    except (soundfile.SoundFileError, TypeError, ValueError):
        # TypeError: soundfile asks for the rate of a file called .raw.
        return None
    if file.format == "RAW":
        # By its name alone; libsndfile would read any text of that name as samples.
        return None
    frames, exact = _length(path, file, size)
    source = Source(
        path=path,
        sample_rate=file.samplerate,
        channels=file.channels,
        format=file.format,
        frames=frames,
        exact=exact,
        _read=lambda start, count: _read_sndfile(source, file, again, start, count),
    )
    if (cut := _cut_at_s(path, file, size)) is not None:
        raise source.cut_at(cut)
    return source


def _length(path: Path, file: soundfile.SoundFile, size: int) -> tuple[int | None, bool]:
    """Frames by the header, and whether that is a statement rather than a guess."""
    if file.frames < 0 or file.frames > size * _SAMPLES_PER_BYTE:
        return None, False
    if file.format == "MP3":
        with _reading(path) as stream:
            tag = mp3.tag(stream)
        return file.frames, tag is not None and tag.frames is not None
    return file.frames, True


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise UnreadableError(
            f"{shown(path)} cannot be read: {error.strerror or error}; check the disk"
        ) from error


def _cut_at_s(path: Path, file: soundfile.SoundFile, size: int) -> float | None:
    """Where the file ends, seconds, if its container says that it should go on."""
    length_s = file.frames / file.samplerate
    if file.format == "OGG":
        with _reading(path) as stream:
            return length_s if _ogg_is_cut(stream) else None
    if file.format == "MP3":
        with _reading(path) as stream:
            tag = mp3.tag(stream)
        if tag is None or not tag.bytes:
            return None
        end_s = length_s * min(1.0, (size - tag.offset) / tag.bytes)
        return end_s if length_s - end_s > TOLERANCE_S else None
    # libsndfile quietly takes what is there; its log tells of the difference. The names are those
    # of the chunk in WAV, RF64 and W64, in AIFF, and in AU.
    pattern = r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)"
    found = re.search(pattern, file.extra_info, re.MULTILINE)
    if found is None or not 0 < int(found[2]) < int(found[1]) < _SIZE_UNKNOWN:
        return None
    stated_s = length_s * int(found[1]) / int(found[2])
    return length_s if stated_s - length_s > TOLERANCE_S else None


def _ogg_is_cut(stream: BinaryIO) -> bool:
    """Does the file end within a page? Source: RFC 3533, section 6."""
    size = stream.seek(0, os.SEEK_END)
    # A page is at most 65,307 bytes, so that the last one begins within these.
    start = stream.seek(max(0, size - (1 << 17)))
    tail = stream.read()
    at = tail.rfind(b"OggS")
    if at == -1:
        return False
    lacing = tail[at + 27 :]
    segments = tail[at + 26] if at + 26 < len(tail) else 255
    return len(lacing) < segments or start + at + 27 + segments + sum(lacing[:segments]) > size


def _read_sndfile(
    source: Source, file: soundfile.SoundFile, again: _Opener, start: int, count: int | None
) -> Blocks:
    step = max(1, _BLOCK_VALUES // source.channels)
    position = 0
    if start:
        file, position = _sought(source, file, again, start, step)
    left = count
    if source.format == "MP3":
        _check_mp3(source, start, count)
    while left is None or left > 0:
        size = step if left is None else min(step, left)
        block = _read(source, file, size, position)
        if len(block):
            yield block
        position += len(block)
        left = None if left is None else left - len(block)
        if len(block) < size:
            return


def _sought(
    source: Source, file: soundfile.SoundFile, again: _Opener, start: int, step: int
) -> tuple[soundfile.SoundFile, int]:
    try:
        file.seek(start)
    except soundfile.SoundFileError:
        # A damaged FLAC file, or one of unknown length, cannot be sought in, nor read after the
        # attempt: another reader goes there on foot.
        file = again()
        position = 0
        while position < start:
            block = _read(source, file, min(step, start - position), position)
            if not len(block):
                break
            position += len(block)
        return file, position
    return file, start


def _read(
    source: Source, file: soundfile.SoundFile, size: int, position: int
) -> Float32[np.ndarray, "frames channels"]:
    try:
        return file.read(size, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        end_s = position / source.sample_rate
        if error.code == _CHANNELS_CHANGED:
            raise _changed(source.path, "number of channels", end_s) from error
        if position == 0:
            raise source.worthless() from error
        raise source.cut_at(end_s) from error


def _changed(path: Path, what: str, at_s: float) -> ChangedRateError:
    return ChangedRateError(
        f"{shown(path)}: the {what} changes about {at_s:.2f} s into the file; "
        "split it there or convert it"
    )


def _check_mp3(source: Source, start: int, count: int | None) -> None:
    """libsndfile resamples or drops, without a word, what follows a change of rate."""
    position = 0
    with _reading(source.path) as stream:
        for frame in mp3.frames(stream):
            if count is not None and position >= start + count:
                return
            if frame.sample_rate != source.sample_rate:
                raise _changed(source.path, "sample rate", position / source.sample_rate)
            position += frame.samples


class _Plain(RawAudioFile):
    """audioread's reader of plain PCM, which leaves the file open when its header is broken."""

    def __init__(self, filename: str) -> None:
        try:
            super().__init__(filename)
        except Exception as error:
            if hasattr(self, "_fh"):
                self._fh.close()
            raise audioread.DecodeError from error


def _open_audioread(path: Path, stack: contextlib.ExitStack) -> Source:
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
        _read=lambda start, count: _read_audioread(path, file, channels, start, count),
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

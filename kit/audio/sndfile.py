"""Files that libsndfile knows: WAV, FLAC, Ogg, MP3, AIFF and others."""

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kit.audio import flac, mp3
from kit.audio.cut import mp3_share, ogg_is_cut, sndfile_share
from kit.audio.errors import AudioError, ChangedRateError, CorruptError, UnreadableError, shown
from kit.audio.joined import is_joined
from kit.audio.source import TOLERANCE_S, Blocks, Source

# Samples of all channels in one block: 1 MiB of float32.
_BLOCK_VALUES = 1 << 18

# Frames in one block where a larger one failed.
_FINE = 1024

# libsndfile's code for a stream whose channels change; it has none for the rate.
_CHANNELS_CHANGED = 160

# A frame of FLAC holds at most 65,535 samples, and takes more than eight bytes.
_SAMPLES_PER_BYTE = 8192


_Opener = Callable[[], soundfile.SoundFile]


class _Sequential(soundfile.SoundFile):
    """A sound file that is read from front to back.

    soundfile seeks after every read where it can. In a FLAC file of unknown length the seek at
    its end fails, and the last block with it.
    """

    def seekable(self) -> bool:
        return False


def open_sndfile(path: Path, size: int, stack: contextlib.ExitStack) -> Source | None:
    """Open a file of `size` bytes, to be closed by `stack`; None if libsndfile does not know it.

    Raises:
        TruncatedError: its container states more bytes than there are.
    """
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
    frames, exact, counted = _length(path, file, size)

    def read(start: int, count: int | None) -> Blocks:
        end = None if count is None else start + count
        seeks = _check_format(source, start, end)
        got = 0
        try:
            for block in _Reader(source, file, again, seeks).blocks(start, end, stack):
                got += len(block)
                yield block
        except AudioError:
            # At the seam of two streams libsndfile gives up, or has silently ended before.
            if start + got > 0:
                _check_joined(source, start + got)
            raise
        # Where the last frame is not the stated one, its place is reason enough to look.
        if end is None or got < end - start or (not seeks and end >= file.frames):
            _check_joined(source, start + got)

    def check_end() -> None:
        for _ in source.blocks(max(0, (frames or 0) - 1), 1):
            pass

    source = Source(
        path=path,
        sample_rate=file.samplerate,
        channels=file.channels,
        format=file.format,
        frames=frames,
        exact=exact,
        read=read,
        counted=counted,
        check_end=check_end if exact and file.format == "FLAC" else None,
    )
    end_s, whole_s = _ends(path, file, size)
    if whole_s - end_s > TOLERANCE_S:
        raise source.cut_at(end_s, whole_s)
    return source


def _length(path: Path, file: soundfile.SoundFile, size: int) -> tuple[int | None, bool, bool]:
    """Return the frames, None if unknown, and whether they are stated, and whether counted."""
    if not 0 <= file.frames <= size * _SAMPLES_PER_BYTE:
        return None, False, False
    if file.format != "MP3":
        return file.frames, True, False
    with reading(path) as stream:
        tag = mp3.tag(stream)
        if tag is not None and tag.frames is not None:
            return file.frames, True, False
        # libsndfile guesses by the first frames, wrong by a factor where the bit rate varies.
        counted = mp3.count_samples(stream, size)
        return counted or file.frames, False, bool(counted)


def _ends(path: Path, file: soundfile.SoundFile, size: int) -> tuple[float, float]:
    """Where the file ends, and where its container says that it ends, seconds."""
    length_s = file.frames / file.samplerate
    if file.format == "OGG":
        with reading(path) as stream:
            # What is missing of the last page is known to be something, not how much.
            return length_s, math.inf if ogg_is_cut(stream) else length_s
    if file.format == "MP3":
        with reading(path) as stream:
            return length_s * mp3_share(mp3.tag(stream), size), length_s
    return length_s, length_s / sndfile_share(file.extra_info)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading bytes.

    Raises:
        UnreadableError: it cannot be opened or read.
    """
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise UnreadableError(
            f"{shown(path)} cannot be read: {error.strerror or error}; check the disk"
        ) from error


def _check_format(source: Source, start: int, end: int | None) -> bool:
    """Look for a change of rate or channels that libsndfile does not tell.

    It drops what follows one in MP3, and plays it at the wrong speed in FLAC.

    Returns:
        Whether libsndfile can seek in the file.
    Raises:
        ChangedRateError: there is one among the frames from `start` to `end`.
        CorruptError: header and frames do not agree from the beginning.
    """
    if source.format == "MP3":
        with reading(source.path) as stream:
            _check_mp3(source, stream, end)
    elif source.format == "FLAC":
        with reading(source.path) as stream:
            return _check_flac(source, stream, start, end)
    return True


def _check_mp3(source: Source, stream: io.BufferedIOBase, end: int | None) -> None:
    position = 0
    for run in mp3.runs(stream, end):
        if run.first.sample_rate != source.sample_rate:
            raise _changed(source.path, "sample rate", position / source.sample_rate)
        if run.first.channels != source.channels:
            raise _changed(source.path, "number of channels", position / source.sample_rate)
        position += run.samples


def _check_flac(source: Source, stream: io.BufferedIOBase, start: int, end: int | None) -> bool:
    info = flac.info(stream)
    if info is None:
        return True
    # Elsewhere it would find frames of another stream that happen to have the right numbers.
    seeks = flac.ends_as_stated(stream, info) if start > 0 else True
    change = flac.change(stream, info, start if seeks else 0, end)
    if change is not None:
        at, rate = change
        if at == 0:
            raise CorruptError(
                f"{shown(source.path)} says {info.sample_rate} Hz in front and {rate} Hz in its "
                "frames: it is damaged; get it again or leave it out"
            )
        what = f"sample rate ({info.sample_rate} Hz, then {rate} Hz)"
        raise _changed(source.path, what, at / source.sample_rate)
    return seeks


def _check_joined(source: Source, position: int) -> None:
    """libsndfile ends with the first of several streams in a row, often without a word."""
    with reading(source.path) as stream:
        if is_joined(stream, source.format):
            end = position if source.frames is None else source.frames
            raise _changed(source.path, "stream", end / source.sample_rate)


def _changed(path: Path, what: str, at_s: float) -> ChangedRateError:
    return ChangedRateError(
        f"{shown(path)}: the {what} changes about {at_s:.2f} s into the file; "
        "split it there or convert it"
    )


class _Reader:
    """Reads one sound file from a frame on, through what libsndfile makes hard."""

    def __init__(
        self, source: Source, file: soundfile.SoundFile, again: _Opener, seeks: bool
    ) -> None:
        self.source = source
        self.file = file
        self.again = again
        self.seeks = seeks
        self.step = max(1, _BLOCK_VALUES // source.channels)

    def blocks(self, start: int, end: int | None, stack: contextlib.ExitStack) -> Blocks:
        position, stated = start, self.file.frames
        if start < stated:
            if start > 0:
                self._seek(start)
            # Read no more than is stated: libsndfile takes an ID3v1 or APE tag behind the last
            # frame of a FLAC file for a damaged frame, and gives up what it has read before.
            flac_end = stated if end is None else min(stated, end)
            last = flac_end if self.source.format == "FLAC" else end
            for block in self._until(position, last):
                position += len(block)
                yield block
        total = self.source.frames
        if total is None or total <= stated or position < stated:
            return
        # An MP3 file of unstated length that goes on where libsndfile stops.
        if end is None or position < end:
            stream = stack.enter_context(self.source.path.open("rb"))
            # soundfile takes anything that reads and seeks; its annotations want more.
            tagged: Any = mp3.Tagged(stream)
            self.file = stack.enter_context(_Sequential(tagged))
            # With a tag, the delay of the decoder is left out in front.
            self.file.seek(max(0, position - mp3.DECODER_DELAY))
            yield from self._until(position, end)

    def _seek(self, start: int) -> None:
        if not self.seeks:
            self._walk(start)
            return
        try:
            self.file.seek(start)
        except soundfile.SoundFileError:
            # A damaged FLAC file, or one of unknown length, cannot be sought in.
            self._walk(start)

    def _walk(self, position: int) -> None:
        """Go to a frame on foot, with another reader: an error leaves the first one useless."""
        self.file = self.again()
        self.step = min(self.step, _FINE)
        for _ in self._until(0, position):
            pass

    def _until(self, position: int, end: int | None) -> Blocks:
        most = self.step if end is None else min(self.step, max(0, end - position))
        # Read into again and again: new memory for each block takes longer than to fill it.
        room = np.empty((most, self.source.channels), np.float32)
        while end is None or position < end:
            size = self.step if end is None else min(self.step, end - position)
            try:
                block = self.file.read(size, out=room)
            except soundfile.LibsndfileError as error:
                if self.step <= _FINE:
                    raise self._error(error, position) from error
                # All of a block is lost at its first bad frame: take what comes before it.
                self._walk(position)
                continue
            if len(block):
                yield block
            position += len(block)
            if len(block) < size:
                return

    def _error(self, error: soundfile.LibsndfileError, position: int) -> AudioError:
        end_s = position / self.source.sample_rate
        if error.code == _CHANNELS_CHANGED:
            return _changed(self.source.path, "number of channels", end_s)
        if position == 0:
            return self.source.worthless()
        return self.source.cut_at(end_s)

"""Files that libsndfile knows: WAV, FLAC, Ogg, MP3, AIFF and others."""

import contextlib
import io
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import soundfile

from kit.audio import flac, mp3, tags
from kit.audio.errors import AudioError, ChangedRateError, CorruptError, shown
from kit.audio.file import File
from kit.audio.source import TOLERANCE_S, Blocks, Source
from kit.audio.spans import joined_spans
from kit.audio.whole import is_joined, joined, ogg_is_cut, sndfile_share

# Samples of all channels in one block: 512 KiB of float32, which stays in a core's cache while it
# is mixed and measured. Twice or half as much takes 1 ms more for 30 s of an MP3 file.
_BLOCK_VALUES = 1 << 17

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


def open_sndfile(file: File, stack: contextlib.ExitStack, *, partly: bool = False) -> Source | None:
    """Open a file, to be closed by `stack`; None if libsndfile does not know it.

    Raises:
        TruncatedError: its container states more bytes than there are.
    """
    opened = _opened(file, stack)
    if opened is None:
        return None
    again, sound = opened
    length = _measured(file) if sound.format == "MP3" else mp3.Length(stated=True)
    tagged = _opener(lambda: _tagged(file, stack, length), stack)
    if length.spans:
        again, sound = tagged, tagged()
    unread = [sound]
    believed = 0 <= sound.frames <= file.size * _SAMPLES_PER_BYTE
    stated = believed and length.stated
    # libsndfile guesses the length of an MP3 file without a tag.
    frames = (sound.frames if stated else length.counted or sound.frames) if believed else None

    def read(start: int, count: int | None) -> Blocks:
        end = None if count is None else start + count
        seeks = _check_format(source, file, start, end)
        # What was read before would be heard in the next samples of a lossy codec.
        first = unread.pop() if unread else again()
        reader = _Reader(source, first, again, tagged, seeks)
        got = 0
        try:
            for block in reader.blocks(start, end):
                got += len(block)
                yield block
        except AudioError:
            # At the seam of two streams libsndfile gives up, or has silently ended before.
            if start + got > 0:
                _check_joined(source, file, start + got)
            raise
        # Where the last frame is not the stated one, its place is reason enough to look.
        if end is None or got < end - start or (not seeks and end >= sound.frames):
            _check_joined(source, file, start + got)
        if (
            source.format == "FLAC"
            and stated
            and start + got < min(end or sound.frames, sound.frames)
        ):
            raise source.cut_at((start + got) / source.sample_rate)

    def check_end() -> None:
        _check_joined(source, file, frames or 0)
        if source.format == "FLAC" and frames:
            for _ in source.blocks(frames - 1, 1):
                pass
        if length.changes:
            _check_format(source, file, 0, None)

    source = Source(
        path=file.path,
        sample_rate=sound.samplerate,
        channels=sound.channels,
        format=sound.format,
        frames=frames,
        exact=stated,
        read=read,
        # Of a file that lacks a little at its end, the decoder knows how much.
        counted=believed and length.share == 1 and (stated or length.counted is not None),
        check_end=check_end,
    )
    end_s, whole_s = _ends(file, sound, length)
    if whole_s - end_s <= TOLERANCE_S:
        return source
    error = source.cut_at(end_s, whole_s)
    if not partly:
        raise error

    def read_what_there_is(start: int, count: int | None) -> Blocks:
        yield from read(start, count)
        raise error

    return replace(source, read=read_what_there_is)


def _opener(name: Callable[[], Any], stack: contextlib.ExitStack) -> _Opener:
    return lambda: stack.enter_context(_Sequential(name(), closefd=False))


def _opened(file: File, stack: contextlib.ExitStack) -> tuple[_Opener, soundfile.SoundFile] | None:
    """Return a function that opens a file from its beginning, and the file once opened by it."""

    def descriptor() -> Any:
        os.lseek(file.descriptor, 0, os.SEEK_SET)
        return file.descriptor

    def without_tag() -> io.BufferedReader | None:
        return _flac_without_tag(stack.enter_context(file.reading()), file.size)

    def without_zeros() -> io.BufferedReader | None:
        return mp3.without_zeros(stack.enter_context(file.reading()), file.size)

    # By its name only where it is not known by its bytes: then its suffix counts, as in an MP3 file
    # that begins with other bytes. soundfile encodes names strictly; bytes, which its annotations
    # lack, pass through as they are.
    posix = os.name == "posix"
    path: Any = os.fsencode(file.path) if posix else str(file.path)
    ways = [without_tag, *([descriptor] if posix else []), lambda: path, without_zeros]
    for way in ways:
        if way() is None:
            continue
        again = _opener(way, stack)
        try:
            sound = again()
        except (soundfile.SoundFileError, TypeError, ValueError):
            # TypeError: soundfile asks for the rate of a file called .raw.
            continue
        # libsndfile would read any text of the name .raw as samples.
        return None if sound.format == "RAW" else (again, sound)
    return None


def _flac_without_tag(stream: io.BufferedIOBase, size: int) -> io.BufferedReader | None:
    """Return a FLAC file of unknown length without the tag at its end; None for any other file.

    libsndfile takes the tag for a damaged frame.
    """
    info, end = flac.info(stream), tags.back(stream, size)
    unknown = info is not None and info.samples == 0
    return joined_spans(stream, ((0, end),)) if unknown and end < size else None


def _measured(file: File) -> mp3.Length:
    with file.reading() as stream:
        return mp3.measure(stream, file.size)


def _tagged(file: File, stack: contextlib.ExitStack, length: mp3.Length) -> io.BufferedReader:
    return mp3.with_tag(stack.enter_context(file.reading()), length)


def _ends(file: File, sound: soundfile.SoundFile, length: mp3.Length) -> tuple[float, float]:
    """Return where the file ends, and where its container says that it ends, seconds."""
    length_s = sound.frames / sound.samplerate
    if sound.format == "OGG":
        with file.reading() as stream:
            # What is missing of the last page is known to be something, not how much.
            return length_s, math.inf if ogg_is_cut(stream) else length_s
    if sound.format == "MP3":
        return length_s * length.share, length_s
    return length_s, length_s / sndfile_share(sound.extra_info)


def _check_format(source: Source, file: File, start: int, end: int | None) -> bool:
    """Look for a change of rate or channels that libsndfile does not tell.

    It drops what follows one in MP3, and plays it at the wrong speed in FLAC.

    Returns:
        Whether libsndfile can seek in the file.
    Raises:
        ChangedRateError: there is one: in MP3, among the frames from `start` to `end`.
        CorruptError: header and frames do not agree from the beginning.
    """
    if source.format == "MP3":
        with file.reading() as stream:
            _check_mp3(source, stream, end)
    elif source.format == "FLAC":
        with file.reading() as stream:
            return _check_flac(source, stream, file.size)
    return True


def _check_mp3(source: Source, stream: io.BufferedIOBase, end: int | None) -> None:
    position = 0
    for run in mp3.runs(stream, end):
        if run.first.sample_rate != source.sample_rate:
            raise _changed(source, "sample rate", position / source.sample_rate)
        if run.first.channels != source.channels:
            raise _changed(source, "number of channels", position / source.sample_rate)
        position += run.samples


def _check_flac(source: Source, stream: io.BufferedIOBase, size: int) -> bool:
    info = flac.info(stream)
    if info is None:
        return True
    first, last = flac.first(stream, info), flac.last(stream, info, size)
    if first is not None and first.sample_rate != info.sample_rate:
        raise CorruptError(
            f"{shown(source.path)} states {info.sample_rate} Hz in its header and "
            f"{first.sample_rate} Hz in its frames: it is damaged; get it again or leave it out"
        )
    if last is None or (last.end, last.channels) != (info.samples, info.channels):
        # Elsewhere it would find frames of another stream that happen to have the right numbers.
        return False
    if last.sample_rate != info.sample_rate:
        what = f"sample rate ({info.sample_rate} Hz, then {last.sample_rate} Hz)"
        raise _changed(source, what)
    return True


def _check_joined(source: Source, file: File, position: int) -> None:
    """Raise if the file is several files in a row.

    libsndfile stops after the first of them, often without an error.
    """
    with file.reading() as stream:
        if is_joined(stream, source.format):
            end = position if source.frames is None else source.frames
            raise joined(source.path, end / source.sample_rate)


def _changed(source: Source, what: str, at_s: float | None = None) -> ChangedRateError:
    where = "in the file" if at_s is None else f"about {at_s:.2f} s into the file"
    return ChangedRateError(
        f"{shown(source.path)}: the {what} changes {where}; split it there or convert it"
    )


class _Reader:
    """Reads one sound file from a frame on, through what libsndfile makes hard."""

    def __init__(
        self,
        source: Source,
        sound: soundfile.SoundFile,
        again: _Opener,
        tagged: _Opener,
        seeks: bool,
    ) -> None:
        self.source = source
        self.sound = sound
        self.again = again
        self.tagged = tagged
        self.seeks = seeks
        self.step = max(1, _BLOCK_VALUES // source.channels)

    def blocks(self, start: int, end: int | None) -> Blocks:
        position, stated = start, self.sound.frames
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
            self.sound = self.tagged()
            # With a tag, the delay of the decoder is left out in front.
            self.sound.seek(max(0, position - mp3.DECODER_DELAY))
            yield from self._until(position, end)

    def _seek(self, start: int) -> None:
        if not self.seeks:
            self._walk(start)
            return
        try:
            self.sound.seek(start)
        except soundfile.SoundFileError:
            # A damaged FLAC file, or one of unknown length, cannot be sought in.
            self._walk(start)

    def _walk(self, position: int) -> None:
        """Decode up to a frame with a new reader: an error leaves the old one useless."""
        self.sound = self.again()
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
                block = self.sound.read(size, out=room)
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
            return _changed(self.source, "number of channels", end_s)
        if position == 0:
            return self.source.worthless()
        return self.source.cut_at(end_s)

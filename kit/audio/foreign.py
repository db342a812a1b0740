"""Containers that libsndfile does not know, by the first of three decoders that is installed.

PyAV comes from pip. The programs ffmpeg and ffprobe come with the system, and are the same decoder.
The last is audioread, for the decoders of macOS and GStreamer.
"""

import math

from kit.audio import audioread_file, ffmpeg, pyav
from kit.audio.content import Container, container
from kit.audio.errors import CorruptError, DecoderError, NotAudioError, shown
from kit.audio.file import File
from kit.audio.source import TOLERANCE_S, Blocks, Source, Stream
from kit.audio.whole import is_joined, joined


def open_foreign(file: File) -> Source:
    """Open a file that libsndfile refused, if it is of a container that libsndfile does not know.

    Other players take any name that ends in .mp3 for sound, and play what is left of a torn file.

    Raises:
        NotAudioError: the container is not known, holds no sound, or has no installed decoder.
        ChangedRateError: it is several files in a row.
        CorruptError: its header is damaged.
    """
    with file.reading() as stream:
        found = container(stream)
        if found is None and any(is_joined(stream, format) for format in ("WAV", "AIFF")):
            raise joined(file.path)
    path = shown(file.path)
    if found is None:
        raise NotAudioError(
            f"{path} is not audio, or too damaged to be known as such; leave it out, or convert it "
            "to FLAC or MP3"
        )
    for decoder in (pyav, ffmpeg, audioread_file):
        opened = decoder.open_stream(file, found)
        if opened is not None and opened.sample_rate > 0 and opened.channels > 0:
            return _source(file, found, opened)
    if pyav.is_installed() or ffmpeg.is_installed():
        raise CorruptError(
            f"{path} is {found.name}, and its header cannot be read: it is cut short or damaged; "
            "get it again or leave it out"
        )
    raise NotAudioError(
        f"{path} is {found.name}, which no installed decoder reads: pip install "
        "'genre-kit[formats]' or install ffmpeg, convert the file to FLAC or MP3, or leave it out"
    )


def _source(file: File, container: Container, stream: Stream) -> Source:
    rate = stream.sample_rate
    # FFmpeg guesses the length of files that state none.
    believed = 0 < stream.stated_s < math.inf
    stated_s = stream.stated_s if believed and container.states_length else math.inf

    def read(start: int, count: int | None) -> Blocks:
        # From the beginning: the first samples after a seek are wrong.
        end = None if count is None else start + count
        position = 0
        try:
            for block in stream.blocks():
                skipped = max(0, start - position)
                part = block[skipped : None if end is None else max(0, end - position)]
                position += len(block)
                if len(part):
                    yield part
                if end is not None and position >= end:
                    return
        except DecoderError as error:
            if position == 0:
                raise source.worthless() from error
            raise source.cut_at(position / rate, stated_s) from error
        with file.reading() as bytes_of:
            if is_joined(bytes_of, container.name):
                raise joined(file.path, position / rate)
        if position and TOLERANCE_S < stated_s - position / rate < math.inf:
            raise source.cut_at(position / rate, stated_s)

    source = Source(
        path=file.path,
        sample_rate=rate,
        channels=stream.channels,
        format=container.name,
        # Close only: no such container states its length to the sample.
        frames=round(stream.stated_s * rate) if believed else None,
        exact=False,
        read=read,
    )
    return source

"""A hash of the audio in a file without its tags: equal for one encoding under other names."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import Literal

from kit.audio import flac, tags
from kit.audio.file import File
from kit.audio.source import Source

_CHUNK = 1 << 20


def payload_hash(file: File, source: Source) -> str:
    """Return the SHA-256 of a file's audio as hexadecimal digits.

    The packets of MP3 and FLAC and the samples of WAV and AIFF are hashed as they are in the file,
    without the tags before, between and behind them. Of other formats the decoded samples are
    hashed.
    """
    if found := packets_hash(file, source.format):
        return found
    digest = hashlib.sha256(f"{source.sample_rate} {source.channels}".encode())
    for block in source.blocks():
        digest.update(block.tobytes())
    return digest.hexdigest()


def packets_hash(file: File, format: str) -> str:
    """Return the SHA-256 of a file's audio without decoding it.

    Args:
        file: the file.
        format: `Source.format` of the same file.
    Returns:
        Hexadecimal digits; "" if it is not known where in the file the audio lies.
    """
    digest = hashlib.sha256()
    with file.reading() as stream:
        spans = _spans(stream, file.size, format)
        for start, end in spans:
            for chunk in _read(stream, start, end):
                digest.update(chunk)
    return digest.hexdigest() if spans else ""


def _spans(stream: io.BufferedIOBase, size: int, format: str) -> list[tuple[int, int]]:
    """Return where the audio lies, first byte and the byte after the last; [] if not known."""
    if format == "MP3":
        start = tags.front(stream, 0)
        return [(start, max(start, tags.back(stream, size)))]
    if format == "FLAC":
        info = flac.info(stream)
        return [] if info is None else [(info.offset, max(info.offset, tags.back(stream, size)))]
    if format == "WAV":
        return _chunks(stream, size, "little", (b"RIFF", b"fmt ", b"data"))
    if format == "AIFF":
        return _chunks(stream, size, "big", (b"FORM", b"COMM", b"SSND"))
    return []


def _chunks(
    stream: io.BufferedIOBase, size: int, order: Literal["little", "big"], names: Sequence[bytes]
) -> list[tuple[int, int]]:
    """Return where the chunks with the format and with the samples lie."""
    if _bytes(stream, 0, 4) != names[0]:
        return []
    spans: list[tuple[int, int]] = []
    at = 12
    while len(head := _bytes(stream, at, 8)) == 8:
        length = int.from_bytes(head[4:], order)
        if head[:4] in names[1:]:
            spans.append((at + 8, min(size, at + 8 + length)))
        at += 8 + length + length % 2
    return spans if len(spans) == 2 else []


def _bytes(stream: io.BufferedIOBase, start: int, count: int) -> bytes:
    stream.seek(start, os.SEEK_SET)
    return stream.read(count)


def _read(stream: io.BufferedIOBase, start: int, end: int) -> Iterator[bytes]:
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        start += len(chunk)
        yield chunk

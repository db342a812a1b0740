"""Frame headers of a FLAC file.

They show what libsndfile passes over: frames of another sample rate than the file states, and
joined files, in which it seeks by the wrong sample numbers.

Source: RFC 9639, sections 8.2 and 9.1.
"""

import io
from dataclasses import dataclass

from kit.audio import tags, whole

# By the four bits of a frame's header; 0 refers to STREAMINFO, 12 to 14 to what follows it.
_RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
# A header's number of bytes at most, and how many hertz a unit of its own rate is.
_HEADER = 16
_UNITS = {12: 1000, 13: 1, 14: 10}

# Where the last frame is looked for: it has 98 KiB at most in what other players can play.
_TAIL = 1 << 17


@dataclass(frozen=True)
class Info:
    """Fields of STREAMINFO, and the byte at which the frames begin."""

    offset: int
    block_samples: int
    sample_rate: int
    channels: int
    samples: int
    """All of them; 0 if unknown."""


@dataclass(frozen=True)
class Frame:
    """Fields of the header of one frame."""

    end: int
    """The first sample after it."""
    sample_rate: int
    channels: int


def info(stream: io.BufferedIOBase) -> Info | None:
    """Return STREAMINFO if the file begins with it, or with an ID3 tag before it; else None."""
    start = tags.front(stream, 0)
    stream.seek(start)
    head = stream.read(42)
    if len(head) < 42 or whole.FLAC.match(head) is None:
        return None
    packed = int.from_bytes(head[18:26], "big")
    offset, header = start + 4, head[4:8]
    while len(header) == 4:
        offset += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            # 20 bits of rate, 3 of channels, 5 of sample size, 36 of length.
            return Info(
                offset=offset,
                block_samples=int.from_bytes(head[8:10], "big"),
                sample_rate=packed >> 44,
                channels=(packed >> 41 & 7) + 1,
                samples=packed & (1 << 36) - 1,
            )
        stream.seek(offset)
        header = stream.read(4)
    return None


def parse(header: bytes, of: Info) -> Frame | None:
    """Return the frame whose header these bytes begin with, or None if they are not a header."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xFE != 0xF8:
        return None
    size, rate, layout = header[2] >> 4, header[2] & 15, header[3] >> 4
    # Reserved: a block size of 0, a rate of 15, more than 10 ways to hold channels, the last bit.
    if size == 0 or rate == 15 or layout > 10 or header[3] & 1:
        return None
    # The number is written as in UTF-8, in up to seven bytes.
    ones = 8 - (header[4] ^ 0xFF).bit_length()
    at = 4 + max(1, ones)
    if ones in (1, 8) or any(b & 0xC0 != 0x80 for b in header[5:at]):
        return None
    number = header[4] & (0x7F >> ones)
    for byte in header[5:at]:
        number = number << 6 | byte & 0x3F
    more = {6: 1, 7: 2}.get(size, 0)
    samples = _samples(size, header[at : at + more])
    at += more
    more = {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if more:
        sample_rate = int.from_bytes(header[at : at + more], "big") * _UNITS[rate]
    else:
        sample_rate = _RATES[rate] or of.sample_rate
    at += more
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return None
    varies = header[1] & 1
    return Frame(
        end=(number if varies else number * of.block_samples) + samples,
        sample_rate=sample_rate,
        # The last three layouts are stereo, as one channel and a difference.
        channels=2 if layout > 7 else layout + 1,
    )


def first(stream: io.BufferedIOBase, of: Info) -> Frame | None:
    """Return the first frame; None if there is none."""
    stream.seek(of.offset)
    return parse(stream.read(_HEADER), of)


def last(stream: io.BufferedIOBase, of: Info, size: int) -> Frame | None:
    """Return the last frame, by its header; None if there is none near the end."""
    end = tags.back(stream, size)
    start = max(of.offset, end - _TAIL)
    stream.seek(start)
    tail = stream.read(max(0, end - start))
    at = tail.rfind(b"\xff")
    while at != -1:
        frame = parse(tail[at : at + _HEADER], of)
        if frame is not None:
            return frame
        at = tail.rfind(b"\xff", 0, at)
    return None


def _samples(code: int, follows: bytes) -> int:
    if code == 1:
        return 192
    if code <= 5:
        return 576 << (code - 2)
    if code <= 7:
        return int.from_bytes(follows, "big") + 1
    return 256 << (code - 8)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc

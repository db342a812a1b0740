"""Recognise a file's container by its first bytes; its name does not count."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from kit.audio import tags

HEAD = 512
"""Bytes that `is_text` needs."""

# Enough for two frames of the streams below, whose frames have at most 8191 bytes.
_STREAM = 1 << 15

_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


@dataclass(frozen=True)
class Container:
    """A format that libsndfile does not know.

    Attributes:
        name: for people, such as "MP4".
        demuxer: FFmpeg's name of it.
        states_length: its header holds the length; FFmpeg guesses that of other formats.
    """

    name: str
    demuxer: str
    states_length: bool


_MP4 = Container("MP4", "mov", True)
_AAC = Container("AAC", "aac", False)
_AC3 = Container("AC-3", "ac3", False)

# Source: the probe functions of the demuxers in FFmpeg 5.1.
_BEGINNINGS = {
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c": Container(
        "WMA", "asf", True
    ),
    b"\x1a\x45\xdf\xa3": Container("Matroska", "matroska", True),
    b"wvpk": Container("WavPack", "wv", True),
    b"MAC ": Container("Monkey's Audio", "ape", True),
    b"MPCK": Container("Musepack", "mpc8", True),
    b"MP+": Container("Musepack", "mpc", True),
    b"TTA1": Container("TTA", "tta", True),
    b"tBaK": Container("TAK", "tak", True),
    b"DSD ": Container("DSF", "dsf", True),
    b"FRM8": Container("DSDIFF", "iff", True),
    b"#!AMR": Container("AMR", "amr", False),
    b"FLV\x01": Container("FLV", "flv", False),
    b"\x7f\xfe\x80\x01": Container("DTS", "dts", False),
}
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def is_text(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is text, as pages and playlists are.

    Every audio format has control characters in front.

    Args:
        start: the first `HEAD` bytes, or all of a shorter file.
    """
    return bool(start) and not any(byte < 9 or 13 < byte < 32 for byte in start)


def container(stream: io.BufferedIOBase) -> Container | None:
    """Return the container by its first bytes, behind an ID3 tag if there is one.

    None for what libsndfile claims to know and for everything else: such a file is no audio if
    libsndfile refuses it.

    Args:
        stream: a buffered binary file; its position is moved.
    """
    stream.seek(tags.front(stream, 0))
    head = stream.read(_STREAM)
    for beginning, found in _BEGINNINGS.items():
        if head.startswith(beginning):
            return found
    if head[4:8] in _MP4_BOXES:
        return _MP4
    if _repeats(head, _adts_length):
        return _AAC
    return _AC3 if _repeats(head, _ac3_length) else None


def _repeats(head: bytes, length: Callable[[bytes], int]) -> bool:
    """Return whether two frames follow each other: two bytes alone may look like a header."""
    first = length(head[:7])
    return first > 0 and length(head[first : first + 7]) > 0


def _adts_length(header: bytes) -> int:
    """Return the bytes of an AAC frame, 0 if this is not a header. ISO/IEC 13818-7, 6.2."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    reserved = (header[2] >> 2 & 15) > 12
    return length if length > 7 and not reserved else 0


def _ac3_length(header: bytes) -> int:
    """Return the bytes of an AC-3 frame, 0 if this is not a header. ATSC A/52, 5.4.1."""
    if len(header) < 7 or header[:2] != b"\x0b\x77":
        return 0
    rate, size = header[4] >> 6, header[4] & 63
    if rate == 3 or size >= 2 * len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[size >> 1]
    return 2 * (2 * kbps, kbps * 320 // 147 + (size & 1), 3 * kbps)[rate]

"""Does a file end before its container says so, or does another file follow it?

Decoders pass over both in silence.
"""

import io
import os
import re
from pathlib import Path

from kit.audio import tags
from kit.audio.errors import ChangedRateError, shown

# Sizes from here on are what programs write that stream and do not know the size.
_SIZE_UNKNOWN = 0x7F000000

_OGG_PAGE = 27
"""Bytes of an Ogg page's header before the lengths of its segments: RFC 3533, section 6."""

# The flag of a stream's first page.
_BEGINS = 2

FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""A stream's mark and the header of its first block, STREAMINFO, 34 bytes long."""

_RIFF = re.compile(rb"(?:RIFF|RF64|RIFX)....WAVE(?:fmt |JUNK|ds64|bext|LIST)", re.DOTALL)


def _with_bit(bit: int) -> bytes:
    """Return a pattern of the bytes in which a bit is set."""
    return b"[" + b"".join(b"\\x%02x" % byte for byte in range(256) if byte >> bit & 1) + b"]"


# How files of a format begin, long enough that it does not occur by chance.
_BEGINNINGS = {
    "FLAC": FLAC,
    "OGG": re.compile(rb"OggS\x00[\x02\x06]"),
    "WAV": _RIFF,
    "WAVEX": _RIFF,
    "RF64": _RIFF,
    "AIFF": re.compile(rb"FORM....AIF[FC](?:COMM|FVER|NAME|\x00)", re.DOTALL),
    "AU": re.compile(rb"\.snd\x00\x00.{6}\x00\x00\x00[\x01-\x1b]", re.DOTALL),
    "CAF": re.compile(rb"caff\x00\x01\x00\x00desc\x00\x00\x00\x00"),
    "W64": re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
    "MP4": re.compile(rb"\x00\x00\x00[\x10-\x40]ftyp(?:M4A|M4B|mp4|iso|qt |dash|3gp)"),
    "WMA": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"),
    "Matroska": re.compile(rb"\x1a\x45\xdf\xa3.{1,40}?\x42\x82.(?:matroska|webm)", re.DOTALL),
    # The block with sample 0; of several such blocks, the first channels have bit 3 of the flags.
    "WavPack": re.compile(
        rb"wvpk.{4}[\x02-\x10]\x04\x00\x00.{4}\x00{4}.{5}" + _with_bit(3), re.DOTALL
    ),
    "TTA": re.compile(rb"TTA1[\x01-\x03]\x00.\x00.\x00..[\x00-\x05]\x00", re.DOTALL),
    "Monkey's Audio": re.compile(rb"MAC [\x80-\xff]\x0f\x00\x00\x34\x00\x00\x00"),
}
_WINDOW = 1 << 18
# More bytes than any of the patterns has.
_OVERLAP = 96


def sndfile_share(log: str) -> float:
    """Return the share of a WAV, RF64, AIFF or AU file that is there, by libsndfile's log.

    Returns:
        Between 0 and 1; 1 where nothing is missing, or the file does not know its size.
    """
    pattern = r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)"
    found = re.search(pattern, log, re.MULTILINE)
    if found is None or not 0 < int(found[2]) < int(found[1]) < _SIZE_UNKNOWN:
        return 1.0
    return int(found[2]) / int(found[1])


def ogg_is_cut(stream: io.BufferedIOBase) -> bool:
    """Return whether an Ogg file ends within a page."""
    size = stream.seek(0, os.SEEK_END)
    # A page is at most 65,307 bytes, so that the last one begins within these.
    stream.seek(max(0, size - (1 << 17)))
    tail = stream.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if len(page) < _OGG_PAGE or len(page) < _OGG_PAGE + page[26]:
        return at != -1
    return len(page) < _OGG_PAGE + page[26] + sum(page[_OGG_PAGE : _OGG_PAGE + page[26]])


def is_joined(stream: io.BufferedIOBase, format: str) -> bool:
    """Return whether another file of the same format follows, as `cat a b > c` makes one.

    Reads the file to where the next one begins: an ordinary file to its end.

    Args:
        stream: a buffered binary file; its position is moved.
        format: its name as in `Source.format`; False for those whose files may be joined.
    """
    beginning = _BEGINNINGS.get(format)
    if beginning is None:
        return False
    start = _behind_first_pages(stream) if format == "OGG" else tags.front(stream, 0)
    stream.seek(start)
    window = stream.read(_WINDOW)
    if format != "OGG":
        first = beginning.search(window)
        window = window[first.end() :] if first else b""
    while window:
        if beginning.search(window):
            return True
        more = stream.read(_WINDOW)
        window = window[-_OVERLAP:] + more if more else b""
    return False


def joined(path: Path, first_s: float | None = None) -> ChangedRateError:
    """Return the error for a file of which several were made one, the first `first_s` long."""
    where = "" if first_s is None else f" (the first ends after {first_s:.2f} s)"
    return ChangedRateError(
        f"{shown(path)} is several files joined into one{where}, and players play the first "
        "only; split it there, or convert each part and join their samples"
    )


def _behind_first_pages(stream: io.BufferedIOBase) -> int:
    """Streams that run side by side, such as sound and picture, all begin in the first pages."""
    offset = 0
    while True:
        stream.seek(offset)
        head = stream.read(_OGG_PAGE)
        if head[:4] != b"OggS" or len(head) < _OGG_PAGE or not head[5] & _BEGINS:
            return offset
        offset += _OGG_PAGE + head[26] + sum(stream.read(head[26]))

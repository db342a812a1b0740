"""Files in which one stream follows another, of which decoders take the first in silence."""

import io
import re

from kit.audio import flac
from kit.audio.cut import OGG_PAGE

# The flag of a stream's first page; pages that have it.
# Source: RFC 3533, section 6.
_BEGINS = 2
_FIRST_PAGE = re.compile(rb"OggS\x00[\x02\x06]")

_WINDOW = 1 << 18
# More bytes than either of the two patterns has.
_OVERLAP = 16


def is_joined(stream: io.BufferedIOBase, container: str) -> bool:
    """Return whether another stream follows the first, as in recordings of a radio.

    Reads the file to the next beginning: in an ordinary file, to its end.

    Args:
        stream: a buffered binary file; its position is moved.
        container: "OGG" or "FLAC"; False for others.
    """
    if container == "FLAC":
        info = flac.info(stream)
        return info is not None and _occurs(stream, flac.BEGINNING, info.offset)
    return container == "OGG" and _occurs(stream, _FIRST_PAGE, _behind_first_pages(stream))


def _behind_first_pages(stream: io.BufferedIOBase) -> int:
    """Streams that run side by side, such as sound and picture, all begin in the first pages."""
    offset = 0
    while True:
        stream.seek(offset)
        head = stream.read(OGG_PAGE)
        if head[:4] != b"OggS" or len(head) < OGG_PAGE or not head[5] & _BEGINS:
            return offset
        offset += OGG_PAGE + head[26] + sum(stream.read(head[26]))


def _occurs(stream: io.BufferedIOBase, pattern: re.Pattern[bytes], offset: int) -> bool:
    stream.seek(offset)
    window = stream.read(_WINDOW)
    while window:
        if pattern.search(window):
            return True
        more = stream.read(_WINDOW)
        window = window[-_OVERLAP:] + more if more else b""
    return False

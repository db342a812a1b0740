"""Files that end before their container says so, where a decoder takes what is there in silence."""

import io
import os
import re

from kit.audio import mp3

# Sizes from here on are what programs write that stream and do not know the size.
_SIZE_UNKNOWN = 0x7F000000

OGG_PAGE = 27
"""Bytes of an Ogg page's header before the lengths of its segments: RFC 3533, section 6."""


def sndfile_share(log: str) -> float:
    """Return the share of a WAV, RF64, AIFF or AU file that is there, by libsndfile's log.

    Args:
        log: `extra_info` of a sound file.
    Returns:
        Between 0 and 1; 1 where nothing is missing, or the file does not know its size.
    """
    pattern = r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)"
    found = re.search(pattern, log, re.MULTILINE)
    if found is None or not 0 < int(found[2]) < int(found[1]) < _SIZE_UNKNOWN:
        return 1.0
    return int(found[2]) / int(found[1])


def mp3_share(tag: mp3.Tag | None, size: int) -> float:
    """Return the share of an MP3 file of `size` bytes that is there, by its tag; 1 without one."""
    if tag is None or not tag.bytes:
        return 1.0
    return min(1.0, (size - tag.offset) / tag.bytes)


def ogg_is_cut(stream: io.BufferedIOBase) -> bool:
    """Return whether an Ogg file ends within a page."""
    size = stream.seek(0, os.SEEK_END)
    # A page is at most 65,307 bytes, so that the last one begins within these.
    stream.seek(max(0, size - (1 << 17)))
    tail = stream.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if len(page) < OGG_PAGE or len(page) < OGG_PAGE + page[26]:
        return at != -1
    return len(page) < OGG_PAGE + page[26] + sum(page[OGG_PAGE : OGG_PAGE + page[26]])

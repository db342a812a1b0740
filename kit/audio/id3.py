"""The ID3 tags that stand in front of MP3 frames, and of streams of other formats."""

import io

_HEADER = 10


def end(stream: io.BufferedIOBase, offset: int) -> int:
    """Return where the tag at `offset` ends, or `offset` without one. The position moves.

    Source: ID3v2.4.0, section 3.1: the size is in seven bits a byte.
    """
    stream.seek(offset)
    head = stream.read(_HEADER)
    if len(head) < _HEADER or head[:3] != b"ID3":
        return offset
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return offset + _HEADER + size

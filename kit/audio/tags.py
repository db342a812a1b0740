"""The tags before and behind the audio of a file: ID3v1, ID3v2, APEv2 and Lyrics3."""

import io

_ID3V2 = 10  # bytes of the header
_ID3V1 = 128
_APE = 32  # bytes of the header, and of the footer
_LYRICS = 15  # six digits and "LYRICS200"


def front(stream: io.BufferedIOBase, offset: int) -> int:
    """Return where the ID3 tag at `offset` ends, or `offset` without one. The position moves.

    Source: ID3v2.4.0, section 3.1: the size is in seven bits a byte.
    """
    head = _bytes(stream, offset, _ID3V2)
    if len(head) == _ID3V2 and head[:3] == b"ID3":
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        return offset + _ID3V2 + size
    return offset + _ID3V1 if head[:3] == b"TAG" else offset


def back(stream: io.BufferedIOBase, size: int) -> int:
    """Return where the tags at the end of a file of `size` bytes begin, in whatever order."""
    while True:
        before = size
        if size >= _ID3V1 and _bytes(stream, size - _ID3V1, 3) == b"TAG":
            size -= _ID3V1
        foot = _bytes(stream, size - _APE, _APE) if size >= _APE else b""
        if foot[:8] == b"APETAGEX":
            size -= min(int.from_bytes(foot[12:16], "little"), size)
            # The size counts the footer, and not the header, which a tag need not have.
            if size >= _APE and _bytes(stream, size - _APE, 8) == b"APETAGEX":
                size -= _APE
        foot = _bytes(stream, size - _LYRICS, _LYRICS) if size >= _LYRICS else b""
        if foot[6:] == b"LYRICS200" and foot[:6].isdigit():
            size -= min(int(foot[:6]) + _LYRICS, size)
        if size == before:
            return size


def _bytes(stream: io.BufferedIOBase, start: int, count: int) -> bytes:
    stream.seek(start)
    return stream.read(count)

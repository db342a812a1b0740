"""Parts of a file, read as if they were a whole one."""

import io
import os
from collections.abc import Sequence
from typing import Any

_BUFFER = 1 << 16


def joined_spans(
    stream: io.BufferedIOBase, spans: Sequence[tuple[int, int]], head: bytes = b""
) -> io.BufferedReader:
    """Return a file of some bytes in front, and of parts of another file behind them.

    Args:
        stream: the other file, open for reading in binary.
        spans: first byte of each part, and the byte after its last.
        head: the bytes in front.
    """
    # libsndfile reads four bytes at a time: without a buffer that is a third of the decoding.
    return io.BufferedReader(_Spans(stream, spans, head), _BUFFER)


class _Spans(io.RawIOBase):
    def __init__(
        self, stream: io.BufferedIOBase, spans: Sequence[tuple[int, int]], head: bytes
    ) -> None:
        self._stream = stream
        self._head = head
        self._spans = spans
        self._size = len(head) + sum(end - start for start, end in spans)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` bytes from `whence`, and return the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the position on, and return the number of bytes read."""
        view = memoryview(buffer).cast("B")
        head = self._head[self._position : self._position + len(view)]
        view[: len(head)] = head
        got, at = len(head), len(self._head)
        for start, end in self._spans:
            skipped = self._position + got - at
            if got < len(view) and 0 <= skipped < end - start:
                self._stream.seek(start + skipped)
                part = self._stream.read(min(len(view) - got, end - start - skipped))
                view[got : got + len(part)] = part
                got += len(part)
            at += end - start
        self._position += got
        return got

"""CRC-32C (Castagnoli), which Python's zlib does not have, in NumPy.

The checksum is linear in the bytes, so long data is cut into rows that are computed side by side.
"""

from functools import cache

import numpy as np

_ROW = 1024  # bytes


@cache
def _table() -> np.ndarray:
    """Return the state that each byte leads to from state 0, (256,)."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = np.where(state & 1, (state >> 1) ^ np.uint32(0x82F63B78), state >> 1)
    return state.astype(np.uint32)


@cache
def _past_a_row() -> list[list[int]]:
    """Return for each byte of a state the state that a row of zeros leads to, 4 lists of 256."""
    table = _table()
    state = (
        np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
    ).ravel()
    for _ in range(_ROW):
        state = table[state & 0xFF] ^ (state >> 8)
    return state.reshape(4, 256).tolist()


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of bytes.

    Source: RFC 3720, appendix B.4.
    """
    table = _table()
    values = np.frombuffer(data, np.uint8)
    rows = len(values) // _ROW
    of_rows = np.zeros(rows, np.uint32)
    for column in values[: rows * _ROW].reshape(rows, _ROW).T if rows else ():
        of_rows = table[(of_rows ^ column) & 0xFF] ^ (of_rows >> 8)
    state = 0xFFFFFFFF
    for of_row in of_rows.tolist():
        a, b, c, d = _past_a_row()
        state = (
            a[state & 255] ^ b[state >> 8 & 255] ^ c[state >> 16 & 255] ^ d[state >> 24] ^ of_row
        )
    steps = table.tolist() if len(values) > rows * _ROW else []
    for byte in values[rows * _ROW :].tolist():
        state = steps[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C as TensorFlow and LevelDB store it.

    Source: LevelDB's util/crc32c.h, `Mask`.
    """
    plain = crc32c(data)
    return ((plain >> 15 | plain << 17) + 0xA282EAD8) & 0xFFFFFFFF

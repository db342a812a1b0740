"""Read the float32 tensors of a TensorFlow V2 checkpoint without TensorFlow.

A checkpoint has two files. `NAME.index` is a LevelDB table that maps the name of a tensor to a
`BundleEntryProto`: dtype, shape, offset and size. `NAME.data-00000-of-00001` holds the raw values.
Checksums are not compared: the caller verifies the file that holds both.

Source: LevelDB's doc/table_format.md; TensorFlow's tensor_bundle.proto.
"""

import io
import math
import struct
from collections.abc import Container, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32

_FOOTER = 48  # bytes: the handles of two blocks, padding, and the magic number


def read_bundle(
    index: bytes, data: bytes, names: Container[str]
) -> dict[str, Float32[np.ndarray, "..."]]:
    """Return tensors by name, as read-only views of `data`.

    Args:
        index: content of the `.index` file, uncompressed.
        data: content of the only `.data` file, little-endian.
        names: float32 tensors to return; names that the checkpoint lacks are ignored.
    """
    footer = io.BytesIO(index[-_FOOTER:])
    _handle(footer)  # of the filters, which TensorFlow does not write
    tensors = {}
    for _, handle in _block(index, *_handle(footer)):
        for key, value in _block(index, *_handle(io.BytesIO(handle))):
            # The empty key holds the header.
            if key and (name := key.decode()) in names:
                tensors[name] = _tensor(_message(value), data)
    return tensors


def _tensor(entry: dict[int, list[Any]], data: bytes) -> Float32[np.ndarray, "..."]:
    axes = _message(entry[2][-1]).get(2, []) if 2 in entry else []
    shape = [_message(axis).get(1, [0])[-1] for axis in axes]
    offset = entry.get(4, [0])[-1]
    return np.frombuffer(data, "<f4", math.prod(shape), offset).reshape(shape)


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; each key shares a prefix with the one before it."""
    block = index[offset : offset + size]
    # Restart points, which only a search needs, follow the entries.
    end = size - 4 * (1 + struct.unpack("<I", block[-4:])[0])
    stream, key = io.BytesIO(block), b""
    while stream.tell() < end:
        shared, own, length = (_varint(stream) for _ in range(3))
        key = key[:shared] + stream.read(own)
        yield key, stream.read(length)


def _handle(stream: io.BytesIO) -> tuple[int, int]:
    """Return offset and size of a block."""
    return _varint(stream), _varint(stream)


def _message(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protocol buffer by number: integers, or bytes."""
    fields: dict[int, list[Any]] = {}
    stream = io.BytesIO(data)
    while stream.tell() < len(data):
        number, kind = divmod(_varint(stream), 8)
        value = _varint(stream) if kind == 0 else stream.read(4 if kind == 5 else _varint(stream))
        fields.setdefault(number, []).append(value)
    return fields


def _varint(stream: io.BytesIO) -> int:
    """Return an integer stored as seven bits a byte, lowest bits first."""
    value = shift = 0
    while True:
        (byte,) = stream.read(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7

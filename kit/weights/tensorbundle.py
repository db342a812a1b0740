"""Read TensorFlow's V2 checkpoint files with NumPy alone: no TensorFlow, no pickle.

A checkpoint is two files. `NAME.index` is a table of LevelDB's format (sorted keys in blocks that
share prefixes, a checksum after each block) from the name of a tensor to its `BundleEntryProto`:
type, shape, and place in the data. `NAME.data-00000-of-00001` holds the raw values.

Nothing in the files is trusted. Every offset, length and count is checked before it is used, and
tensors are views of the data, so a hostile file costs no more memory than its own size and a
bounded index.

Source: LevelDB's doc/table_format.md; TensorFlow's tensor_bundle.proto and types.proto.
"""

import math
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.errors import KitError
from kit.weights.crc32c import masked_crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes: two handles, filled up to 40, and the magic number
_TRAILER = 5  # bytes behind a block: its compression and its checksum
MOST_ENTRIES = 100_000
LONGEST_KEY = 512  # bytes
_MOST_AXES = 16
# By the numbers of types.proto. Strings, resources and quantised numbers are not read.
_TYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}


class _BadFileError(Exception):
    pass


@dataclass(frozen=True)
class Entry:
    """Type, shape and place of a tensor.

    Attributes:
        kind: number of its type in types.proto.
        shape: lengths of its axes.
        offset: of its first byte in the data.
        size: bytes.
        checksum: masked CRC-32C of its bytes.
    """

    kind: int
    shape: tuple[int, ...]
    offset: int
    size: int
    checksum: int


def read_bundle(
    index: bytes, data: bytes, *, source: str, names: Container[str] | None = None
) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint by name.

    Args:
        index: the bytes of the `.index` file.
        data: the bytes of the only `.data` file.
        source: what error messages call the checkpoint.
        names: the tensors to return; all of them if None.
    Returns:
        Read-only views of `data`.
    Raises:
        KitError: cut off, damaged, of several data files, or a wanted tensor of a type that is not
            read (such as text).
    """
    try:
        entries = _entries(index)
        wanted = {n: e for n, e in entries.items() if names is None or n in names}
        return {name: _tensor(name, entry, data) for name, entry in wanted.items()}
    except _BadFileError as error:
        raise KitError(
            f"{source} is not a whole TensorFlow checkpoint: {error}; fetch the file again"
        ) from error


def _entries(index: bytes) -> dict[str, Entry]:
    """Return the table of tensors; it begins with a header under the empty key."""
    found: dict[str, Entry] = {}
    header = False
    for key, value in _table(index):
        if not header:
            if key:
                raise _BadFileError("its index has no header")
            header = True
            _require_one_little_endian_file(_message(value))
            continue
        name = _decoded(key)
        found[name] = _entry(name, value)
    if not header:
        raise _BadFileError("its index is empty")
    return found


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table, in order."""
    if len(index) < _FOOTER:
        raise _BadFileError(f"its index has {len(index)} bytes, and {_FOOTER} make a footer")
    footer = index[-_FOOTER:]
    if struct.unpack_from("<Q", footer, 40)[0] != _MAGIC:
        raise _BadFileError("its index does not end with a table's magic number")
    meta, meta_size, at = _handle(footer, 0)
    start, size, _ = _handle(footer, at)
    end = len(index) - _FOOTER
    for _ in _block(index, meta, meta_size, end):
        raise _BadFileError("its index has a filter, which TensorFlow's own never has")
    last: bytes | None = None
    count, free = 0, 0
    for _, handle in _block(index, start, size, end):
        first, length, _ = _handle(handle, 0)
        # Blocks in the order of the file, so that none can be read again and again.
        if first < free:
            raise _BadFileError("the blocks of its index overlap")
        free = first + length
        for key, value in _block(index, first, length, end):
            if last is not None and key <= last:
                raise _BadFileError("the names in its index are not sorted")
            last, count = key, count + 1
            if count > MOST_ENTRIES:
                raise _BadFileError(f"its index has more than {MOST_ENTRIES:,} entries")
            yield key, value


def _block(index: bytes, start: int, size: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block whose checksum is right."""
    if start + size + _TRAILER > end:
        raise _BadFileError("a block of its index lies past the end")
    kind, checksum = struct.unpack_from("<BI", index, start + size)
    if kind != 0:
        raise _BadFileError("its index is compressed, which TensorFlow's own never is")
    if masked_crc32c(index[start : start + size + 1]) != checksum:
        raise _BadFileError("a checksum of its index is wrong")
    block = index[start : start + size]
    if len(block) < 4:
        raise _BadFileError("a block of its index is too short")
    # Restart points, which only a search needs, follow the entries.
    stop = len(block) - 4 * (1 + struct.unpack_from("<I", block, len(block) - 4)[0])
    if stop < 0:
        raise _BadFileError("a block of its index is too short")
    at, key = 0, b""
    while at < stop:
        shared, at = _varint(block, at, stop)
        own, at = _varint(block, at, stop)
        length, at = _varint(block, at, stop)
        if shared > len(key) or shared + own > LONGEST_KEY or at + own + length > stop:
            raise _BadFileError("an entry of its index is damaged")
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _require_one_little_endian_file(header: dict[int, list[Any]]) -> None:
    files, big = _number(header, 1), _number(header, 2)
    if files != 1:
        raise _BadFileError(f"its values are in {files} files, and only one is read")
    if big:
        raise _BadFileError("its values are big-endian")


def _entry(name: str, value: bytes) -> Entry:
    fields = _message(value)
    axes = [] if 2 not in fields else _message(_bytes(fields, 2)).get(2, [])
    if len(axes) > _MOST_AXES:
        raise _BadFileError(f"{name} has {len(axes)} axes")
    if not all(isinstance(axis, bytes) for axis in axes):
        raise _BadFileError(f"the shape of {name} is damaged")
    if 7 in fields or _number(fields, 3) != 0:
        raise _BadFileError(f"{name} is in slices or in another file")
    shape = tuple(_number(_message(axis), 1) for axis in axes)
    numbers = [_number(fields, field) for field in (1, 4, 5, 6)]
    return Entry(numbers[0], shape, *numbers[1:])


def _tensor(name: str, entry: Entry, data: bytes) -> np.ndarray:
    if entry.kind not in _TYPES:
        raise _BadFileError(f"{name} is of type {entry.kind}, which is not read")
    dtype = np.dtype(_TYPES[entry.kind])
    if math.prod(entry.shape) * dtype.itemsize != entry.size:
        raise _BadFileError(f"{name} has {entry.size} bytes, which do not fit its shape")
    if entry.offset + entry.size > len(data):
        raise _BadFileError(f"{name} lies past the end of the values")
    raw = memoryview(data)[entry.offset : entry.offset + entry.size]
    if masked_crc32c(raw) != entry.checksum:
        raise _BadFileError(f"the checksum of {name} is wrong")
    values = np.frombuffer(raw, dtype)
    # NumPy refuses an axis that is longer than an address, even beside one of length 0.
    if not entry.size and max(entry.shape) > len(data):
        raise _BadFileError(f"the shape of {name} is damaged")
    return values.reshape(entry.shape)


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Return offset and size of a block, and where its handle ends."""
    offset, at = _varint(data, at, len(data))
    size, at = _varint(data, at, len(data))
    return offset, size, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, least first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _BadFileError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _BadFileError("a number is too long")


def _message(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protocol buffer by number: integers, or bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, len(data))
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at, len(data))
        else:
            size = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                size, at = _varint(data, at, len(data))
            if size is None or at + size > len(data):
                raise _BadFileError("an entry of its index is damaged")
            raw = data[at : at + size]
            value = raw if kind == 2 else int.from_bytes(raw, "little")
            at += size
        fields.setdefault(number, []).append(value)
    return fields


def _number(fields: dict[int, list[Any]], field: int) -> int:
    """Return the last value of an integer field, 0 if there is none."""
    value = fields.get(field, [0])[-1]
    if not isinstance(value, int):
        raise _BadFileError("an entry of its index is damaged")
    return value


def _bytes(fields: dict[int, list[Any]], field: int) -> bytes:
    value = fields[field][-1]
    if not isinstance(value, bytes):
        raise _BadFileError("an entry of its index is damaged")
    return value


def _decoded(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise _BadFileError("a name in its index is not UTF-8") from error

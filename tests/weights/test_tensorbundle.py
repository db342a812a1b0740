"""Checkpoints written here, entry by entry, and read back."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kit.weights.tensorbundle import read_bundle

KINDS = {"float32": 1, "float64": 2, "int64": 9}
HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one file; version 1
CHECKSUM = b"\1\2\3\4"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def block(pairs, every=2):
    """Entries that share prefixes, and restart points."""
    out, last, restarts = b"", b"", []
    for i, (key, value) in enumerate(pairs):
        shared = 0
        if i % every:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        else:
            restarts.append(len(out))
        out += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(pairs, per_block=3):
    out, handles = b"", []
    for at in range(0, len(pairs), per_block):
        body = block(pairs[at : at + per_block])
        handles.append((pairs[at : at + per_block][-1][0], varint(len(out)) + varint(len(body))))
        out += body + b"\0" + CHECKSUM
    ends = []
    for part in ([], handles):
        body = block(part)
        ends.append(varint(len(out)) + varint(len(body)))
        out += body + b"\0" + CHECKSUM
    return out + b"".join(ends).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(array, offset):
    raw = array.tobytes()
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    head = field(1, KINDS[array.dtype.name]) + field(2, shape)
    return head + field(4, offset) + field(5, len(raw)) + varint(6 << 3 | 5) + CHECKSUM


def checkpoint(arrays):
    data, pairs = b"", [(b"", HEADER)]
    for name, array in sorted(arrays.items()):
        pairs.append((name.encode(), entry(array, len(data))))
        data += array.tobytes()
    return table(pairs), data


NAMES = st.from_regex(r"(conv|dense)(_\d{1,3})?/[a-z]{1,9}", fullmatch=True)
FLOATS = arrays(np.float32, st.just(()) | array_shapes(max_dims=4, max_side=9))


@given(st.dictionaries(NAMES, FLOATS, max_size=12))
def test_every_tensor_is_read_as_it_was_written(tensors):
    others = {"step": np.array(7, np.int64), "adam/moment": np.arange(700.0)}
    index, data = checkpoint(tensors | others)
    found = read_bundle(index, data, {*tensors, "lacking"})
    assert list(found) == sorted(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert not found[name].flags.writeable

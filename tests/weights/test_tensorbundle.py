"""Checkpoints written here, entry by entry, and what becomes of them when bytes change."""

import contextlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import KitError
from kit.weights.crc32c import crc32c
from kit.weights.tensorbundle import LONGEST_KEY, read_bundle

KINDS = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10, "float16": 19}
HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one file; version 1


def bitwise(data):
    """CRC-32C by its definition, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(data):
    plain = bitwise(data)
    return ((plain >> 15 | plain << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


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
    """Entries that share prefixes, restart points, no compression, checksum."""
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
    out += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    return out, b"\0" + struct.pack("<I", masked(out + b"\0"))


def table(pairs, per_block=3):
    out, handles = b"", []
    for at in range(0, len(pairs), per_block):
        body, trailer = block(pairs[at : at + per_block])
        handles.append((pairs[at : at + per_block][-1][0], varint(len(out)) + varint(len(body))))
        out += body + trailer
    ends = []
    for part in ([], handles):
        body, trailer = block(part)
        ends.append(varint(len(out)) + varint(len(body)))
        out += body + trailer
    return out + b"".join(ends).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(array, offset, kind=None, checksum=None):
    raw = array.tobytes()
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    crc = masked(raw) if checksum is None else checksum
    head = field(1, KINDS[array.dtype.name] if kind is None else kind) + field(2, shape)
    return (
        head + field(4, offset) + field(5, len(raw)) + varint(6 << 3 | 5) + struct.pack("<I", crc)
    )


def checkpoint(arrays):
    data, pairs = b"", [(b"", HEADER)]
    for name, array in sorted(arrays.items()):
        pairs.append((name.encode(), entry(array, len(data))))
        data += array.tobytes()
    return table(pairs), data


ARRAYS = {
    "conv/bias": np.arange(3, dtype=np.float32),
    "conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7,
    "conv_1/kernel": np.arange(700, dtype=np.float64).reshape(7, 100),
    "empty": np.zeros((0, 4), np.int32),
    "half": np.array([1.5, -2], np.float16),
    "on": np.array([True, False]),
    "step": np.array(7, np.int64),
}
INDEX, DATA = checkpoint(ARRAYS)


def test_every_tensor_is_read_as_it_was_written():
    found = read_bundle(INDEX, DATA, source="it")
    assert list(found) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert not found[name].flags.writeable
    some = read_bundle(INDEX, DATA, source="it", names={"step", "half"})
    assert list(some) == ["half", "step"]


@given(st.binary(max_size=40), st.integers(0, 2500))
def test_the_checksum_is_that_of_its_definition(start, more):
    data = start + bytes(i * i % 251 for i in range(more))
    assert crc32c(data) == bitwise(data)


def test_the_published_value_of_the_checksum():
    # RFC 3720, B.4: 32 bytes of zeros, 32 bytes from 0 on.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


@given(st.integers(0, len(INDEX) - 1), st.integers(0, len(DATA) - 1))
def test_a_file_that_was_cut_is_refused(index, data):
    with pytest.raises(KitError, match="it is not a whole TensorFlow checkpoint"):
        read_bundle(INDEX[:index], DATA, source="it")
    with pytest.raises(KitError, match="lies past the end of the values"):
        read_bundle(INDEX, DATA[:data], source="it")


@given(st.integers(0, len(INDEX) - 1), st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_byte_that_changed_is_noticed_or_means_nothing(index, data, by):
    with pytest.raises(KitError, match=r"the checksum of .* is wrong"):
        read_bundle(INDEX, DATA[:data] + bytes([DATA[data] ^ by]) + DATA[data + 1 :], source="it")
    changed = INDEX[:index] + bytes([INDEX[index] ^ by]) + INDEX[index + 1 :]
    try:
        found = read_bundle(changed, DATA, source="it")
    except KitError:
        return
    # The two places in the footer are filled up with zeros.
    assert index >= len(INDEX) - 48
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


@st.composite
def hostile(draw):
    """A block with right checksums, whose bytes are anything."""
    pairs = [(b"", HEADER), *((n.encode(), entry(a, 0)) for n, a in sorted(ARRAYS.items()))]
    body, _ = block(pairs)
    body = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    body = bytes(body)
    handle = draw(st.sampled_from([varint(0) + varint(len(body)), draw(st.binary(max_size=12))]))
    top, trailer = block([(b"z", handle)] * draw(st.integers(1, 3)))
    out = body + b"\0" + struct.pack("<I", masked(body + b"\0"))
    none, end = block([])
    ends = varint(len(out)) + varint(len(none)) + varint(len(out + none + end)) + varint(len(top))
    return (
        out
        + none
        + end
        + top
        + trailer
        + ends.ljust(40, b"\0")
        + struct.pack("<Q", 0xDB4775248B80FB57)
    )


@given(hostile() | st.binary(max_size=200), st.binary(max_size=64))
def test_bytes_of_any_kind_raise_one_error_and_take_little_memory(index, data):
    tracemalloc.start()
    try:
        with contextlib.suppress(KitError):
            read_bundle(index, data, source="it")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def bundle_of(*pairs, header=HEADER):
    return table([(b"", header), *pairs])


LONG = b"k" * (LONGEST_KEY + 1)
ONE = np.ones((), np.float32)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (bundle_of(header=field(1, 2)), "its values are in 2 files"),
        (bundle_of(header=field(1, 1) + field(2, 1)), "its values are big-endian"),
        (table([(b"a", entry(ONE, 0))]), "its index has no header"),
        (bundle_of((b"b", entry(ONE, 0)), (b"a", entry(ONE, 0))), "are not sorted"),
        (bundle_of((LONG, entry(ONE, 0))), "an entry of its index is damaged"),
        (bundle_of((b"a", entry(ONE, 0, kind=7))), "a is of type 7, which is not read"),
        (bundle_of((b"a", entry(ONE, 0) + field(7, b""))), "a is in slices"),
        (bundle_of((b"a", entry(ONE, 0) + field(3, 1))), "a is in slices or in another file"),
        (bundle_of((b"a", field(1, 1) + field(2, b"") + field(5, 8))), "do not fit its shape"),
        (bundle_of((b"\xff", entry(ONE, 0))), "not UTF-8"),
    ],
)
def test_what_is_not_read_is_named(index, words):
    with pytest.raises(KitError, match=words):
        read_bundle(index, ONE.tobytes(), source="it")


def test_a_shape_with_an_axis_that_no_array_has_is_refused():
    shape = field(2, field(1, 0)) + field(2, field(1, 2**62))
    value = field(1, 1) + field(2, shape) + varint(6 << 3 | 5) + struct.pack("<I", masked(b""))
    with pytest.raises(KitError, match="the shape of a is damaged"):
        read_bundle(bundle_of((b"a", value)), b"", source="it")

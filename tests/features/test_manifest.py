"""A part of the table is read as it was written, whatever stands in it; damage is refused."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import KitError
from kit.features.manifest import Entry, from_bytes, to_bytes

FIRST, COUNT = 512, 256
ODD = st.sampled_from(['"', "\n", "\r", "\r\n", "\0", ",", ";", "'", "\ufeff", "\u2028", "1e5", ""])
TEXT = st.lists(st.text(max_size=5) | ODD, max_size=4).map("".join)


@st.composite
def parts(draw):
    offsets = draw(st.lists(st.integers(FIRST, FIRST + COUNT - 1), unique=True, max_size=6))
    return [
        Entry(offset, draw(TEXT), draw(TEXT), 6)
        if draw(st.booleans())
        else Entry(
            *(offset, draw(TEXT), draw(TEXT), 0, "r" + draw(TEXT), draw(TEXT), draw(TEXT)),
            length_s=draw(st.none() | st.floats(0, 1e6)),
        )
        for offset in offsets
    ]


@given(entries=parts())
def test_it_is_read_as_it_was_written(entries):
    data = to_bytes(entries)
    by_row = sorted(entries, key=lambda entry: entry.offset)
    assert from_bytes(data, FIRST, COUNT) == by_row
    # By row, so that equal parts are equal bytes.
    assert to_bytes(reversed(entries)) == data == to_bytes(by_row)


@given(entries=parts())
def test_others_read_it_as_csv(entries):
    rows = list(csv.DictReader(io.StringIO(to_bytes(entries).decode(), newline="")))
    want = {(str(e.offset), e.track_id, e.path, e.message) for e in entries}
    assert {(r["offset"], r["track_id"], r["path"], r["message"]) for r in rows} == want


def test_the_bytes_of_the_format():
    entries = [
        Entry(513, "b", "0f", 0, "too_short", 'a "b".wav', "is too, short", 9.7),
        Entry(512, "é", "ab", 6),
    ]
    assert to_bytes(entries).decode() == (
        '"offset","track_id","source_hash","frames","reason","path","message","length_s"\n'
        '512,"é","ab",6,"","","",""\n'
        '513,"b","0f",0,"too_short","a ""b"".wav","is too, short",9.7\n'
    )


WHOLE = to_bytes(
    [Entry(512, "a", "0a", 6), Entry(513, "b", "0b", 0, "too_short", "b.wav", "is, so")]
)


def test_what_the_damages_are_made_of_is_whole():
    assert [e.track_id for e in from_bytes(WHOLE, FIRST, COUNT)] == ["a", "b"]
    assert from_bytes(to_bytes([]), FIRST, COUNT) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\xff\xfe" + WHOLE,
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.replace(b"track_id", b"id"),
        WHOLE.replace(b',"frames"', b""),
        WHOLE[WHOLE.index(b"\n") + 1 :],
        WHOLE.replace(b"512", b"x"),
        WHOLE.replace(b"512", b""),
        WHOLE.replace(b"512", b"5.5"),
        WHOLE.replace(b"512", b"513"),
        WHOLE.replace(b"512", b"511"),
        WHOLE.replace(b"513", b"768"),
        WHOLE.replace(b"512", b"-1"),
        WHOLE.replace(b",6,", b",six,"),
        WHOLE.replace(b",6,", b",-6,"),
        WHOLE.replace(b",6,", b",0,"),
        WHOLE.replace(b'0,"too_short"', b'6,"too_short"'),
        WHOLE.replace(b',"0a"', b""),
        WHOLE.replace(b',"0a"', b',"0a","0a"'),
        WHOLE.replace(b'"a"', b'"a'),
        WHOLE.replace(b'"a"', b'"a"a'),
        WHOLE.replace(b"\n5", b"\n\n5"),
        WHOLE.replace(b"is, so", b"\xc3"),
        WHOLE + b"\0" * 100,
    ],
)
def test_damage_is_refused(data):
    assert data != WHOLE
    with pytest.raises(KitError):
        from_bytes(data, FIRST, COUNT)


def test_a_part_that_was_cut_is_refused_where_no_row_ends():
    whole = from_bytes(WHOLE, FIRST, COUNT)
    passed = {}
    for cut in range(len(WHOLE)):
        with contextlib.suppress(KitError):
            passed[cut] = from_bytes(WHOLE[:cut], FIRST, COUNT)
    # A row that is not there is made again; one that says something else would not be.
    ends = [at + 1 for at in range(len(WHOLE) - 1) if WHOLE[at : at + 1] == b"\n"]
    assert passed == dict(zip(ends, [[], whole[:1]], strict=True))


def test_a_shard_that_the_array_has_no_room_for():
    with pytest.raises(KitError, match="not those of its shard"):
        from_bytes(WHOLE, FIRST, 1)
    assert len(from_bytes(WHOLE, FIRST, 2)) == 2

"""Streams in a row in one file: told, and never taken for one another."""

from pathlib import Path

import numpy as np
import pytest

from kit.audio import ChangedRateError, blocks, decode, probe

KINDS = [("flac", "PCM_16", 44100, 22050), ("ogg", "VORBIS", 44100, 22050)]
KINDS += [("ogg", "OPUS", 48000, 24000)]


@pytest.fixture(params=KINDS, ids=["flac", "vorbis", "opus"])
def kind(request) -> tuple[str, str, int, int]:
    return request.param


def drain(path: Path) -> None:
    for _ in blocks(path, sample_rate=22050, block_s=1.0):
        pass


# Two seconds, then: another rate, another number of channels, another stream of the same kind
# (in Ogg with another serial number), and the same stream again (with the same).
SECOND = [{"rate": "other"}, {"channels": 1}, {"seconds": 5.0}, {"seconds": 0.5}, None]


@pytest.mark.parametrize("second", SECOND, ids=str)
@pytest.mark.parametrize("use", [decode, drain])
def test_a_second_stream_is_told(make, kind, second, use):
    joined = join(make, kind, second)
    with pytest.raises(ChangedRateError, match=r"joined into one \(the first ends after 2\.00 s"):
        use(joined)


@pytest.mark.parametrize("second", SECOND, ids=str)
def test_what_comes_before_is_the_first_stream(make, kind, second):
    joined = join(make, kind, second)
    whole, rate = decode(joined.with_name("first." + kind[0]))
    # Sought by the numbers of FLAC frames alone, the second stream would be found.
    for offset_s in (0.0, 0.5, 0.9, 1.3, 1.7):
        part, _ = decode(joined, offset_s=offset_s, duration_s=0.2)
        start = int(offset_s * rate)
        np.testing.assert_array_equal(part, whole[start : start + len(part)])
        assert len(part) == int(0.2 * rate)


@pytest.mark.parametrize("second", SECOND, ids=str)
def test_the_part_with_the_seam_is_told(make, kind, second):
    with pytest.raises(ChangedRateError):
        decode(join(make, kind, second), offset_s=1.5, duration_s=3.0)


@pytest.mark.parametrize("second", SECOND[:4], ids=str)
def test_a_scan_tells_joined_flac(make, second):
    with pytest.raises(ChangedRateError):
        probe(join(make, KINDS[0], second))


def test_flac_of_unknown_length_before_another(make, tmp_path):
    data = bytearray(make("first.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "joined.flac").write_bytes(bytes(data) + make("b.flac", 22050).read_bytes())
    with pytest.raises(ChangedRateError, match="joined into one"):
        decode(tmp_path / "joined.flac")


def join(make, kind, second) -> Path:
    extension, subtype, rate, other = kind
    how = {"rate": rate, "subtype": subtype}
    first = make(f"first.{extension}", **how)
    if second is None:
        data = first.read_bytes()
    else:
        how |= second
        how["rate"] = other if how["rate"] == "other" else how["rate"]
        data = make(f"second.{extension}", **how).read_bytes()
    joined = first.with_name(f"joined.{extension}")
    joined.write_bytes(first.read_bytes() + data)
    return joined

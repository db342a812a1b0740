"""The headers of FLAC frames, against what libsndfile wrote and what libFLAC decodes."""

import csv
import dataclasses
import io
import struct

import numpy as np
import pytest
import soundfile

from kit.audio import ChangedRateError, CorruptError, TruncatedError, decode, flac, probe

RATES = [8000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]


def headers(data: bytes) -> list[tuple[int, flac.Frame]]:
    """Where each frame begins, in their order."""
    info = flac.info(io.BytesIO(data))
    assert info is not None
    found, at = [], data.find(b"\xff\xf8", info.offset)
    while at != -1:
        frame = flac.parse(data[at : at + 16], info)
        end = found[-1][1].end if found else 0
        if frame is not None and 0 < frame.end - end <= info.block_samples:
            found.append((at, frame))
        at = data.find(b"\xff\xf8", at + 1)
    return found


def with_rate(data: bytes, first: int, rate: int) -> bytes:
    """The same file, its frames from number `first` on at another rate, as their headers say."""
    out = bytearray(data)
    every = headers(data)
    ends = [at for at, _ in every[1:]] + [len(data)]
    for number, ((at, _), end) in list(enumerate(zip(every, ends, strict=True)))[first:]:
        # The rates of the table, in the order of their codes, need no further bytes.
        out[at + 2] = out[at + 2] & 0xF0 | flac._RATES.index(rate)
        size_bytes = {6: 1, 7: 2}.get(out[at + 2] >> 4, 0)
        crc_at = at + 4 + (1 if number < 128 else 2) + size_bytes
        out[crc_at] = flac._crc8(bytes(out[at:crc_at]))
        out[end - 2 : end] = crc16(bytes(out[at : end - 2])).to_bytes(2, "big")
    return bytes(out)


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
    return crc


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [*RATES, 8001, 11025, 39000, 65535])
def test_the_headers_say_what_was_written(make, rate, channels):
    data = make("a.flac", rate, channels, 1.0).read_bytes()
    info = flac.info(io.BytesIO(data))
    assert info is not None
    assert (info.sample_rate, info.samples, info.channels) == (rate, rate, channels)
    every = headers(data)
    assert every[0][0] == info.offset
    assert {(frame.sample_rate, frame.channels) for _, frame in every} == {(rate, channels)}
    assert [frame.end for _, frame in every] == [*range(4096, rate, 4096), rate]
    assert flac.first(io.BytesIO(data), info) == every[0][1]
    assert flac.last(io.BytesIO(data), info, len(data)) == every[-1][1]


def test_a_tag_in_front_is_stepped_over(make):
    data = make("a.flac").read_bytes()
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    bare, tagged = flac.info(io.BytesIO(data)), flac.info(io.BytesIO(tag + data))
    assert bare is not None
    assert tagged == dataclasses.replace(bare, offset=bare.offset + len(tag))


@pytest.mark.parametrize("data", [b"", b"fLaC", b"fLaC\0\0\0\x22" + bytes(34), b"RIFF" * 20])
def test_no_stream(data):
    assert flac.info(io.BytesIO(data)) is None


@pytest.mark.parametrize("seconds", [2.0, 40.0])
def test_a_change_among_the_frames_is_told(make, seconds):
    """libsndfile decodes such a file in silence; the sound has another speed from there on."""
    path = make("a.flac", 22050, 1, seconds)
    length = len(decode(path)[0])
    number = len(headers(path.read_bytes())) // 2
    path.write_bytes(with_rate(path.read_bytes(), number, 16000))
    assert len(soundfile.read(path)[0]) == length
    said = r"sample rate \(22050 Hz, then 16000 Hz\) changes in the file"
    for use in (decode, probe):
        with pytest.raises(ChangedRateError, match=said):
            use(path)
    with pytest.raises(ChangedRateError, match=said):
        decode(path, offset_s=0.5, duration_s=0.5)


def test_a_header_that_none_of_the_frames_bears_out(make):
    path = make("a.flac")
    path.write_bytes(with_rate(path.read_bytes(), 0, 22050))
    with pytest.raises(CorruptError, match="states 44100 Hz in its header and 22050 Hz in its"):
        decode(path)


def test_the_last_frames_of_good_files(shared):
    """The decoder's own test files, among them block sizes that vary and all numbers of bits."""
    with (shared / "odd" / "manifest.csv").open(encoding="utf-8") as stream:
        rows = [r["path"] for r in csv.DictReader(stream) if "/subset__" in r["path"]]
    assert len(rows) > 25
    for row in rows:
        with (shared / "odd" / row).open("rb") as stream:
            info = flac.info(stream)
            assert info is not None
            last = flac.last(stream, info, (shared / "odd" / row).stat().st_size)
            assert last is not None
            assert (last.sample_rate, last.channels) == (info.sample_rate, info.channels)
            assert last.end == info.samples or info.samples == 0


ID3V1 = b"TAG" + b"Title".ljust(124, b"\0") + b"\x12"
APE_ITEM = b"\x05\0\0\0\0\0\0\0Title\0Night"
APE = APE_ITEM + b"APETAGEX" + struct.pack("<IIII8x", 2000, len(APE_ITEM) + 32, 1, 0x80000000)


@pytest.mark.parametrize("tag", [ID3V1, APE, APE + ID3V1], ids=["ID3v1", "APE", "both"])
@pytest.mark.parametrize("samples", [44100, 4096 * 8, 4096 * 40 + 1, 262144 + 5])
def test_a_tag_behind_the_last_frame_does_not_count(tmp_path, tag, samples):
    """Exact Audio Copy writes them."""
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (samples, 2))
    path = tmp_path / "a.flac"
    soundfile.write(path, x, 44100)
    want, _ = decode(path)
    with path.open("ab") as stream:
        stream.write(tag)
    np.testing.assert_array_equal(decode(path)[0], want)
    np.testing.assert_array_equal(decode(path, offset_s=0.5)[0], want[22050:])
    np.testing.assert_array_equal(decode(path, offset_s=0.5, duration_s=9.0)[0], want[22050:])
    assert probe(path).duration_s == samples / 44100
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + tag)
    with pytest.raises(TruncatedError):
        decode(path)

"""A file is as long as it is: bytes before and behind it, files in a row, headers that are silent.

Its length is the same everywhere, and never that of a part of it.
"""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit.audio import AudioError, ChangedRateError, blocks, decode, duration_samples, mp3, probe
from kit.audio.decode import decode_part
from kit.audio.open import open_source

RATE = 22050


def tone(hz: float, seconds: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * hz * t)] * channels, axis=1)


def encoded(extension: str, hz: float = 300, seconds: float = 1.0, *, tagged=True, **how) -> bytes:
    """A file of one tone; `tagged=False` for an MP3 file that does not state its length."""
    rate, channels = how.pop("rate", RATE), how.pop("channels", 1)
    data = io.BytesIO()
    soundfile.write(data, tone(hz, seconds, rate, channels), rate, format=extension, **how)
    whole = data.getvalue()
    if not tagged:
        first = next(mp3.runs(io.BytesIO(whole), 1)).first
        whole = whole[first.offset + first.length :]
    return whole


def hz_at(y: np.ndarray, rate: int, at_s: float) -> float:
    """The frequency of the strongest tone in 0.3 s around a time."""
    part = y[round((at_s - 0.15) * rate) : round((at_s + 0.15) * rate)]
    return float(np.argmax(np.abs(np.fft.rfft(part, 8 * len(part)))) * rate / (8 * len(part)))


def one_length(path: Path) -> float:
    """The length of a file, seconds; all that tell it agree."""
    y, rate = decode(path)
    assert duration_samples(path) == (len(y), rate)
    assert probe(path).duration_s == len(y) / rate
    assert sum(len(block) for block in blocks(path, block_s=0.4)) == len(y)
    if len(y) > rate // 2:
        part, _ = decode(path, offset_s=len(y) / rate - 0.25, duration_s=9.0)
        assert abs(len(part) - rate / 4) <= 1
        # After a seek, the first frames of MP3 lack the bits that the frames before them hold.
        if not path.name.endswith(".mp3"):
            np.testing.assert_allclose(part, y[-len(part) :], atol=1e-6)
    return len(y) / rate


ID3V1 = b"TAG" + b"Title".ljust(124, b"\0") + b"\x12"
ID3V2 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
APE_ITEM = b"\x05\0\0\0\0\0\0\0Title\0Night"


def ape(item: bytes = APE_ITEM, *, header: bool = True) -> bytes:
    ends = [
        b"APETAGEX" + struct.pack("<IIII8x", 2000, len(item) + 32, 1, flags)
        for flags in (0xA0000000, 0x80000000)
    ]
    return ends[0] * header + item + ends[1]


LYRICS = b"LYRICSBEGIN" + b"IND0000200"
NOISE = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
TAGS = {
    "ID3v1": ID3V1,
    "APE": ape(),
    "APE without header": ape(header=False),
    "APE with a cover": ape(NOISE * 40),
    "APE and ID3v1": ape() + ID3V1,
    "Lyrics3 and ID3v1": LYRICS + b"%06dLYRICS200" % len(LYRICS) + ID3V1,
}
TAILS = TAGS | {
    "ID3v2": ID3V2,
    "one zero": b"\0",
    "zeros": bytes(5000),
    "ones": b"\xff" * 5000,
    "noise": NOISE,
    "text": b"Ripped by nobody, " * 99,
    "half a tag": ID3V1[:60],
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("extension", ["flac", "wav", "aiff", "ogg", "mp3"])
def test_bytes_behind_the_end_do_not_count(tmp_path, extension, tail):
    path = tmp_path / f"a.{extension}"
    path.write_bytes(encoded(extension))
    want, _ = decode(path)
    path.write_bytes(path.read_bytes() + TAILS[tail])
    np.testing.assert_array_equal(decode(path)[0], want)
    assert one_length(path) == 1.0
    with open_source(path) as source:
        part = decode_part(source, RATE, 12000, 20000)
        assert len(part) == len(want) - 12000


@pytest.mark.parametrize("tail", TAGS)
@pytest.mark.parametrize("samples", [4096, 4096 * 5, 22050])
def test_a_tag_behind_flac_of_unknown_length_does_not_count(tmp_path, tail, samples):
    data = bytearray(encoded("flac", seconds=samples / RATE))
    # The 36 bits of the number of samples in STREAMINFO.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(bytes(data) + TAILS[tail])
    assert one_length(tmp_path / "a.flac") == samples / RATE


# What lies between the first file and the second, of 1.0 and 1.5 s, and how they are made.
SEAMS = {
    "nothing": (b"", {}, {}),
    "ID3v1": (ID3V1, {}, {}),
    "ID3v2": (ID3V2, {}, {}),
    "all tags": (ape() + ID3V1 + ID3V2, {}, {}),
    "zeros": (bytes(3000), {}, {}),
    "noise": (NOISE, {}, {}),
    "no length in the first": (b"", {"tagged": False}, {}),
    "no length in the second": (b"", {}, {"tagged": False}),
    "no length in both": (ID3V2, {"tagged": False}, {"tagged": False}),
    "no length in both, noise": (NOISE, {"tagged": False}, {"tagged": False}),
    "variable bit rate": (b"", {"bitrate_mode": "VARIABLE"}, {"bitrate_mode": "VARIABLE"}),
    "another bit rate": (ID3V2, {}, {"bitrate_mode": "CONSTANT", "compression_level": 0.9}),
}


@pytest.mark.parametrize("seam", SEAMS)
def test_joined_mp3_files_are_heard_to_their_end(tmp_path, seam):
    between, first, second = SEAMS[seam]
    path = tmp_path / "a.mp3"
    path.write_bytes(
        encoded("mp3", 300, **first) + between + encoded("mp3", 500, 1.5, **second) + ID3V1
    )
    # An encoder adds up to three frames to each.
    assert one_length(path) == pytest.approx(2.5, abs=0.2)
    y, rate = decode(path)
    for at_s, hz in ((0.3, 300), (0.7, 300), (1.5, 500), (2.2, 500)):
        assert hz_at(y, rate, at_s) == pytest.approx(hz, abs=4)


def test_many_joined_mp3_files(tmp_path):
    parts = [encoded("mp3", hz, 0.5) for hz in range(300, 800, 100)]
    (tmp_path / "a.mp3").write_bytes(ID3V2 + ID3V1.join(parts))
    assert one_length(tmp_path / "a.mp3") == pytest.approx(2.5, abs=0.5)


@pytest.mark.parametrize("second", [{"rate": 44100}, {"channels": 2}], ids=str)
@pytest.mark.parametrize("tagged", [True, False])
def test_joined_mp3_files_of_another_kind_are_refused(tmp_path, second, tagged):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("mp3", tagged=tagged) + ID3V2 + encoded("mp3", **second))
    for use in (probe, decode, lambda path: list(blocks(path))):
        with pytest.raises(ChangedRateError, match="changes about 1"):
            use(path)


@pytest.mark.parametrize("extension", ["flac", "ogg", "wav", "aiff", "au", "caf", "w64", "rf64"])
@pytest.mark.parametrize("second", [{}, {"seconds": 0.6}, {"channels": 2}], ids=str)
def test_other_joined_files_are_refused(tmp_path, extension, second):
    path = tmp_path / f"a.{extension}"
    path.write_bytes(encoded(extension) + encoded(extension, 500, **second))
    for use in (probe, decode, lambda path: list(blocks(path))):
        with pytest.raises(ChangedRateError, match="several files joined into one"):
            use(path)


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize(
    "front",
    [bytes(1), bytes(1000), bytes(100_000), ID3V2 + bytes(100_000), bytes(70_000) + ID3V2],
    ids=["1", "1000", "100000", "ID3 and zeros", "zeros and ID3"],
)
def test_zeros_in_front_of_mp3_do_not_count(tmp_path, front, tagged):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("mp3", tagged=tagged))
    length_s = one_length(path)
    assert length_s == pytest.approx(1.0, abs=0.15)
    path.write_bytes(front + path.read_bytes())
    assert one_length(path) == pytest.approx(length_s, abs=0.03)


FUZZED = ["wav", "flac", "ogg", "mp3", "aiff"]
GOOD = {extension: encoded(extension, seconds=0.5) for extension in FUZZED}
OTHER = {extension: encoded(extension, 500, seconds=0.4) for extension in FUZZED}
LATENCY_S = 0.1  # what is not missed at the end of a file


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(extension="mp3", keep=0.9375, tail="APE and ID3v1", joined=False)
@given(
    extension=st.sampled_from(FUZZED),
    keep=st.floats(0, 1) | st.just(1.0),
    tail=st.sampled_from(sorted(TAILS)) | st.just(""),
    joined=st.booleans(),
)
def test_no_part_of_a_file_passes_for_the_whole(tmp_path, extension, keep, tail, joined):
    good = GOOD[extension]
    joined = joined and keep == 1  # of a part and another file, nobody knows the whole
    data = good[: round(keep * len(good))] + (TAILS[tail] if tail else b"")
    path = tmp_path / f"a.{extension}"
    path.write_bytes(data + (OTHER[extension] if joined else b""))
    if keep < 1 or joined:
        try:
            length_s = one_length(path)
        except AudioError:
            return
    else:
        length_s = one_length(path)
    if keep < 1 and extension == "ogg":
        # Ogg cut between two pages: nothing in it says that there was more.
        return
    assert length_s >= (0.9 if joined else 0.5) - LATENCY_S

"""Decoded values against librosa's and against what was written."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
import soundfile
from jaxtyping import TypeCheckError

from kit.audio import blocks, decode
from kit.errors import UsageError

FORMATS = [
    ("wav", {}),
    ("wav", {"subtype": "FLOAT"}),
    ("wav", {"subtype": "PCM_24"}),
    ("wav", {"subtype": "PCM_U8"}),
    ("flac", {}),
    ("ogg", {}),
    ("mp3", {}),
    ("mp3", {"bitrate_mode": "VARIABLE"}),
    ("aiff", {}),
]


@pytest.mark.parametrize(("extension", "how"), FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (22050, 2), (44100, 2), (48000, 1)])
def test_equals_librosa(make, extension, how, rate, channels):
    path = make(f"a.{extension}", rate, channels, **how)
    for target in (None, 22050):
        want, want_rate = librosa.load(path, sr=target)
        got, got_rate = decode(path, sample_rate=target)
        assert got_rate == want_rate
        assert got.dtype == np.float32
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("rate", "channels"), [(192_000, 2), (96_000, 8), (8000, 6), (11025, 1)])
def test_odd_rates_and_channels_equal_librosa(make, rate, channels):
    path = make("a.wav", rate, channels, subtype="FLOAT")
    want, _ = librosa.load(path, sr=22050)
    got, _ = decode(path, sample_rate=22050)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)


def test_mono_is_the_mean_of_the_channels(make):
    path = make("a.wav", channels=3, subtype="FLOAT")
    want = soundfile.read(path, dtype="float64")[0].mean(axis=1)
    np.testing.assert_allclose(decode(path)[0], want, atol=1e-6)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(
    ("offset_s", "duration_s"), [(0.0, 0.7), (0.51, 0.7), (1.3, None), (1.5, 9.0)]
)
def test_a_part_equals_librosa(make, extension, offset_s, duration_s):
    path = make(f"a.{extension}")
    want, _ = librosa.load(path, sr=22050, offset=offset_s, duration=duration_s)
    got, _ = decode(path, sample_rate=22050, offset_s=offset_s, duration_s=duration_s)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_a_part_is_a_part_of_the_whole(make, extension):
    path = make(f"a.{extension}")
    whole, rate = decode(path)
    part, _ = decode(path, offset_s=0.8, duration_s=0.5)
    start = int(0.8 * rate)
    assert len(part) == int(0.5 * rate)
    np.testing.assert_allclose(part, whole[start : start + len(part)], atol=1e-5)


def test_real_music_equals_librosa(shared):
    for path in sorted((shared / "music").glob("*/*0.mp3"))[::12]:
        want, _ = librosa.load(path, sr=22050, duration=5.0)
        got, _ = decode(path, sample_rate=22050, duration_s=5.0)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100])
@pytest.mark.parametrize("block_s", [0.1, 0.37, 60.0])
def test_blocks_join_to_the_whole(make, extension, rate, block_s):
    path = make(f"a.{extension}", rate, 2, 3.0)
    want, target = decode(path, sample_rate=22050)
    got = list(blocks(path, sample_rate=22050, block_s=block_s))
    size = round(block_s * target)
    assert all(len(block) == size for block in got[:-1])
    assert 0 < len(got[-1]) <= size
    np.testing.assert_allclose(np.concatenate(got), want, atol=1e-5)


def test_blocks_take_the_memory_of_some_blocks(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(20):
            file.write(np.zeros(8000 * 60, np.int16))
    stream = blocks(path, sample_rate=8000, block_s=60.0)
    # Views into one long array would keep all of it alive.
    held = [block.base.nbytes if block.base is not None else block.nbytes for block in stream]
    assert len(held) == 20
    assert max(held) < 8000 * 60 * 4 * 4


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_ninety_minutes_take_the_memory_of_some_blocks(tmp_path, extension):
    path = tmp_path / f"long.{extension}"
    with soundfile.SoundFile(path, "w", 8000, 2, "PCM_16") as file:
        for minute in range(90):
            file.write(np.full((8000 * 60, 2), minute, np.int16))
    # Samples of 90 minutes are 165 MiB. In a process of its own, as the peak never goes down.
    program = f"""
import resource
from kit.audio import blocks
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stream = blocks({str(path)!r}, sample_rate=8000, block_s=10.0)
samples, before = len(next(stream)), peak()
samples += sum(len(block) for block in stream)
print(samples, (peak() - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    samples, growth_mib = done.stdout.split()
    assert int(samples) == 90 * 60 * 8000
    assert float(growth_mib) < 16


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("target", [None, 22050])
@pytest.mark.parametrize("room", [0, 1, 30_000, 200_000])
def test_out_takes_what_fits(make, extension, target, room):
    path = make(f"a.{extension}")
    want, rate = decode(path, sample_rate=target)
    out = np.full(room, 7.0, np.float32)
    got, got_rate = decode(path, sample_rate=target, out=out)
    assert got_rate == rate
    assert got.base is out
    np.testing.assert_array_equal(got, want[:room])
    np.testing.assert_array_equal(out[len(got) :], 7.0)


def test_a_new_array_is_nobodys_view(make):
    y, _ = decode(make("a.mp3"), sample_rate=22050)
    assert y.base is None
    assert y.flags.owndata


@pytest.mark.parametrize(
    "out", [np.zeros(9), np.zeros((3, 3), np.float32), np.zeros(9, np.float32)[::2], "read-only"]
)
def test_an_out_that_cannot_be_written_is_named(make, out):
    if isinstance(out, str):
        out = np.zeros(9, np.float32)
        out.flags.writeable = False
    with pytest.raises((UsageError, TypeCheckError)):
        decode(make("a.wav"), out=out)


def test_a_long_file_of_unknown_length_is_whole(make):
    """More than what is allocated at first."""
    path = make("a.flac", 8000, 1, 700.0)
    want, _ = soundfile.read(path, dtype="float32")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path)[0], want)


def test_threads_agree_with_one_after_the_other(make):
    paths = [make(f"{i}.{e}", seconds=1) for i, e in enumerate(["wav", "mp3", "ogg", "flac"] * 3)]
    want = [decode(path, sample_rate=22050)[0] for path in paths]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda p: decode(p, sample_rate=22050)[0], paths * 4))
    for a, b in zip(want * 4, got, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"offset_s": -1.0}, "offset_s is -1.0"),
        ({"offset_s": float("nan")}, "offset_s is nan"),
        ({"duration_s": 0.0}, "duration of 0.0"),
        ({"duration_s": float("inf")}, "duration of inf"),
    ],
)
def test_bad_arguments_are_named(make, arguments, said):
    with pytest.raises(UsageError, match=said):
        decode(make("a.wav"), **arguments)


def test_bad_arguments_of_blocks_are_named_at_the_call(make):
    with pytest.raises(UsageError, match="sample_rate is -1"):
        blocks(make("a.wav"), sample_rate=-1)


@pytest.mark.skipif(sys.platform == "win32", reason="names are not bytes there")
@pytest.mark.parametrize("name", ["Ünï çø∂é 音楽.mp3", "-i.mp3", "a" * 200 + ".mp3", "b\udcff.mp3"])
def test_names_of_all_kinds(make, tmp_path, name):
    make("plain.mp3").rename(tmp_path / name)
    assert len(decode(tmp_path / name)[0]) == 88200

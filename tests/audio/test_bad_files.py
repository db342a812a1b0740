"""Every kind of bad file gives its own error, and nothing but an AudioError ever comes out."""

import os
import pickle
import socket
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.audio import (
    AudioError,
    ChangedRateError,
    CorruptError,
    EmptyError,
    NonFiniteError,
    NotAudioError,
    TooShortError,
    TruncatedError,
    UnreadableError,
    blocks,
    decode,
    probe,
)
from kit.audio.errors import shown


def drain(path: Path) -> None:
    for _ in blocks(path, sample_rate=22050, block_s=1.0):
        pass


EVERY = [probe, decode, drain]


@pytest.mark.parametrize("use", EVERY)
@pytest.mark.parametrize(
    "name", ["a.mp3", "a.wav", "a.raw", "a.vox", "a.gsm", "a.au", "a.sds", "a.m4a", "a.wv", "a"]
)
def test_text_is_not_audio(tmp_path, use, name):
    (tmp_path / name).write_text("So it goes.\n" * 400)
    with pytest.raises(NotAudioError, match=r"not audio but text.*leave it out"):
        use(tmp_path / name)


@pytest.mark.parametrize("use", EVERY)
def test_no_bytes_is_empty(tmp_path, use):
    (tmp_path / "a.mp3").touch()
    with pytest.raises(EmptyError, match="has no bytes"):
        use(tmp_path / "a.mp3")


@pytest.mark.parametrize("use", EVERY)
@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_no_samples_is_empty(tmp_path, use, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, np.zeros((0, 2)), 44100)
    with pytest.raises((EmptyError, NotAudioError)):
        use(path)
    if extension == "wav":
        with pytest.raises(EmptyError, match="no samples"):
            use(path)


@pytest.mark.parametrize("use", EVERY)
@pytest.mark.parametrize("extension", ["wav", "aiff", "au", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_is_truncated(make, use, extension, share):
    path = make(f"a.{extension}", seconds=5)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TruncatedError, match=r"can be decoded up to \d\.\d\d s"):
        use(path)


@pytest.mark.parametrize("extension", ["wav", "aiff", "flac", "ogg", "mp3"])
def test_the_blocks_of_a_cut_file_come_before_the_error(make, extension):
    path = make(f"a.{extension}", seconds=5)
    whole = np.concatenate(list(blocks(path, block_s=2.0)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    got = []
    with pytest.raises(TruncatedError, match=r"can be decoded up to \d\.\d\d s"):
        for block in blocks(path, block_s=2.0):
            got.append(block)
    heard = np.concatenate(got)
    assert 2.5 * 44100 < len(heard) < 4.5 * 44100
    # The last frame of a lossy codec may lack what the next one adds to it.
    sure = len(heard) - 4096
    np.testing.assert_allclose(heard[:sure], whole[:sure], atol=1e-4)


def test_a_streamed_wav_that_does_not_know_its_size_is_whole(make):
    path = make("a.wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(decode(path)[0]) == 88200
    assert probe(path).duration_s == 2


def test_a_cut_past_the_part_that_is_wanted_does_not_matter_to_flac(make):
    path = make("a.flac", seconds=10)
    path.write_bytes(path.read_bytes()[:-2000])
    assert len(decode(path, duration_s=2.0)[0]) == 88200
    with pytest.raises(TruncatedError):
        probe(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("use", [decode, drain])
def test_nan_and_infinity(tmp_path, use, value):
    x = np.zeros((44100, 2), np.float32)
    x[30000] = value
    soundfile.write(tmp_path / "a.wav", x, 44100, subtype="FLOAT")
    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        use(tmp_path / "a.wav")


def test_doubles_that_no_float_holds(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(100, 1e300), 44100, subtype="DOUBLE")
    with pytest.raises(NonFiniteError):
        decode(tmp_path / "a.wav")


def test_an_offset_past_the_end_is_too_short(make):
    with pytest.raises(TooShortError) as caught:
        decode(make("a.wav"), offset_s=3.0)
    assert caught.value.length_s == 2
    assert caught.value.needed_s == 3
    assert "2.000 s long, 3.000 s are needed" in str(caught.value)


def test_errors_survive_a_pool_of_processes():
    error = pickle.loads(pickle.dumps(TooShortError("a.wav", 1.0, 2.0)))
    assert (str(error), error.length_s) == (str(TooShortError("a.wav", 1.0, 2.0)), 1.0)
    assert str(pickle.loads(pickle.dumps(EmptyError("x")))) == "x"


@pytest.mark.parametrize("use", EVERY)
def test_what_is_no_file(tmp_path, use):
    with pytest.raises(UnreadableError, match="is a folder"):
        use(tmp_path)
    with pytest.raises(UnreadableError, match="No such file"):
        use(tmp_path / "none.wav")
    with pytest.raises(UnreadableError):
        use(tmp_path / ("a" * 300 + ".wav"))
    with pytest.raises(UnreadableError, match="null"):
        use("a\0.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name there")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(UnreadableError, match="not a regular file"):
        decode(tmp_path / "a.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(UnreadableError, match="not a regular file"):
            decode(tmp_path / "s")


def test_links(make, tmp_path):
    (tmp_path / "link.wav").symlink_to(make("a.wav"))
    assert len(decode(tmp_path / "link.wav")[0]) == 88200
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    with pytest.raises(UnreadableError, match="symbolic links"):
        decode(tmp_path / "loop.wav")


def test_no_permission(make, unprivileged):
    path = make("a.wav")
    path.chmod(0)
    with unprivileged(), pytest.raises(UnreadableError, match="Permission denied"):
        decode(path)
    path.chmod(stat.S_IRUSR)


@pytest.mark.parametrize("rate", [1, 221, 999, 2_000_000])
def test_rates_that_no_sound_has(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), rate)
    with pytest.raises(NotAudioError, match=f"sample rate of {rate} Hz"):
        decode(tmp_path / "a.wav", sample_rate=22050)


def test_a_second_ogg_stream_is_told(make, tmp_path):
    joined = tmp_path / "joined.ogg"
    joined.write_bytes(make("a.ogg").read_bytes() + make("b.ogg", 22050).read_bytes())
    with pytest.raises(ChangedRateError, match=r"joined into one \(the first ends after 2\.00 s"):
        decode(joined)
    assert len(decode(joined, duration_s=1.0)[0]) == 44100


def test_flac_of_unknown_length_is_read_to_its_end(make):
    path = make("a.flac", seconds=7)
    want = decode(path)[0]
    data = bytearray(path.read_bytes())
    # The 36 bits of the number of samples in STREAMINFO.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path)[0], want)
    np.testing.assert_array_equal(
        decode(path, offset_s=3.3, duration_s=1.0)[0], want[145530:189630]
    )
    assert probe(path).duration_s == 7


def test_a_header_that_claims_years_allocates_nothing(make):
    path = make("a.flac")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    # 68,719,476,735 samples stated, 88,200 there.
    assert len(decode(path)[0]) == 88200
    assert probe(path).duration_s == 2


def test_messages_are_one_printable_line(tmp_path):
    for name in ("a\nb.mp3", "\udcff\udcfe.mp3", "tab\t\x1b[31m.mp3"):
        with pytest.raises(AudioError) as caught:
            decode(tmp_path / name)
        assert str(caught.value).isprintable()
        str(caught.value).encode("utf-8")
    assert shown("Björk/ünï 音.mp3") == "Björk/ünï 音.mp3"
    assert shown("a\udcffb") == "a\\xffb"


def test_reasons_are_one_word_each_and_differ():
    classes = AudioError.__subclasses__()
    assert len({c.reason for c in classes}) == len(classes)
    # Other modules add classes of their own.
    assert len([c for c in classes if c.__module__ == "kit.audio.errors"]) == 11
    assert {NotAudioError.reason, CorruptError.reason} == {"not_audio", "corrupt"}


HOSTILE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def never_crashes(path: Path) -> None:
    for use in EVERY:
        try:
            result = use(path)
        except AudioError as raised:
            error: AudioError | None = raised
        else:
            error = None
            assert use is not decode or np.isfinite(result[0]).all()
        assert error is None or error.reason != AudioError.reason
        assert str(error).isprintable()


@HOSTILE
@given(
    magic=st.sampled_from(
        [b"", b"RIFF", b"RIFF\x00\x10\x00\x00WAVEfmt ", b"fLaC", b"OggS\x00\x02", b"ID3\x04"]
        + [b"\xff\xfb\x90\x64", b"FORM", b"FORM\x00\x00\x10\x00AIFC", b".snd", b"caff", b"RF64"]
    ),
    rest=st.binary(max_size=3000),
    extension=st.sampled_from(["wav", "mp3", "flac", "ogg", "aiff", "raw", "m4a"]),
)
def test_random_bytes(tmp_path, magic, rest, extension):
    path = tmp_path / f"a.{extension}"
    path.write_bytes(magic + rest)
    never_crashes(path)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"])
def test_mutated_files(make, extension):
    path = make(f"a.{extension}", 22050, 2, 0.4)
    good = path.read_bytes()

    @HOSTILE
    @given(st.data())
    def mutate(data: st.DataObject) -> None:
        bad = bytearray(good)
        # Headers are where a byte does most.
        where = st.integers(0, 200) | st.integers(0, len(bad) - 1)
        for _ in range(data.draw(st.integers(1, 5))):
            bad[data.draw(where) % len(bad)] = data.draw(st.integers(0, 255))
        path.write_bytes(bad[: data.draw(st.integers(1, len(bad)) | st.just(len(bad)))])
        never_crashes(path)

    mutate()

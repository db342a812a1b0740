"""Containers that libsndfile does not know: found by content, decoded by ffmpeg, or refused."""

import io
import shutil
import subprocess
import wave
from pathlib import Path

import audioread
import numpy as np
import pytest
import soundfile

from kit.audio import (
    AudioError,
    CorruptError,
    NotAudioError,
    TooShortError,
    TruncatedError,
    blocks,
    decode,
    duration_samples,
    probe,
)
from kit.audio.content import container, is_text
from tests.audio.conftest import sound

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(
    FFMPEG is None or shutil.which("ffprobe") is None, reason="ffmpeg is not installed"
)
# Name of the file, options of ffmpeg, format.
KINDS = [
    ("a.m4a", (), "MP4"),
    ("front.m4a", ("-movflags", "faststart"), "MP4"),
    ("alac.m4a", ("-c:a", "alac"), "MP4"),
    ("a.mov", ("-c:a", "pcm_s16le"), "MP4"),
    ("a.aac", ("-f", "adts"), "AAC"),
    ("a.wma", (), "WMA"),
    ("a.mka", (), "Matroska"),
    ("a.webm", (), "Matroska"),
    ("a.wv", (), "WavPack"),
    ("a.tta", (), "TTA"),
    ("a.ac3", (), "AC-3"),
]


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """A function: the name of a file and options of ffmpeg -> the file, with 3 s of stereo."""
    folder = tmp_path_factory.mktemp("encoded")
    soundfile.write(folder / "source.wav", sound(44100, 2, 3.0), 44100)

    def write(name: str, *options: str) -> Path:
        assert FFMPEG is not None
        if not (folder / name).exists():
            command = [FFMPEG, "-v", "error", "-nostdin", "-i", folder / "source.wav", *options]
            subprocess.run([*command, folder / name], check=True)
        return folder / name

    return write


@needs_ffmpeg
@pytest.mark.parametrize(("name", "options", "kind"), KINDS)
def test_every_container_is_decoded(encode, name, options, kind):
    path = encode(name, *options)
    info = probe(path)
    # Opus knows 48 kHz only.
    rate = 48000 if name == "a.webm" else 44100
    assert (info.sample_rate, info.channels, info.format) == (rate, 2, kind)
    y, got_rate = decode(path)
    assert got_rate == rate
    assert len(y) / rate == pytest.approx(3.0, abs=0.1)
    frames, _ = duration_samples(path)
    assert frames == pytest.approx(len(y), abs=0.1 * rate)
    want, _ = decode(path.with_name("source.wav"), sample_rate=rate)
    # Codecs delay by different times.
    delay = np.argmax(np.correlate(y[:6000], want[2000:4000], "valid")) - 2000
    common = min(len(y) - max(delay, 0), len(want)) - 4000
    part = y[2000 + delay :][: common - 2000]
    assert np.corrcoef(part, want[2000:common])[0, 1] > 0.95
    np.testing.assert_array_equal(np.concatenate(list(blocks(path, block_s=0.7))), y)
    got, _ = decode(path, offset_s=1.0, duration_s=0.5)
    np.testing.assert_array_equal(got, y[rate : rate + rate // 2])
    with pytest.raises(TooShortError):
        decode(path, offset_s=5.0)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["alac.m4a", "a.wv", "a.tta"])
def test_lossless_formats_have_the_samples_of_their_source(encode, name):
    path = encode(name, *(["-c:a", "alac"] if name == "alac.m4a" else []))
    np.testing.assert_array_equal(decode(path)[0], decode(path.with_name("source.wav"))[0])


@needs_ffmpeg
def test_the_name_does_not_count(encode, tmp_path):
    want, _ = decode(encode("a.m4a"))
    for name in ("a.mp3", "a.wav", "-i.gsm", "%03d.png", "concat:b.m4a"):
        shutil.copy(encode("a.m4a"), tmp_path / name)
        got, _ = decode(tmp_path / name)
        np.testing.assert_array_equal(got, want)


@needs_ffmpeg
@pytest.mark.parametrize("extension", ["m4a", "wma", "mka"])
def test_tags_do_not_count(encode, extension):
    tags = {
        "title": "Audio: The Remix",
        "artist": "No such file: Invalid data found",
        "comment": "Download: WAV. Audio: 8000 Hz, mono. Duration: 01:02:03",
        "album": '"}], "streams": [{"codec_type": "audio", "sample_rate": "8000"',
    }
    options = [word for k, v in tags.items() for word in ("-metadata", f"{k}={v}")]
    info = probe(encode(f"tags.{extension}", *options))
    assert (info.sample_rate, info.channels) == (44100, 2)
    assert info.duration_s == pytest.approx(3.0, abs=0.1)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options", "kind"), [k for k in KINDS if k[2] not in ("AAC", "AC-3")]
)
def test_a_torn_file_is_refused(encode, tmp_path, name, options, kind):
    whole = encode(name, *options).read_bytes()
    for share in (0.02, 0.9):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        for use in (probe, decode):
            with pytest.raises((TruncatedError, CorruptError), match="damaged"):
                use(tmp_path / name)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.aac", "a.ac3"])
def test_a_torn_file_that_states_no_length_is_as_long_as_it_is(encode, tmp_path, name):
    """Nothing in it says that there was more."""
    whole = encode(name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    y, rate = decode(tmp_path / name)
    assert duration_samples(tmp_path / name) == (len(y), rate)
    assert len(y) / rate == pytest.approx(1.5, abs=0.2)


@needs_ffmpeg
def test_a_film_is_as_long_as_its_sound(encode):
    picture = ["-f", "lavfi", "-i", "color=duration=9:size=16x16:rate=5"]
    for extension in ("mp4", "mkv"):
        path = encode(f"film.{extension}", *picture, "-c:a", "aac")
        assert len(decode(path)[0]) / 44100 == pytest.approx(3.0, abs=0.1)
    silent = encode("silent.mp4", *picture, "-map", "1:v")
    with pytest.raises(NotAudioError, match="MP4 without sound"):
        decode(silent)


@needs_ffmpeg
def test_a_cover_is_no_film(encode):
    picture = encode("cover.png", "-filter_complex", "color=size=16x16", "-frames:v", "1", "-an")
    cover = ["-i", str(picture), "-map", "0", "-map", "1"]
    path = encode("cover.m4a", *cover, "-c:v", "copy", "-disposition:v", "attached_pic")
    assert probe(path).duration_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("extension", ["mp3", "flac", "wav", "ogg", "aiff"])
@pytest.mark.parametrize("size", [60, 300, 700])
def test_what_libsndfile_refuses_of_its_own_formats_stays_refused(make, extension, size):
    """ffmpeg would play the rest: 700 bytes of an MP3 file are 6 ms."""
    path = make(f"a.{extension}", 22050, 1, 0.5)
    path.write_bytes(path.read_bytes()[:size])
    for use in (probe, decode):
        with pytest.raises(AudioError):
            use(path)


@pytest.mark.parametrize("name", ["a.m4a", "a.wma", "a.gsm", "a.ape", "a.mp3"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_is_refused_by_any_name(tmp_path, name, encoding):
    (tmp_path / name).write_text("#EXTM3U\nhttp://127.0.0.1/a.m4a\n" * 99, encoding=encoding)
    with pytest.raises(NotAudioError, match="not audio"):
        decode(tmp_path / name)


def test_text_by_its_first_bytes():
    assert is_text(b"<!doctype html>\r\n\t\f")
    assert is_text("Ünï 音楽".encode())
    assert not is_text(b"")
    assert not is_text(b"ID3\x04\0\0")


def test_containers_by_their_first_bytes():
    def kind(data):
        found = container(io.BytesIO(data))
        return None if found is None else found.name

    tag = b"ID3\x04\0\0\0\0\0\x05" + bytes(5)
    adts = bytes([0xFF, 0xF1, 0x50, 0x80, 0x01, 0xFF, 0xFC]) + bytes(8)
    assert kind(b"\0\0\0\x20ftypM4A ") == kind(tag + b"\0\0\0\x20ftypM4A ") == "MP4"
    assert kind(adts * 2) == kind(tag + adts * 2) == "AAC"
    assert kind(adts) is kind(adts + bytes(20)) is None
    assert kind(b"\x0b\x77\0\0\x40" + bytes(137)) is None
    for own in (b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"FORM", b".snd", b"\xff\xfb\x90\x64" * 99):
        assert kind(own) is kind(tag + own) is None
    assert kind(b"") is None


@pytest.fixture
def path_with(tmp_path, monkeypatch):
    """A function: programs -> PATH holds these, and nothing else."""

    def reduce(*programs: str) -> None:
        (tmp_path / "bin").mkdir()
        for program in programs:
            found = shutil.which(program)
            assert found is not None
            (tmp_path / "bin" / program).symlink_to(found)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        # audioread looks for decoders once.
        audioread.available_backends(flush_cache=True)

    yield reduce
    monkeypatch.undo()
    audioread.available_backends(flush_cache=True)


def test_without_ffmpeg_it_is_asked_for(path_with, tmp_path):
    path_with()
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(3000))
    with pytest.raises(NotAudioError, match=r"a\.m4a is MP4, which no .* install ffmpeg"):
        decode(tmp_path / "a.m4a")


@needs_ffmpeg
def test_audioread_is_the_last_way(encode, path_with):
    """With ffmpeg and without ffprobe."""
    path = encode("a.m4a")
    want, _ = decode(path)
    path_with("ffmpeg")
    got, rate = decode(path)
    assert (rate, len(got)) == (44100, len(want))
    # Of 16 bits.
    np.testing.assert_allclose(got, want, atol=2**-14)
    part, _ = decode(path, offset_s=1.0, duration_s=0.5)
    np.testing.assert_array_equal(part, got[44100:66150])


@needs_ffmpeg
def test_a_real_file(shared):
    path = shared / "odd/pydub/test__data__format_test.m4a"
    command = [FFMPEG, "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-"]
    want = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")
    got, rate = decode(path)
    assert rate == 44100
    np.testing.assert_allclose(got, want, atol=2**-20)


def test_more_channels_than_libsndfile_has(tmp_path):
    with wave.open(str(tmp_path / "wide.wav"), "wb") as file:
        file.setnchannels(1100)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(2200 * 100))
    with pytest.raises(NotAudioError):
        decode(tmp_path / "wide.wav")

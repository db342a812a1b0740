"""Containers that libsndfile does not know: decoded by PyAV or ffmpeg, or refused."""

import io
import shutil
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import audioread
import numpy as np
import pytest
import soundfile

from kit.audio import (
    AudioError,
    ChangedRateError,
    CorruptError,
    NotAudioError,
    TooShortError,
    TruncatedError,
    blocks,
    decode,
    duration_samples,
    ffmpeg,
    probe,
    pyav,
)
from kit.audio.audioread_file import FFmpegAudioFile, RawAudioFile
from kit.audio.content import container, is_text
from tests.audio.conftest import sound, write_foreign

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(
    FFMPEG is None or shutil.which("ffprobe") is None, reason="ffmpeg is not installed"
)
# Name of the file, codec, format as FFmpeg calls it, its options, format as kit calls it.
KINDS = [
    ("a.m4a", "aac", "ipod", {}, "MP4"),
    ("front.m4a", "aac", "ipod", {"movflags": "faststart"}, "MP4"),
    ("pieces.mp4", "aac", "mp4", {"movflags": "frag_keyframe+empty_moov"}, "MP4"),
    ("alac.m4a", "alac", "ipod", {}, "MP4"),
    ("a.mov", "pcm_s16le", "mov", {}, "MP4"),
    ("a.aac", "aac", "adts", {}, "AAC"),
    ("a.wma", "wmav2", "asf", {}, "WMA"),
    ("a.mka", "aac", "matroska", {}, "Matroska"),
    ("a.webm", "libopus", "webm", {}, "Matroska"),
    ("a.wv", "wavpack", "wv", {}, "WavPack"),
    ("a.tta", "tta", "tta", {}, "TTA"),
    ("a.ac3", "ac3", "ac3", {}, "AC-3"),
]
SECONDS = 1.5
SOURCE = (sound(44100, 2, SECONDS) * 32767).astype(np.int16)


needs_pyav = pytest.mark.skipif(not pyav.is_installed(), reason="PyAV is not installed")


@pytest.fixture(
    params=[pytest.param("PyAV", marks=needs_pyav), pytest.param("ffmpeg", marks=needs_ffmpeg)]
)
def decoder(request, monkeypatch) -> str:
    """The decoder that reads what libsndfile does not know."""
    if request.param == "ffmpeg":
        monkeypatch.setattr(pyav, "is_installed", lambda: False)
    else:
        monkeypatch.setattr(ffmpeg, "is_installed", lambda: False)
    return request.param


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """A function: the name of one of KINDS, or a new one with what it holds -> the file."""
    folder = tmp_path_factory.mktemp("encoded")
    kinds = {kind[0]: kind[1:4] for kind in KINDS}

    def write(name: str, like: str = "", samples: np.ndarray = SOURCE, **how) -> Path:
        if not (folder / name).exists():
            write_foreign(folder / name, samples, *kinds[like or name], **how)
        return folder / name

    return write


@pytest.fixture(scope="module")
def by_ffmpeg(tmp_path_factory):
    """A function: the name of a file and options of the program -> the file, of SOURCE."""
    folder = tmp_path_factory.mktemp("by_ffmpeg")
    soundfile.write(folder / "source.wav", SOURCE, 44100)

    def write(name: str, *options: str) -> Path:
        assert FFMPEG is not None
        if not (folder / name).exists():
            command = [FFMPEG, "-v", "error", "-nostdin", "-i", folder / "source.wav", *options]
            subprocess.run([*command, folder / name], check=True)
        return folder / name

    return write


@pytest.mark.parametrize(("name", "kind"), [(k[0], k[4]) for k in KINDS])
def test_every_container_is_decoded(encode, decoder, name, kind):
    path = encode(name)
    info = probe(path)
    # Opus knows 48 kHz only.
    rate = 48000 if name == "a.webm" else 44100
    assert (info.sample_rate, info.channels, info.format) == (rate, 2, kind)
    y, got_rate = decode(path)
    assert got_rate == rate
    assert len(y) / rate == pytest.approx(SECONDS * 44100 / rate, abs=0.1)
    assert info.duration_s == len(y) / rate
    assert duration_samples(path) == (len(y), rate)
    want = SOURCE.mean(axis=1, dtype=np.float32) / 32768
    # Codecs delay by different times.
    delay = np.argmax(np.correlate(y[:6000], want[2000:4000], "valid")) - 2000
    common = min(len(y) - max(delay, 0), len(want)) - 4000
    part = y[2000 + delay :][: common - 2000]
    assert np.corrcoef(part, want[2000:common])[0, 1] > 0.95
    np.testing.assert_array_equal(np.concatenate(list(blocks(path, block_s=0.7))), y)
    got, _ = decode(path, offset_s=0.5, duration_s=0.5)
    np.testing.assert_array_equal(got, y[rate // 2 : rate])
    with pytest.raises(TooShortError):
        decode(path, offset_s=5.0)


@needs_ffmpeg
@needs_pyav
@pytest.mark.parametrize(
    "name", ["a.m4a", "pieces.mp4", "a.aac", "a.wma", "a.webm", "a.wv", "a.ac3"]
)
def test_both_decoders_give_the_same(encode, monkeypatch, name):
    want, _ = decode(encode(name))
    monkeypatch.setattr(pyav, "is_installed", lambda: False)
    got, _ = decode(encode(name))
    assert abs(len(got) - len(want)) <= 0.05 * 44100
    common = min(len(got), len(want))
    np.testing.assert_allclose(got[:common], want[:common], atol=1e-4)


@pytest.mark.parametrize("name", ["alac.m4a", "a.mov", "a.wv", "a.tta"])
def test_lossless_formats_have_the_samples_of_their_source(encode, decoder, name):
    want = SOURCE.astype(np.float32) / 32768
    np.testing.assert_array_equal(decode(encode(name))[0], want.mean(axis=1))


def test_the_name_does_not_count(encode, decoder, tmp_path):
    want, _ = decode(encode("a.m4a"))
    for name in ("a.mp3", "a.wav", "-i.gsm", "%03d.png", "concat:b.m4a"):
        shutil.copy(encode("a.m4a"), tmp_path / name)
        got, _ = decode(tmp_path / name)
        np.testing.assert_array_equal(got, want)


TEXTS = [
    "Audio: The Remix",
    "No such file",
    "Invalid data found when processing input",
    "Download: WAV. Audio: 8000 Hz, mono. Duration: 01:02:03",
    "Stream #0:0: Audio: pcm_s16le, 8000 Hz, mono, s16, 128 kb/s",
    "  Duration: N/A, bitrate: N/A\n    Stream #0:0: Audio: none",
    '"}], "streams": [{"codec_type": "audio", "sample_rate": "8000"',
    "size=N/A time=00:00:00.01 bitrate=N/A",
    "video: 1 kB audio: 0 kB; Output file is empty",
    "5.1 surround 48000 Hz 日本語",
]


@pytest.mark.parametrize("name", ["a.m4a", "alac.m4a", "a.wma", "a.mka"])
def test_tags_do_not_count(encode, decoder, name):
    want, _ = decode(encode(name))
    keys = ["title", "artist", "comment", "album", "genre"]
    for number in (0, 5):
        path = encode(
            f"{number}{name}", name, metadata=dict(zip(keys, TEXTS[number:], strict=False))
        )
        info = probe(path)
        assert (info.sample_rate, info.channels) == (44100, 2)
        np.testing.assert_array_equal(decode(path)[0], want)
        assert info.duration_s == len(want) / 44100


def test_tags_that_are_not_utf8(encode, decoder, tmp_path):
    title = "x" * 40
    data = encode("latin.m4a", "a.m4a", metadata={"title": title}).read_bytes()
    (tmp_path / "a.m4a").write_bytes(data.replace(title.encode(), b"caf\xe9" * 10))
    np.testing.assert_array_equal(decode(tmp_path / "a.m4a")[0], decode(encode("a.m4a"))[0])


@pytest.mark.parametrize("name", ["a.mov", "a.mka", "a.wv"])
@pytest.mark.parametrize(
    ("channels", "layout"),
    [(3, "2.1"), (4, "quad"), (6, "5.1"), (7, "6.1"), (8, "7.1"), (8, "octagonal"), (16, "9.1.6")],
)
def test_every_channel_counts(tmp_path, decoder, name, channels, layout):
    """As in the mean of the channels of a WAV file; no layout is known by its name."""
    if (layout == "octagonal" and name != "a.mka") or (channels > 8 and name == "a.wv"):
        pytest.skip("FFmpeg does not write it")
    rng = np.random.default_rng(0)
    x = rng.integers(-9000, 9000, (4410, channels)).astype(np.int16)
    codec, format = {"a.mov": ("pcm_s16le", "mov"), "a.mka": ("pcm_s16le", "matroska")}.get(
        name, ("wavpack", "wv")
    )
    write_foreign(tmp_path / name, x, codec, format, layout=layout)
    assert probe(tmp_path / name).channels == channels
    soundfile.write(tmp_path / "a.wav", x, 44100)
    np.testing.assert_array_equal(decode(tmp_path / name)[0], decode(tmp_path / "a.wav")[0])


STATED = [kind[0] for kind in KINDS if kind[4] not in ("AAC", "AC-3")]


@pytest.mark.parametrize("name", STATED)
def test_a_torn_file_is_refused(encode, decoder, tmp_path, name):
    whole = encode(name).read_bytes()
    # At a fiftieth, a file in pieces ends before the first of them: there is nothing to miss.
    for share in (0.2 if name == "pieces.mp4" else 0.02, 0.9):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        for use in (probe, decode):
            with pytest.raises((TruncatedError, CorruptError), match="damaged"):
                use(tmp_path / name)


@pytest.mark.parametrize("name", ["a.aac", "a.ac3"])
@pytest.mark.parametrize("lost", [0, 1, 17, 300])
def test_a_torn_file_that_states_no_length_is_as_long_as_it_is(
    encode, decoder, tmp_path, name, lost
):
    """Nothing in it says that there was more."""
    whole = encode(name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2 - lost])
    y, rate = decode(tmp_path / name)
    assert duration_samples(tmp_path / name) == (len(y), rate)
    assert probe(tmp_path / name).duration_s == len(y) / rate
    assert len(y) / rate == pytest.approx(SECONDS / 2, abs=0.2)


TAG = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


@pytest.mark.parametrize("between", [b"", TAG, b"TAG" + bytes(125) + TAG], ids=["", "ID3", "both"])
@pytest.mark.parametrize("name", ["a.aac", "a.ac3"])
def test_joined_files_without_a_header_are_one(encode, decoder, tmp_path, name, between):
    if name == "a.ac3" and between:
        pytest.skip("AC-3 has no such tags")
    whole = encode(name).read_bytes()
    (tmp_path / name).write_bytes(whole + between + whole)
    y, rate = decode(tmp_path / name)
    assert len(y) == pytest.approx(2 * len(decode(encode(name))[0]), abs=4096)
    assert probe(tmp_path / name).duration_s == len(y) / rate


@pytest.mark.parametrize("name", STATED)
def test_joined_files_with_a_header_are_refused(encode, decoder, tmp_path, name):
    short = encode(f"short-{name}", name, samples=SOURCE[:44100])
    (tmp_path / name).write_bytes(encode(name).read_bytes() + short.read_bytes())
    for use in (probe, decode):
        with pytest.raises(ChangedRateError, match="several files joined into one"):
            use(tmp_path / name)
    # What the first of them holds can be used.
    np.testing.assert_array_equal(
        decode(tmp_path / name, duration_s=0.7)[0], decode(encode(name), duration_s=0.7)[0]
    )


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), bytes(5000), b"junk" * 999], ids=len)
def test_bytes_behind_the_end_do_not_count(encode, decoder, tmp_path, name, tail):
    if name == "pieces.mp4":
        pytest.skip("there is no end: another piece may follow")
    if name == "a.wma" and len(tail) > 128:
        pytest.skip(
            "FFmpeg does not believe a header whose size is 5 % off: such a file is refused"
        )
    (tmp_path / name).write_bytes(encode(name).read_bytes() + tail)
    want, rate = decode(encode(name))
    np.testing.assert_array_equal(decode(tmp_path / name)[0], want)
    assert probe(tmp_path / name).duration_s == len(want) / rate


@needs_ffmpeg
def test_a_film_is_as_long_as_its_sound(by_ffmpeg, decoder):
    picture = ["-f", "lavfi", "-i", "color=duration=9:size=16x16:rate=5"]
    for extension in ("mp4", "mkv"):
        path = by_ffmpeg(f"film.{extension}", *picture, "-c:a", "aac")
        assert probe(path).duration_s == len(decode(path)[0]) / 44100
        assert probe(path).duration_s == pytest.approx(SECONDS, abs=0.1)
    silent = by_ffmpeg("silent.mp4", *picture, "-map", "1:v")
    with pytest.raises(NotAudioError, match="MP4 without sound"):
        decode(silent)


@needs_ffmpeg
def test_a_cover_is_no_film(by_ffmpeg, decoder):
    picture = by_ffmpeg("cover.png", "-filter_complex", "color=size=16x16", "-frames:v", "1", "-an")
    cover = ["-i", str(picture), "-map", "0", "-map", "1"]
    path = by_ffmpeg("cover.m4a", *cover, "-c:v", "copy", "-disposition:v", "attached_pic")
    assert probe(path).duration_s == pytest.approx(SECONDS, abs=0.1)


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
def no_decoder(monkeypatch):
    """Neither PyAV nor ffmpeg is there."""
    for module in (pyav, ffmpeg):
        monkeypatch.setattr(module, "is_installed", lambda: False)


def test_without_a_decoder_one_is_asked_for(no_decoder, encode):
    with pytest.raises(NotAudioError, match=r"a\.m4a is MP4, which no .* pip install .*formats"):
        decode(encode("a.m4a"))


@pytest.mark.parametrize("cut", [0, 22050])
def test_audioread_is_the_last_way(no_decoder, encode, monkeypatch, cut):
    """With a decoder of the system, which macOS and GStreamer have; never with ffmpeg's report."""

    class System:
        def __init__(self, path: str) -> None:
            self.samplerate, self.channels, self.duration = 44100, 2, SECONDS

        def __enter__(self) -> "System":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self) -> Iterator[bytes]:
            data = SOURCE[: len(SOURCE) - cut].tobytes()
            yield from (data[at : at + 1001] for at in range(0, len(data), 1001))

    backends = [RawAudioFile, FFmpegAudioFile, System]
    monkeypatch.setattr(audioread, "available_backends", lambda: backends)
    path = encode("a.m4a")
    if cut:
        with pytest.raises(TruncatedError, match=r"up to 1\.00 s of 1\.50 s"):
            probe(path)
        return
    want = SOURCE.mean(axis=1, dtype=np.float32) / np.float32(32768)
    np.testing.assert_allclose(decode(path)[0], want, atol=1e-7)
    part, _ = decode(path, offset_s=0.5, duration_s=0.5)
    np.testing.assert_allclose(part, want[22050:44100], atol=1e-7)
    assert probe(path).duration_s == SECONDS


@needs_ffmpeg
def test_a_real_file(shared, decoder):
    path = shared / "odd/pydub/test__data__format_test.m4a"
    command = [FFMPEG, "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-"]
    want = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")
    got, rate = decode(path)
    assert rate == 44100
    # FFmpeg 9 leaves out what the encoder added at the end, older ones do not.
    assert 0 <= len(want) - len(got) < 2048
    np.testing.assert_allclose(got, want[: len(got)], atol=2**-20)


def test_more_channels_than_libsndfile_has(tmp_path):
    with wave.open(str(tmp_path / "wide.wav"), "wb") as file:
        file.setnchannels(1100)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(2200 * 100))
    with pytest.raises(NotAudioError):
        decode(tmp_path / "wide.wav")

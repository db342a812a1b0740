"""MP3 files whose length is stated, guessed, or wrong."""

import io

import librosa
import numpy as np
import pytest
import soundfile

from kit.audio import ChangedRateError, TruncatedError, decode, mp3, probe


def untagged(data: bytes) -> bytes:
    """The file without its first frame, where the length is stated."""
    first = next(mp3.runs(io.BytesIO(data), 1)).first
    return data[first.offset + first.length :]


def count(data: bytes) -> int:
    return sum(run.count for run in mp3.runs(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("rate", "channels", "samples"), [(44100, 2, 1152), (48000, 1, 1152), (22050, 2, 576)]
)
def test_the_frames_fill_the_file(make, rate, channels, samples):
    data = make("a.mp3", rate, channels).read_bytes()
    (run,) = mp3.runs(io.BytesIO(data))
    first = run.first
    assert (first.sample_rate, first.channels, first.samples) == (rate, channels, samples)
    assert (first.offset, run.length) == (0, len(data))
    # An encoder adds its delay and fills the last frame; the first one is the tag.
    assert 0 <= (run.count - 1) * samples - 2 * rate < 4 * samples


@pytest.mark.parametrize("how", [{}, {"bitrate_mode": "VARIABLE"}])
@pytest.mark.parametrize("lost", [0, 1, 3, 4, 100])
def test_the_frames_are_those_of_one_header_after_another(make, how, lost):
    data = make("a.mp3", seconds=9, **how).read_bytes()
    # More than one window of the reader, and an end in mid-frame.
    data = (data + untagged(data))[: -lost or None]
    assert len(data) > 100_000
    want, offset = [], 0
    while frame := mp3.parse(offset, data[offset : offset + 4]):
        want.append(frame)
        offset += frame.length
    assert len({frame.length for frame in want}) > 1
    stream = io.BytesIO(data)
    assert list(mp3.runs(stream)) == [mp3.Run(want[0], len(want), offset)]
    for enough in (1, 1152, 1153, 50 * 1152, 50 * 1152 + 1):
        some = want[: -(-enough // 1152)]
        length = sum(frame.length for frame in some)
        assert list(mp3.runs(stream, enough)) == [mp3.Run(want[0], len(some), length)]
    assert list(mp3.runs(stream, 0)) == []


def test_a_run_ends_where_rate_or_channels_change(make):
    parts = [(44100, 2), (44100, 1), (22050, 1), (22050, 1)]
    data = b"".join(make(f"{i}.mp3", *part).read_bytes() for i, part in enumerate(parts))
    every = list(mp3.runs(io.BytesIO(data)))
    assert [(r.first.sample_rate, r.first.channels) for r in every] == parts[:3]
    assert sum(run.length for run in every) == len(data)
    enough = every[0].samples + 1
    assert [r.count for r in mp3.runs(io.BytesIO(data), enough)] == [every[0].count, 1]


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (44100, 1), (22050, 2), (16000, 1)])
def test_the_tag_states_frames_and_bytes(make, rate, channels):
    data = make("a.mp3", rate, channels).read_bytes()
    tag = mp3.tag(io.BytesIO(data))
    assert tag is not None
    assert tag.frames == count(data) - 1
    assert tag.bytes == len(data)
    assert mp3.tag(io.BytesIO(untagged(data))) is None


def test_tags_in_front_and_between_are_stepped_over(make):
    data = make("a.mp3").read_bytes()
    id3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    assert count(id3 + data) == count(data)
    assert count(data + b"TAG" + bytes(125) + id3 + data) == 2 * count(data)
    assert count(b"\xff\xfb" + bytes(500) + data) == count(data)


@pytest.mark.parametrize("quiet_first", [True, False])
def test_an_unstated_length_is_counted(tmp_path, quiet_first):
    """libsndfile guesses by the first frames: 6 s of 20, or 63."""
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros(441_000), 0.2 * rng.standard_normal(441_000)]).astype(np.float32)
    x = x if quiet_first else x[::-1]
    tagged, bare = tmp_path / "tagged.mp3", tmp_path / "bare.mp3"
    soundfile.write(tagged, x, 44100, bitrate_mode="VARIABLE")
    bare.write_bytes(untagged(tagged.read_bytes()))
    want, _ = decode(tagged)
    got, _ = decode(bare)
    assert abs(soundfile.info(bare).duration - 20) > 5
    assert probe(bare).duration_s == pytest.approx(20, abs=0.1)
    assert len(got) == pytest.approx(len(want), abs=3 * 1152)
    # Without a tag nothing says how late encoder and decoder are: 576 and 529 samples.
    np.testing.assert_allclose(got[1105 : 1105 + 880_000], want[:880_000], atol=1e-5)
    for offset_s in (0.01, 5.5, 6.2, 6.3, 13.0):
        part, rate = decode(bare, offset_s=offset_s, duration_s=0.5)
        start = int(offset_s * rate)
        np.testing.assert_allclose(part, got[start : start + len(part)], atol=1e-5)
        assert len(part) == rate // 2
    stated, _ = librosa.load(bare, sr=None)
    common = min(len(stated), len(got))
    np.testing.assert_allclose(got[:common], stated[:common], atol=1e-5)


def test_a_cut_file_of_stated_length_is_truncated(make):
    path = make("a.mp3", seconds=5)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    for use in (probe, decode):
        with pytest.raises(TruncatedError, match=r"up to 2\.\d+ s of 5\.00 s"):
            use(path)


def test_a_cut_file_of_unstated_length_is_as_long_as_it_is(make):
    path = make("a.mp3", seconds=5)
    data = untagged(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    assert len(decode(path)[0]) / 44100 == pytest.approx(2.5, abs=0.5)


@pytest.mark.parametrize(
    ("rate", "channels", "what"), [(22050, 2, "sample rate"), (44100, 1, "number of channels")]
)
@pytest.mark.parametrize("strip", [bytes, untagged])
def test_a_change_in_mid_file_is_told(make, tmp_path, rate, channels, what, strip):
    first = strip(make("a.mp3").read_bytes())
    second = strip(make("b.mp3", rate, channels).read_bytes())
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first + second)
    with pytest.raises(ChangedRateError, match=rf"{what} changes about 2\.0\d s"):
        decode(joined)
    # What comes before the change can be used.
    assert len(decode(joined, duration_s=1.5)[0]) == 66150


def test_parts_of_a_file_behind_a_tag_read_as_one_file(make):
    data = untagged(make("a.mp3").read_bytes())
    stream = io.BytesIO(b"ID3\x04\x00\x00\x00\x00\x00\x05hello" + data + b"junk" * 99 + data)
    length = mp3.measure(stream, stream.seek(0, io.SEEK_END))
    assert length.counted == 1152 * 2 * count(data)
    tagged = mp3.with_tag(stream, length)
    size = tagged.seek(0, io.SEEK_END)
    tagged.seek(0)
    whole = tagged.read(10**9)
    assert len(whole) == size
    assert whole.endswith(data + data)
    assert mp3.tag(io.BytesIO(whole)) == mp3.Tag(0, 2 * count(data), None)
    seam = size - len(data)
    for start in (0, 3, seam - len(data) - 1, seam - len(data), seam - 3, seam, size - 2, size + 5):
        tagged.seek(start)
        assert tagged.read(7) == whole[start : start + 7]
        assert tagged.tell() == max(start, min(start + 7, size)) or start > size


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"\xff", b"\xff\xfb\x90", b"RIFF", b"\xff\xfb\xf0\x64", b"\xff\xfb\x00\x64"),
        *(b"\xff\xfb\x9c\x64", b"\xff\xeb\x90\x64", b"\xff\xfd\x90\x64"),
    ],
)
def test_no_frame(header):
    assert mp3.parse(0, header) is None


def test_no_frames_in_noise():
    noise = np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8).tobytes()
    stream = io.BytesIO(noise)
    assert mp3.tag(stream) is None
    assert mp3.measure(stream, len(noise)) == mp3.Length()

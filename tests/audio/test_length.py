"""The length of a file is the number of frames that are decoded."""

import io

import numpy as np
import pytest
import soundfile

from kit.audio import NotAudioError, UnreadableError, decode, duration_samples, mp3


def test_what_was_written(make):
    for extension in ("wav", "flac", "ogg", "mp3", "aiff"):
        for rate in (44100, 22050):
            path = make(f"a.{extension}", rate, 2, 1.5)
            assert duration_samples(path) == (1.5 * rate, rate)
            assert len(decode(path)[0]) == 1.5 * rate


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (22050, 2)])
@pytest.mark.parametrize("cut", [0, 1, 300])
def test_mp3_without_a_length_is_counted(tmp_path, mode, rate, channels, cut):
    """Also where the file ends within a frame, and where libsndfile guesses 6 s for 20."""
    half = np.random.default_rng(0).uniform(-0.3, 0.3, (4 * rate, channels))
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.concatenate([0 * half, half]), rate, bitrate_mode=mode)
    data = path.read_bytes()
    first = next(mp3.runs(io.BytesIO(data), 1)).first
    path.write_bytes(data[first.length : len(data) - cut])
    assert duration_samples(path) == (len(decode(path)[0]), rate)


def test_flac_of_unknown_length_is_decoded(make):
    path = make("a.flac", seconds=7)
    data = bytearray(path.read_bytes())
    # The 36 bits of the number of samples in STREAMINFO.
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert duration_samples(path) == (7 * 44100, 44100)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(UnreadableError):
        duration_samples(tmp_path / "none.wav")
    (tmp_path / "a.wav").write_text("So it goes.\n")
    with pytest.raises(NotAudioError):
        duration_samples(tmp_path / "a.wav")


def test_real_music(shared):
    for path in sorted((shared / "music").glob("*/*.mp3"))[::20]:
        y, rate = decode(path)
        assert duration_samples(path) == (len(y), rate)

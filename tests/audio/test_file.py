"""A file is opened once, and its decoder, its checks and its hash read it side by side."""

import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.audio import UnreadableError, decode
from kit.audio.decode import decode_part
from kit.audio.file import open_file
from kit.audio.open import open_source
from kit.audio.sound import energy

FORMATS = ["wav", "flac", "ogg", "mp3", "aiff"]


def parts(source) -> list[np.ndarray]:
    rate = source.sample_rate
    places = [(rate, rate // 2), (0, rate), (0, None), (rate // 3, rate)]
    return [decode_part(source, 22050, start, count) for start, count in places]


@pytest.mark.parametrize("extension", FORMATS)
def test_parts_of_one_source_are_those_of_a_new_one(make, extension):
    path = make(f"a.{extension}")
    with open_source(path) as source:
        together = parts(source)
        length = source.length()
    rate = source.sample_rate
    for part, (start, count) in zip(
        together, [(rate, rate // 2), (0, rate), (0, None), (rate // 3, rate)], strict=True
    ):
        with open_source(path) as alone:
            np.testing.assert_array_equal(part, decode_part(alone, 22050, start, count))
    np.testing.assert_array_equal(together[2], decode(path, sample_rate=22050)[0])
    assert length == len(decode(path)[0])


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
@pytest.mark.parametrize("extension", FORMATS)
def test_all_is_read_through_one_descriptor(make, extension):
    path = make(f"a.{extension}")
    data, want = path.read_bytes(), decode(path, sample_rate=22050)[0]
    with open_file(path) as file:
        path.unlink()
        path.write_bytes(b"something else")
        with open_source(file) as source:
            *_, got, _ = parts(source)
            assert file.sha256() == hashlib.sha256(data).hexdigest()
            np.testing.assert_array_equal(parts(source)[0], parts(source)[0])
        np.testing.assert_array_equal(got, want)
        assert file.size == len(data)
        assert not file.is_still_there()


def test_the_decoder_finds_its_position_again(make):
    with open_source(make("a.flac")) as source:
        want = np.concatenate([block.copy() for block in source.blocks()])
    with open_file(make("a.flac")) as file, open_source(file) as source:
        got = []
        for block in source.blocks():
            got.append(block.copy())
            with file.reading() as stream:
                assert stream.read(4) == b"fLaC"
    np.testing.assert_array_equal(np.concatenate(got), want)


def test_a_file_is_still_there_until_it_is_written_or_replaced(make, tmp_path):
    path = make("a.wav")
    with open_file(path) as file:
        assert file.is_still_there()
        with path.open("ab") as stream:
            stream.write(b"1")
        assert not file.is_still_there()
    data = path.read_bytes()
    with open_file(path) as file:
        (tmp_path / "b.wav").write_bytes(data)
        (tmp_path / "b.wav").replace(path)
        assert not file.is_still_there()
    with open_file(path) as file:
        path.unlink()
        assert not file.is_still_there()
    with pytest.raises(UnreadableError, match="No such file"), open_file(path):
        pass


def test_sound_called_raw_is_known_by_its_bytes(make):
    path = make("a.flac")
    want = decode(path)[0]
    np.testing.assert_array_equal(decode(path.rename(path.with_suffix(".raw")))[0], want)


@given(st.integers(0, 40_000), st.integers(0, 3), st.sampled_from([0.0, 1e-20, 1.0, 1e15]))
def test_energy_is_the_sum_of_squares(count, seed, scale):
    y = (np.random.default_rng(seed).standard_normal(count) * scale).astype(np.float32)
    assert energy(y) == pytest.approx(np.square(y, dtype=np.float64).sum(), rel=1e-5, abs=1e-35)


@given(st.integers(1, 20_000), st.data(), st.sampled_from([np.nan, np.inf, -np.inf, 1e20]))
def test_energy_is_not_finite_where_a_sample_is_not(count, data, value):
    y = np.zeros(count, np.float32)
    y[data.draw(st.integers(0, count - 1))] = value
    assert not np.isfinite(energy(y))

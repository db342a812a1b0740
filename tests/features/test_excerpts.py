"""Excerpts lie where the configuration says, and a row holds what was heard of them."""

import dataclasses
import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kit.audio import CancelledError, SilentError, TooShortError, TruncatedError
from kit.config import FeatureConfig, FrontendConfig, frames_of
from kit.features import compute, excerpts, row_of, valid_frames
from kit.features.excerpts import excerpt_samples, lay_out, starts

RATE = 8000
FRONTEND = FrontendConfig(sample_rate=RATE, n_fft=256, hop_length=128, n_mels=8)
CONFIG = FeatureConfig(
    frontend=FRONTEND, position="spread", excerpts=3, clip_s=0.25, n_frames=16, least_s=0.1
)

configs = st.builds(
    FeatureConfig,
    frontend=st.just(FRONTEND),
    position=st.sampled_from(["start", "middle", "spread"]),
    excerpts=st.integers(1, 6),
    clip_s=st.floats(0.05, 40),
    n_frames=st.just(1),
    least_s=st.just(0.01),
    offset_s=st.floats(0, 50),
)
rates = st.sampled_from([8000, 22050, 44100, 48000])


@given(frames=st.integers(0, 5_000_000), rate=rates, config=configs)
def test_excerpts_are_inside_apart_and_of_one_length(frames, rate, config):
    found = starts(frames, rate, config)
    first, length = int(config.offset_s * rate), excerpt_samples(rate, config)
    if frames - first <= length:
        assert found == [first]
        return
    assert len(found) == min(config.excerpts, (frames - first) // length)
    assert found[0] >= first
    assert found[-1] + length <= frames
    assert all(b - a >= length for a, b in itertools.pairwise(found))
    before, behind = found[0] - first, frames - (found[-1] + length)
    if config.position == "start":
        assert before == 0
    else:
        # As much is left out in front as behind.
        assert abs(before - behind) <= 1
    if config.position != "spread":
        assert found == [found[0] + i * length for i in range(len(found))]


@given(frames=st.integers(0, 5_000_000), rate=rates, config=configs)
def test_an_excerpt_gives_all_its_frames_at_the_front_end_s_rate(frames, rate, config):
    length = excerpt_samples(rate, config)
    resampled = -(-length * RATE // rate)
    assert resampled >= config.clip_samples


def test_one_at_the_start_is_the_beginning():
    config = dataclasses.replace(CONFIG, position="start", excerpts=1)
    for frames in (0, 5, 2000, 2001, 10**6):
        assert starts(frames, RATE, config) == [0]


def write(path, *parts, rate=RATE):
    y = np.concatenate(parts)
    soundfile.write(path, y, rate, subtype="FLOAT")
    return y.astype(np.float32)


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples)


def test_they_are_the_samples_of_the_file(tmp_path):
    path = tmp_path / "x.wav"
    y = write(path, noise(8000))
    for position, at in (
        ("start", [0, 2000, 4000]),
        ("middle", [1000, 3000, 5000]),
        ("spread", [333, 3000, 5666]),
    ):
        found = excerpts(path, dataclasses.replace(CONFIG, position=position))
        assert [round(e.start_s * RATE) for e in found] == at
        for excerpt, start in zip(found, at, strict=True):
            np.testing.assert_array_equal(excerpt.y, y[start : start + 2000])


def test_a_file_of_another_rate_gives_whole_excerpts(tmp_path):
    path = tmp_path / "x.wav"
    write(path, noise(44100), rate=44100)
    found = excerpts(path, CONFIG)
    assert [len(e.y) for e in found] == [2000, 2000, 2000]
    assert [e.start_s for e in found] == [s / 44100 for s in starts(44100, 44100, CONFIG)]


@pytest.mark.parametrize("position", ["start", "middle", "spread"])
def test_a_short_track_is_one_excerpt(tmp_path, position):
    config = dataclasses.replace(CONFIG, position=position, offset_s=0.01)
    y = write(tmp_path / "x.wav", noise(1500))
    (excerpt,) = excerpts(tmp_path / "x.wav", config)
    assert excerpt.start_s == 0.01
    np.testing.assert_array_equal(excerpt.y, y[80:])
    row, frames = row_of([excerpt.y], config)
    assert frames == frames_of(1420, FRONTEND) == 12
    assert (row[frames:] == -80).all()
    np.testing.assert_array_equal(row[:frames], compute([excerpt.y], config)[0, :frames])


@pytest.mark.parametrize("position", ["start", "middle"])
def test_too_short_says_how_long_it_is(tmp_path, position):
    config = dataclasses.replace(CONFIG, position=position, excerpts=1)
    assert config.least_frames == 7
    write(tmp_path / "x.wav", noise(767))
    with pytest.raises(TooShortError) as caught:
        excerpts(tmp_path / "x.wav", config)
    assert (caught.value.length_s, caught.value.needed_s) == (767 / RATE, 768 / RATE)
    write(tmp_path / "x.wav", noise(768))
    assert len(excerpts(tmp_path / "x.wav", config)) == 1
    # The offset counts too, whether something is left behind it or nothing.
    for offset_s in (0.01, 1.0):
        with pytest.raises(TooShortError) as caught:
            excerpts(tmp_path / "x.wav", dataclasses.replace(config, offset_s=offset_s))
        found = (caught.value.length_s, caught.value.needed_s)
        assert found == pytest.approx((0.096, offset_s + 0.096))


def test_without_sound_they_are_dropped(tmp_path):
    silence, path = np.zeros(2000), tmp_path / "x.wav"
    y = write(path, noise(2000), silence, noise(2000, seed=1))
    found = excerpts(path, CONFIG)
    assert [e.start_s for e in found] == [0, 0.5]
    np.testing.assert_array_equal(found[1].y, y[4000:])
    # Each lies in memory of its own.
    np.testing.assert_array_equal(found[0].y, y[:2000])
    row, frames = row_of([e.y for e in found], CONFIG)
    assert frames == 32
    assert (row[:32] > -80).any(1).all()
    assert (row[32:] == -80).all()
    write(path, silence, silence)
    with pytest.raises(SilentError):
        excerpts(path, CONFIG)


def test_channels_that_cancel_are_dropped(tmp_path):
    path = tmp_path / "x.wav"
    left = noise(2000)
    crossed, mono = np.stack([left, -left], 1), np.stack([left, left], 1)
    write(path, mono, crossed)
    assert [e.start_s for e in excerpts(path, CONFIG)] == [0]
    write(path, crossed)
    with pytest.raises(CancelledError):
        excerpts(path, CONFIG)


def test_a_damaged_file_is_not_a_shorter_one(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(40_000), RATE)
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(TruncatedError):
        excerpts(path, CONFIG)


@given(lengths=st.lists(st.just(2000), max_size=2), last=st.integers(1, 2000))
def test_a_row_holds_the_valid_frames_one_after_the_other(lengths, last):
    lengths = [*lengths, last]
    clips = np.arange(len(lengths) * 16 * 8, dtype=np.float32).reshape(-1, 16, 8)
    row, frames = lay_out(clips, lengths, CONFIG)
    assert row.shape == (48, 8)
    assert frames == 16 * (len(lengths) - 1) + valid_frames(last, CONFIG)
    np.testing.assert_array_equal(row[:frames], clips.reshape(-1, 8)[:frames])
    assert (row[frames:] == -80).all()


def test_samples_past_the_excerpt_do_not_count():
    y = noise(2600).astype(np.float32)
    for got, want in zip(row_of([y], CONFIG), row_of([y[:2000]], CONFIG), strict=True):
        np.testing.assert_array_equal(got, want)
    assert valid_frames(2600, CONFIG) == valid_frames(2000, CONFIG) == 16

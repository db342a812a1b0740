"""Answers along a file, against the same network on the same frames at once."""

import threading
import tracemalloc

import numpy as np
import pytest
import soundfile

from kit import dsp
from kit.audio import AudioError, NotAudioError, SilentError, TooShortError
from kit.timeline.ahead import ahead
from kit.timeline.listen import _step, listen, windows
from kit.training import restore
from tests.conftest import tone

RATE = 8000


@pytest.fixture(scope="module")
def restored(job):
    return restore(job.run)


def written(path, y):
    soundfile.write(path, y, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("seconds", [1.1, 3.3, 12.345])
def test_each_segment_has_the_answer_of_its_surroundings(restored, tmp_path, seconds):
    y = np.concatenate([tone(1500.0, seconds / 2, 0), 0.1 * tone(200.0, seconds / 2, 1)])
    seen = []
    found = listen(restored, written(tmp_path / "a.wav", y), watch=seen.append)
    features, segments = restored.experiment.features, restored.experiment.segments
    # Without `ref` and `top_db`, which a window applies.
    frontend = features.frontend
    power = dsp.melspectrogram(y=y, sr=RATE, n_fft=512, hop_length=256, n_mels=16)
    levels = 10 * np.log10(np.maximum(np.asarray(power).T, frontend.amin))
    np.testing.assert_allclose(np.concatenate(seen), levels, atol=2e-3)

    frames, length, hop = len(levels), segments.frames, segments.hop_frames
    starts = list(range(0, frames - length + 1, hop))
    if starts[-1] < frames - length:
        starts.append(frames - length)
    np.testing.assert_allclose(found.start_s, np.array(starts) * 256 / RATE)
    assert found.duration_s == pytest.approx(len(y) / RATE)
    step, margin = _step(features.n_frames, length, hop)
    for at, got in zip(starts, found.log_probabilities, strict=True):
        first = at // step * step
        window = levels[max(0, first - margin) : first + step + margin]
        clip = np.maximum(levels[at : at + length] - window.max(), -80).astype(np.float32)
        np.testing.assert_allclose(got, restored.log_probabilities(clip[None])[0], atol=2e-3)
    assert (found.end_s <= found.duration_s).all()


def test_every_frame_is_in_a_window_once(restored):
    for total in (1, 8, 9, 31, 32, 33, 64, 200):
        for size in (1, 7, 32, 500):
            frames = np.arange(total, dtype=np.float32)[:, None]
            chunks = [frames[i : i + size] for i in range(0, total, size)]
            starts = []
            for first, window, at in windows(iter(chunks), 32, 8, 4):
                np.testing.assert_array_equal(window[:, 0], first + np.arange(len(window)))
                assert (at >= first).all()
                assert (at + 8 <= first + len(window)).all()
                starts += at.tolist()
            want = list(range(0, total - 7, 4))
            if want and want[-1] < total - 8:
                want.append(total - 8)
            assert starts == want


def test_a_mix_changes_in_the_middle(restored, tmp_path):
    y = np.concatenate([tone(1500.0, 6, 0), tone(200.0, 6, 1)])
    found = listen(restored, written(tmp_path / "a.wav", y))
    middles = (found.start_s + found.end_s) / 2
    answers = np.array(restored.labels)[found.log_probabilities.argmax(axis=1)]
    assert set(answers[middles < 5]) == {"high"}
    assert set(answers[middles > 7]) == {"low"}


@pytest.mark.parametrize(
    ("y", "error"),
    [
        (np.zeros(80000, np.float32), SilentError),
        (tone(200.0, 10, 0)[:, None] * np.array([1, -1], np.float32), SilentError),
        (np.zeros(100, np.float32), TooShortError),
        (np.zeros(0, np.float32), AudioError),
    ],
)
def test_what_cannot_be_heard(restored, tmp_path, y, error):
    with pytest.raises(error, match=r"a\.wav"):
        listen(restored, written(tmp_path / "a.wav", y))
    (tmp_path / "b.mp3").write_text("no audio")
    with pytest.raises(NotAudioError):
        listen(restored, tmp_path / "b.mp3")


def test_eight_channels_are_averaged(restored, tmp_path):
    y = tone(200.0, 10, 0)
    shares = np.random.default_rng(0).permutation(8).astype(np.float32)
    mono = listen(restored, written(tmp_path / "mono.wav", y * shares.mean()))
    found = listen(restored, written(tmp_path / "eight.wav", y[:, None] * shares))
    np.testing.assert_allclose(found.log_probabilities, mono.log_probabilities, atol=1e-3)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.wav"])
def test_what_was_heard_before_the_damage_is_kept(restored, tmp_path, name):
    path = tmp_path / name
    soundfile.write(path, tone(200.0, 60, 0), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    found = listen(restored, path)
    assert found.damage is not None
    assert name in str(found.damage)
    assert 35 < found.duration_s < 45
    assert found.end_s[-1] > found.duration_s - 1


def test_an_hour_takes_the_memory_of_a_minute(restored, tmp_path):
    minute = tone(200.0, 60, 0)

    def peak(minutes):
        with soundfile.SoundFile(tmp_path / "a.wav", "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        tracemalloc.start()
        listen(restored, tmp_path / "a.wav")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(30) < peak(2) + 4e6


def test_items_are_read_ahead_and_errors_come_in_their_turn():
    def items():
        yield from range(3)
        raise ValueError("at the end")

    got = []
    with pytest.raises(ValueError, match="at the end"):
        for item in ahead(items(), 1):
            got.append(item)
    assert got == [0, 1, 2]
    assert list(ahead(range(100), 4)) == list(range(100))


def test_a_reader_that_stops_ends_the_thread():
    reader = ahead(iter(range(10**9)), 2)
    assert [next(reader) for _ in range(6)] == list(range(6))
    assert "ahead_0" in [thread.name for thread in threading.enumerate()]
    reader.close()
    assert "ahead_0" not in [thread.name for thread in threading.enumerate()]

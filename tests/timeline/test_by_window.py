"""Windows of a file, against the same network on slices of its samples."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from kit.audio import AudioError, NotAudioError, TooShortError, TruncatedError, UnreadableError
from kit.features import compute
from kit.timeline.by_window import by_window
from kit.training import restore
from tests.conftest import tone

RATE = 8000
WINDOW = 8800  # samples of clip_s = 1.1
LEAST = 31 * 256  # samples that give 32 frames


@pytest.fixture(scope="module")
def restored(job):
    return restore(job.run)


def sound(seconds, *frequencies):
    return np.concatenate([tone(hz, seconds / len(frequencies), 0) for hz in frequencies])


def written(path, y):
    soundfile.write(path, y, RATE, subtype="FLOAT")
    return path


def answer(restored, y):
    """Log-probabilities of one window by the parts that `by_window` is made of."""
    frames = np.array([min(32, 1 + len(y) // 256)], np.int32)
    rows = compute([y], restored.experiment.features)
    return restored.segment_scores(rows, frames).of_tracks()[0]


@pytest.mark.parametrize("hop_s", [0.3, 1.1, 2.5, 40.0])
@pytest.mark.parametrize("seconds", [1.1, 3.05, 10.0])
def test_windows_are_slices_of_the_file(restored, tmp_path, hop_s, seconds):
    y = sound(seconds, 200, 1500)
    got = list(by_window(restored, written(tmp_path / "a.wav", y), hop_s))
    hop = round(hop_s * RATE)
    starts = [s for s in range(0, len(y), hop) if len(y) - s >= WINDOW]
    # Then one more, if what is left still makes a whole set of frames.
    after = starts[-1] + hop
    starts += [after] if len(y) - after >= LEAST else []
    assert [start_s for start_s, _, _ in got] == [s / RATE for s in starts]
    for (_, end_s, log_p), s in zip(got, starts, strict=True):
        window = y[s : s + WINDOW]
        assert end_s == pytest.approx((s + len(window)) / RATE)
        np.testing.assert_allclose(log_p, answer(restored, window), rtol=1e-3, atol=1e-4)


def test_a_mix_of_two_labels_changes_in_the_middle(restored, tmp_path):
    # Longer than a block of what is read at once, so windows lie across its edges.
    path = written(tmp_path / "mix.wav", sound(100, 200, 1500))
    labels = [restored.labels[int(p.argmax())] for _, _, p in by_window(restored, path, 2.0)]
    assert labels == ["low"] * 25 + ["high"] * 25


@pytest.mark.parametrize("samples", [1, LEAST - 1])
def test_less_than_a_window_is_too_short(restored, tmp_path, samples):
    path = written(tmp_path / "a.wav", sound(2, 200)[:samples])
    with pytest.raises(TooShortError, match=r"0\.992 s are needed") as caught:
        list(by_window(restored, path, 1.0))
    assert caught.value.length_s == pytest.approx(samples / RATE)
    written(path, sound(2, 200)[:LEAST])
    assert len(list(by_window(restored, path, 1.0))) == 1


def test_an_end_that_has_a_window_has_no_other(restored, tmp_path):
    path = written(tmp_path / "a.wav", sound(2.2, 200))
    assert len(list(by_window(restored, path, 0.55))) == 3


def test_bad_files_raise_their_own_errors(restored, tmp_path):
    (tmp_path / "text.mp3").write_text("no sound")
    for name, error in (
        ("text.mp3", NotAudioError),
        ("none.mp3", UnreadableError),
        (".", AudioError),
    ):
        with pytest.raises(error):
            list(by_window(restored, tmp_path / name, 1.0))


def test_windows_before_the_damage_come_first(restored, tmp_path):
    soundfile.write(tmp_path / "a.flac", sound(100, 200), RATE)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) * 7 // 10])
    heard = []
    with pytest.raises(TruncatedError):
        for start_s, end_s, _ in by_window(restored, tmp_path / "a.flac", 5.0):
            heard.append((start_s, end_s))
    assert [start_s for start_s, _ in heard] == [5.0 * i for i in range(len(heard))]
    assert heard[-1][1] == pytest.approx(70, abs=5)


def test_a_long_file_takes_the_memory_of_a_short_one(restored, tmp_path):
    minute = sound(60, 200)

    def peak(minutes):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, subtype="FLOAT") as file:
            for _ in range(minutes):
                file.write(minute)
        tracemalloc.start()
        count = sum(1 for _ in by_window(restored, path, 30.0))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 2 * minutes
        return most

    peak(5)  # what is allocated once
    assert peak(20) < 1.2 * peak(5)

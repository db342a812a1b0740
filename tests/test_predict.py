"""A restored run applied to files: what it says of a track, and of every window of a long one."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from kit.audio import AudioError, NotAudioError, TooShortError, TruncatedError, UnreadableError
from kit.catalogue import load
from kit.evaluation.metrics import track_log_probabilities
from kit.features import FeatureStore, store_path
from kit.features.device import compute
from kit.predict import timeline, track
from kit.training import restore
from kit.training.segments import cut

RATE = 8000
WINDOW = 8800  # samples of clip_s = 1.1
LEAST = 31 * 256  # samples that give 32 frames


@pytest.fixture(scope="module")
def restored(job):
    return restore(job.run)


def sound(seconds, *frequencies, seed=0):
    """Equal stretches of tones in noise, as the training tracks are."""
    t = np.arange(round(seconds * RATE)) / RATE
    which = np.minimum((t / seconds * len(frequencies)).astype(int), len(frequencies) - 1)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    y = 0.3 * np.sin(2 * np.pi * np.array(frequencies)[which] * t) + 0.03 * noise
    return y.astype(np.float32)


def written(path, y):
    soundfile.write(path, y, RATE, subtype="FLOAT")
    return path


def answer(restored, y):
    """Probabilities of one window by the parts that `predict` is made of."""
    features = compute([y], restored.experiment.features)
    segments = cut(features, restored.experiment.segments.frames)
    scores = restored.log_probabilities(segments.reshape(-1, *segments.shape[2:]))
    return np.exp(track_log_probabilities(scores[None]))[0]


def probabilities(prediction):
    return np.array(list(prediction.probabilities.values()))


def test_a_track_has_the_answer_of_its_stored_features(job, restored):
    catalogue = load(job.catalogue)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    segments = cut(store.read(catalogue.table["track_id"].tolist()), 8)
    scores = restored.log_probabilities(segments.reshape(-1, *segments.shape[2:]))
    want = np.exp(track_log_probabilities(scores.reshape(*segments.shape[:2], -1)))
    for row, p in zip(catalogue.table.to_dict("records"), want, strict=True):
        path = catalogue.path_of(row)
        got = track(restored, path)
        assert (got.path, got.start_s, got.end_s) == (str(path), 0.0, 1.1)
        assert tuple(got.probabilities) == restored.labels == ("high", "low")
        np.testing.assert_allclose(probabilities(got), p, rtol=1e-5)
        assert sum(got.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert got.label == row["label"]
        assert got.probability == got.probabilities[got.label] == max(got.probabilities.values())


def test_a_short_track_has_its_own_end(restored, tmp_path):
    y = sound(1.0, 200)
    got = track(restored, written(tmp_path / "a.wav", y))
    assert (got.start_s, got.end_s) == (0.0, 1.0)
    np.testing.assert_allclose(probabilities(got), answer(restored, y), rtol=1e-5)


@pytest.mark.parametrize("hop_s", [0.3, 1.1, 2.5, 40.0])
@pytest.mark.parametrize("seconds", [1.1, 3.05, 10.0])
def test_windows_are_slices_of_the_file(restored, tmp_path, hop_s, seconds):
    y = sound(seconds, 200, 1500, 200)
    path = written(tmp_path / "a.wav", y)
    got = list(timeline(restored, path, hop_s))
    hop = round(hop_s * RATE)
    starts = [s for s in range(0, len(y), hop) if len(y) - s >= WINDOW]
    # Then one more, if what is left still makes a whole set of frames.
    after = starts[-1] + hop
    starts += [after] if len(y) - after >= LEAST else []
    assert [g.start_s for g in got] == [s / RATE for s in starts]
    for prediction, s in zip(got, starts, strict=True):
        window = y[s : s + WINDOW]
        assert prediction.path == str(path)
        assert prediction.end_s == pytest.approx((s + len(window)) / RATE)
        np.testing.assert_allclose(
            probabilities(prediction), answer(restored, window), rtol=1e-4, atol=1e-6
        )


def test_the_first_window_is_the_track(restored, tmp_path):
    path = written(tmp_path / "a.wav", sound(5, 200))
    first = next(iter(timeline(restored, path)))
    assert first == track(restored, path)


def test_a_mix_of_two_labels_changes_in_the_middle(restored, tmp_path):
    # Longer than a block of what is read at once, so windows lie across its edges.
    path = written(tmp_path / "mix.wav", sound(100, 200, 1500))
    got = list(timeline(restored, path, 2.0))
    assert len(got) == 50
    assert [g.label for g in got] == ["low"] * 25 + ["high"] * 25


@pytest.mark.parametrize("samples", [1, LEAST - 1])
def test_less_than_a_window_is_too_short(restored, tmp_path, samples):
    path = written(tmp_path / "a.wav", sound(2, 200)[:samples])
    for use in (track, lambda *a: list(timeline(*a))):
        with pytest.raises(TooShortError, match=r"0\.992 s are needed") as caught:
            use(restored, path)
        assert caught.value.length_s == pytest.approx(samples / RATE)
    written(path, sound(2, 200)[:LEAST])
    assert len(list(timeline(restored, path))) == 1
    assert track(restored, path).end_s == LEAST / RATE


def test_bad_files_raise_their_own_errors(restored, tmp_path):
    (tmp_path / "text.mp3").write_text("no sound")
    for use in (track, lambda *a: list(timeline(*a))):
        with pytest.raises(NotAudioError):
            use(restored, tmp_path / "text.mp3")
        with pytest.raises(UnreadableError):
            use(restored, tmp_path / "none.mp3")
        with pytest.raises(AudioError):
            use(restored, tmp_path)


def test_what_was_heard_before_the_damage_is_told(restored, tmp_path):
    soundfile.write(tmp_path / "a.flac", sound(100, 200), RATE)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) * 7 // 10])
    heard = []
    with pytest.raises(TruncatedError):
        for prediction in timeline(restored, tmp_path / "a.flac", 5.0):
            heard.append(prediction)
    # Two blocks of 30 s were whole.
    assert [p.start_s for p in heard] == [5.0 * i for i in range(12)]


def test_a_long_file_takes_the_memory_of_a_short_one(restored, tmp_path):
    minute = sound(60, 200)

    def peak(minutes):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, subtype="FLOAT") as file:
            for _ in range(minutes):
                file.write(minute)
        tracemalloc.start()
        count = sum(1 for _ in timeline(restored, path, 30.0))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 2 * minutes
        return most

    peak(5)  # what is allocated once
    assert peak(20) < 1.2 * peak(5)

"""A restored run applied to audio: the answer for a track, and for every window of a long one."""

import dataclasses
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from kit.audio import (
    AudioError,
    CancelledError,
    NonFiniteError,
    NotAudioError,
    SilentError,
    TooShortError,
    TruncatedError,
    UnreadableError,
)
from kit.catalogue import Catalogue, from_folder, load, save
from kit.config import SegmentConfig, SplitConfig
from kit.errors import KitError, UsageError
from kit.evaluation import evaluate
from kit.features import FeatureStore, compute, extract, store_path
from kit.predict import Model, timeline, track
from kit.predict import load as load_run
from kit.training import fit, fit_arrays, restore
from kit.training.scores import track_log_probabilities

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
    frames = np.array([min(32, 1 + len(y) // 256)], np.int32)
    scores = restored.segment_scores(compute([y], restored.experiment.features), frames).segments
    return np.exp(track_log_probabilities(scores))[0]


def probabilities(prediction):
    return np.array(list(prediction.probabilities.values()))


def test_a_track_has_the_answer_of_its_stored_features(job, restored):
    catalogue = load(job.catalogue)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    ids = catalogue.table["track_id"].tolist()
    scores = restored.segment_scores(store.read(ids), store.frames(ids)).segments
    want = np.exp(track_log_probabilities(scores))
    for row, p in zip(catalogue.table.to_dict("records"), want, strict=True):
        path = catalogue.path_of(row)
        got = track(restored, path)
        assert (got.path, got.start_s) == (str(path), 0.1)
        assert got.end_s == pytest.approx(1.2)
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


def test_the_window_in_the_middle_is_the_track(restored, tmp_path):
    path = written(tmp_path / "a.wav", sound(5.1, 200))
    windows = list(timeline(restored, path, 2.0))
    assert windows[1].start_s == 2.0
    assert windows[1] == track(restored, path)


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
    assert [p.start_s for p in heard] == [5.0 * i for i in range(len(heard))]
    assert heard[-1].end_s == pytest.approx(70, abs=5)


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


@dataclass(frozen=True)
class Spread:
    """A run on three excerpts of each track, in a store of int8, and its evaluation."""

    catalogue: Catalogue
    model: Model
    result: dict


@pytest.fixture(scope="module")
def spread(job, tmp_path_factory):
    """Twelve stereo tracks at 11,025 Hz of 0.8 to 6 s."""
    root = tmp_path_factory.mktemp("spread")
    rng = np.random.default_rng(0)
    for i, seconds in enumerate((6.0, 3.4, 4.7, 0.8, 2.5, 5.0) * 2):
        folder = root / "music" / ("high" if i % 2 else "low")
        folder.mkdir(parents=True, exist_ok=True)
        t = np.arange(round(seconds * 11025)) / 11025
        # The pitch rises, so that each excerpt differs from the others.
        tone = 0.3 * np.sin(2 * np.pi * (1500 if i % 2 else 200) * t * (1 + 0.1 * t))
        y = np.stack([tone, 0.5 * tone], axis=1) + rng.normal(0, 0.05, (len(t), 2))
        soundfile.write(folder / f"{i:02d}.flac", y, 11025)
    save(from_folder(root / "music"), root / "data")
    catalogue = load(root / "data")
    features = dataclasses.replace(
        job.experiment.features,
        clip_s=1.1,
        position="spread",
        excerpts=3,
        least_s=0.5,
        dtype="int8",
    )
    experiment = dataclasses.replace(
        job.experiment,
        name="spread",
        catalogue=str(root / "data"),
        features=features,
        split=SplitConfig(by="track", test_fraction=0.4, validation_fraction=0.2),
    )
    extract(catalogue, features)
    run = fit(experiment, runs=root / "runs")
    result = evaluate(run, catalogue=catalogue, part="all", report=False)
    return Spread(catalogue, load_run(run.folder), result)


def test_a_file_has_the_probabilities_of_its_evaluation(spread):
    paths = {row["track_id"]: spread.catalogue.path_of(row) for row in spread.result["tracks"]}
    answers = spread.model.predict(list(paths.values()))
    assert len(answers) == 12
    assert {t["segments"] for t in spread.result["tracks"]} == {6, 14, 21}
    for row, got in zip(spread.result["tracks"], answers, strict=True):
        assert got == pytest.approx(row["probabilities"], abs=1e-5)
        assert spread.model.predict(str(paths[row["track_id"]])) == got


def test_a_waveform_is_heard_as_its_file(spread):
    for row in spread.result["tracks"]:
        y, rate = soundfile.read(spread.catalogue.path_of(row), dtype="float32")
        assert rate == 11025
        got = spread.model.predict(y.T, rate)
        assert got == pytest.approx(row["probabilities"], abs=1e-5)
        mono = spread.model.predict(y.mean(axis=1, dtype=np.float64), rate)
        assert mono == pytest.approx(row["probabilities"], abs=1e-3)


@pytest.mark.parametrize("keep", ["log_mel", "waveform"])
def test_tracks_shorter_than_a_segment_are_heard_with_silence_behind(job, tmp_path, keep):
    for i, seconds in enumerate((0.15, 0.3, 0.9, 0.22, 0.4, 0.18, 0.6, 0.2)):
        folder = tmp_path / "music" / ("high" if i % 2 else "low")
        folder.mkdir(parents=True, exist_ok=True)
        written(folder / f"{i}.wav", sound(seconds, 1500 if i % 2 else 200, seed=i))
    save(from_folder(tmp_path / "music"), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    features = dataclasses.replace(job.experiment.features, keep=keep, least_s=0.1)
    experiment = dataclasses.replace(
        job.experiment,
        catalogue=str(catalogue.folder),
        features=features,
        split=SplitConfig(by="track", test_fraction=0.25, validation_fraction=0.25),
        segments=SegmentConfig(frames=12, pad=True),
        train=dataclasses.replace(job.experiment.train, epochs=2, batch_size=4),
    )
    extract(catalogue, features)
    run = fit(experiment, runs=tmp_path / "runs")
    tracks = evaluate(run, catalogue=catalogue, part="all", report=False)["tracks"]
    assert len(tracks) == 8
    assert sum(row["segments"] == 1 for row in tracks) == 5
    model = load_run(run.folder)
    for row in tracks:
        path = catalogue.path_of(row)
        assert model.predict(path) == pytest.approx(row["probabilities"], abs=1e-5)
        (window,) = model.timeline(path)
        assert window.probabilities == pytest.approx(row["probabilities"], abs=1e-5)
        y, _ = soundfile.read(path, dtype="float32")
        valid = compute([y], features)[0][: min(32, 1 + len(y) // 256)]
        assert model.predict_features(valid) == pytest.approx(row["probabilities"], abs=1e-5)


def test_many_waveforms_have_the_answers_of_each(restored):
    model = Model(restored)
    waveforms = [sound(1.3, 200), sound(2.0, 1500), sound(1.0, 200)]
    answers = model.predict(waveforms, RATE)
    assert answers == [model.predict(y, RATE) for y in waveforms]
    assert [max(p, key=p.get) for p in answers] == ["low", "high", "low"]
    assert model.predict([], RATE) == []
    assert model.labels == ("high", "low")
    assert model.experiment == restored.experiment


@pytest.mark.parametrize(
    ("x", "rate", "error", "message"),
    [
        (np.zeros(9000, np.float32), None, UsageError, "give the sample_rate"),
        (np.zeros((9000, 2), np.float32), RATE, UsageError, r"shape \(9000, 2\); give .*y\.T"),
        (np.zeros((2, 2, 9), np.float32), RATE, UsageError, r"shape \(2, 2, 9\)"),
        (np.zeros(9000, np.int16), RATE, UsageError, "dtype int16; give floats"),
        (np.zeros(9000, np.float32), 0, UsageError, "sample_rate is 0"),
        (3.0, RATE, UsageError, "cannot predict 3.0; give a path or an array"),
        (np.zeros(9000, np.float32), RATE, SilentError, "waveform is silent"),
        (np.full(9000, np.nan, np.float32), RATE, NonFiniteError, "NaN"),
        (np.ones(1000, np.float32), RATE, TooShortError, "waveform"),
        (np.outer([1, -1], sound(2, 200)), RATE, CancelledError, "cancel"),
    ],
)
def test_what_is_no_waveform_is_refused(restored, x, rate, error, message):
    with pytest.raises(error, match=message):
        Model(restored).predict(x, rate)


def test_a_timeline_takes_files_from_the_shortest_track_on(spread, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, sound(0.5, 200), RATE)
    (only,) = spread.model.timeline(path)
    assert (only.start_s, only.end_s) == (0.0, 0.5)
    assert only.probabilities == pytest.approx(spread.model.predict(path), abs=1e-5)
    soundfile.write(path, sound(0.5, 200)[:-300], RATE)
    with pytest.raises(TooShortError):
        list(spread.model.timeline(path))
    # The last window holds the rest of a long file.
    soundfile.write(path, sound(2.8, 200), RATE)
    windows = list(spread.model.timeline(path, 1.1))
    assert [w.start_s for w in windows] == [0.0, 1.1, 2.2]
    assert windows[-1].end_s == pytest.approx(2.8)
    # An end that has been heard already is not heard again.
    soundfile.write(path, sound(2.2, 200), RATE)
    assert len(list(spread.model.timeline(path, 0.55))) == 3


def test_a_run_from_arrays_predicts_features_and_says_why_it_cannot_hear(job, tmp_path):
    rng = np.random.default_rng(0)
    y = np.array(["high", "low"] * 12)
    x = rng.normal(size=(24, 16, 4)).astype(np.float32)
    x[y == "high", :, :2] += 9
    train = dataclasses.replace(job.experiment.train, epochs=15)
    options = {"model": job.experiment.model, "train": train}
    run = fit_arrays(x, y, **options, runs=tmp_path / "runs")
    model = load_run(run.folder)
    answers = model.predict_features(x)
    assert [max(p, key=p.get) for p in answers] == y.tolist()
    assert model.predict_features(x[3]) == pytest.approx(answers[3], abs=1e-5)
    with pytest.raises(UsageError, match=r"shape \(24, 16\); give \(frames, 4\)"):
        model.predict_features(x[:, :, 0])
    assert model.predict_features(x[:0]) == []
    for frames in (15, [16] * 23, [17] * 24):
        with pytest.raises(UsageError, match=r"one number for each item, from 16 \(a segment\) to"):
            model.predict_features(x, frames)
    with pytest.raises(UsageError, match="not finite"):
        model.predict_features(np.full_like(x, np.nan))
    for use in (model.predict, model.timeline):
        with pytest.raises(KitError, match=r"trained on arrays.* use predict_features"):
            use(tmp_path / "a.wav")


def test_predictions_import_nothing_that_draws_or_fits():
    code = """
        import sys, kit.predict
        print(*{"matplotlib", "sklearn", "jinja2", "PIL"} & set(sys.modules))
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "\n"

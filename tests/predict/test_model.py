"""A restored run applied to files, waveforms and features."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from kit.audio import (
    CancelledError,
    NonFiniteError,
    SilentError,
    TooShortError,
)
from kit.catalogue import Catalogue, from_folder, load, save
from kit.config import SegmentConfig, SplitConfig
from kit.errors import KitError, UsageError
from kit.evaluation import evaluate
from kit.features import compute, extract
from kit.predict import Model
from kit.predict import load as load_run
from kit.training import fit, fit_arrays, restore

RATE = 8000


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


def test_a_timeline_is_that_of_the_command(job, restored, tmp_path):
    path = written(tmp_path / "a.wav", sound(12, 200, 1500))
    found = Model(restored).timeline(path, stay_s=3.0)
    assert found.duration_s == 12
    assert {section.label for section in found.sections} == {"low", "high"}
    assert found.sections[0].label == "low"
    several = dataclasses.replace(restored.experiment.train, labels="several")
    experiment = dataclasses.replace(restored.experiment, train=several)
    with pytest.raises(UsageError, match="several labels"):
        Model(dataclasses.replace(restored, experiment=experiment)).timeline(path)


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
        import sys, kit.cli.answers
        print(*{"matplotlib", "sklearn", "jinja2", "PIL", "scipy"} & set(sys.modules))
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "\n"

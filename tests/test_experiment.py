"""Whole experiments from Python: `fit`, `sweep`, `fit_arrays`."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import kit
from kit.catalogue import from_folder, load, save
from kit.errors import ConfigError


@pytest.fixture
def experiment(job, tmp_path, monkeypatch):
    """The small job's experiment of two epochs on a copy of its catalogue, without features."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(job.catalogue, tmp_path / "data")
    shutil.rmtree(folder / "features")
    train = dataclasses.replace(job.experiment.train, epochs=2)
    return dataclasses.replace(job.experiment, catalogue="data", train=train)


@pytest.fixture
def arrays():
    """Forty items of two labels by ten artists, that differ in one band."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 12, 4)).astype(np.float32)
    x[:, :, 0] += 3 * y[:, None]
    return x, np.array(["low", "high"])[y], [f"artist {i // 4}" for i in range(40)]


TINY = {"model": kit.Conv1DConfig(channels=(4,), kernel_size=2, dense=4)}


def stamps(run):
    return {path.name: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()}


def test_fit_does_the_whole_job_and_then_nothing(experiment, capfd):
    run = kit.fit(experiment)
    assert run.folder.parent == Path("runs/tiny")
    assert list(run.scores["part"]) == ["test", "test"]
    assert set(run.scores["level"]) == {"track", "segment"}
    assert not (run.folder / "report.html").exists()
    before = stamps(run)
    assert kit.fit(experiment) == run
    assert stamps(run) == before
    # Neither a bar nor a sentence.
    assert capfd.readouterr() == ("", "")

    assert kit.run(experiment) == run
    assert (run.folder / "report.html").is_file()


def test_progress_is_told(experiment, capfd):
    seen = []
    kit.fit(experiment, progress=lambda stage, done, total, note: seen.append((stage, done, total)))
    assert list(dict.fromkeys(stage for stage, _, _ in seen)) == ["features", "train", "evaluate"]
    for stage in ("features", "train", "evaluate"):
        done, total = [(d, t) for s, d, t in seen if s == stage][-1]
        assert done == total
    kit.fit(dataclasses.replace(experiment, name="again"), progress=True)
    assert capfd.readouterr().out == ""


def test_a_catalogue_elsewhere(experiment, tmp_path):
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(kit.KitError, match="data"):
        kit.fit(experiment)
    for given in ("moved", load(tmp_path / "moved")):
        run = kit.fit(experiment, catalogue=given)
        assert run.experiment().catalogue == str(tmp_path / "moved")


def test_what_may_mislead_is_a_warning(experiment, tmp_path, write_music):
    music = write_music(tmp_path / "music", 6)
    for at, label in enumerate(("high", "low")):
        noise = np.random.default_rng(at).uniform(-0.5, 0.5, 800)
        soundfile.write(music / label / "short.wav", noise, 8000)
    save(from_folder(music), tmp_path / "data")
    with pytest.warns(kit.KitWarning) as caught:
        kit.fit(experiment)
    said = [str(warning.message) for warning in caught]
    assert any("2 of 14 tracks have no artist" in text for text in said)
    assert any("2 left out (2 shorter than 1 s" in text for text in said)


def test_a_sweep_yields_runs_in_order_and_resumes(experiment):
    values = {"train.learning_rate": [1e-2, 1e-3], "train.seed": range(2)}
    stages = []

    def progress(stage, done, total, note):
        if not stages or stages[-1] != stage:
            stages.append(stage)

    runs = list(kit.sweep(experiment, values, progress=progress))
    found = [(r.experiment().train.learning_rate, r.experiment().train.seed) for r in runs]
    assert found == [(1e-2, 0), (1e-2, 1), (1e-3, 0), (1e-3, 1)]
    assert len({r.folder for r in runs}) == 4
    assert stages == ["features", *["train", "evaluate"] * 4]
    assert all(len(r.scores) == 2 for r in runs)
    assert not any((r.folder / "report.html").exists() for r in runs)

    # Stopped and started again: a finished point is as it was, a lost one is trained.
    before = stamps(runs[0])
    shutil.rmtree(runs[1].folder)
    swept = kit.sweep(experiment, values)
    assert next(swept) == runs[0]
    assert stamps(runs[0]) == before
    assert next(swept).experiment().train.seed == 1
    swept.close()


def test_a_sweep_over_features_computes_each_once(experiment):
    seen = []
    values = {"features.n_frames": [32, 24, 32]}
    swept = kit.sweep(experiment, values, progress=lambda stage, *_: seen.append(stage))
    assert [run.experiment().features.n_frames for run in swept] == [32, 24, 32]
    assert len(list(Path("data/features").glob("*.zarr"))) == 2
    stages = [stage for at, stage in enumerate(seen) if at == 0 or seen[at - 1] != stage]
    assert stages == ["features", "train", "evaluate"] * 2


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"train.lr": [1]}, "TrainConfig has no field 'lr'"),
        ({"train.seed": [0], "epochs": [1]}, "Experiment has no field 'epochs'"),
        ({"train.epochs": [1, 0]}, "TrainConfig.epochs is 0"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_any_work(experiment, values, says):
    with pytest.raises(ConfigError, match=says):
        kit.sweep(experiment, values)
    assert not Path("runs").exists()
    assert not Path("data/features").exists()


def test_arrays(arrays, tmp_path):
    x, y, groups = arrays
    options = TINY | {"train": kit.TrainConfig(epochs=3, batch_size=8, learning_rate=0.01)}
    run = kit.fit_arrays(x, y, groups=groups, runs=tmp_path / "runs", **options)
    assert run.folder.parent == tmp_path / "runs/arrays"
    row = run.scores.query("part == 'test' and level == 'track'").iloc[0]
    assert row["n"] == 8
    assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
    before = stamps(run)
    assert kit.fit_arrays(x, y, groups=groups, runs=tmp_path / "runs", **options) == run
    assert stamps(run) == before
    found = kit.load(run.folder).predict_features(x[:3])
    assert [set(p) for p in found] == [{"low", "high"}] * 3

"""Runs by the recipe for small sets: made, gone on with, moved, restored, and never leaked into."""

import dataclasses
import shutil
import sys

import jax
import numpy as np
import pandas as pd
import pytest

import kit
from kit.catalogue import from_folder, load, save
from kit.cli import main
from kit.config import (
    Experiment,
    FeatureConfig,
    FrontendConfig,
    MusicnnConfig,
    SplitConfig,
    replaced,
)
from kit.errors import ConfigError, KitWarning
from kit.evaluation import evaluate
from kit.evaluation.baselines.folds import Fold, Task, out_of_fold
from kit.evaluation.baselines.nested import chosen_of
from kit.evaluation.baselines.rows import of_store
from kit.evaluation.baselines.store import measure
from kit.evaluation.certainty import thresholds_of
from kit.evaluation.confounds.measure import confounds
from kit.evaluation.small_set import fit_small_set
from kit.features import extract
from kit.models import build
from kit.shallow.recipe import SmallSetConfig, require_recipe, small_set
from kit.training import Run, restore
from kit.training.checkpoint import Checkpoints
from kit.training.restore import template_of
from kit.weights.files import write_weights
from kit.weights.musicnn import weights_file

from .documented import require_documented

FEATURES = FeatureConfig(clip_s=3.2, n_frames=128)
FOLDS = 3


@pytest.fixture(scope="module")
def music(write_music, tmp_path_factory):
    """Twelve tracks of 3.4 s, two labels by three artists each."""
    return write_music(tmp_path_factory.mktemp("small") / "music", per_label=6, seconds=3.4)


def catalogue_of(music, folder):
    save(from_folder(music), folder)
    return load(folder)


def recipe(catalogue, weights=None, vectors=("simple", "dictionary")):
    """Return the recipe with two candidates."""
    model = SmallSetConfig(vectors, weights)
    split = SplitConfig(folds=FOLDS)
    return small_set(catalogue.folder, features=FEATURES, split=split, model=model)


def trained(catalogue, experiment, runs, **options):
    extract(catalogue, experiment.features)
    return fit_small_set(experiment, catalogue=catalogue, runs=runs, **options)


@pytest.fixture(scope="module")
def learned(music, tmp_path_factory):
    """A catalogue, a run on it without weights, and its evaluation."""
    root = tmp_path_factory.mktemp("learned")
    catalogue = catalogue_of(music, root / "data")
    run = trained(catalogue, recipe(catalogue), root / "runs")
    return catalogue, run, evaluate(run, report=False)


def test_a_probe_asks_the_classifiers_too(learned, tmp_path):
    _, run, result = learned
    copy = Run(shutil.copytree(run.folder, tmp_path / "run"))
    found = confounds(copy, families=("level",))
    predicted = {row["track_id"]: row["predicted"] for row in result["tracks"]}
    assert found["answers"]["unchanged"] == predicted
    assert found["checkpoint"] == result["checkpoint"]
    assert [row["probe"] for row in found["probes"]] == ["level +6 dB", "level −6 dB"]
    assert found["n"] == len(result["tracks"])


def saved_in(run):
    """Return the arrays and the metadata of a run's checkpoint."""
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        found = checkpoints.read("best", template_of)
    assert found is not None
    return found.state, found.meta


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_it_answers_as_the_nested_choice_of_the_baselines(learned):
    catalogue, run, evaluation = learned
    folds = run.folds().sort_values("track_id")
    vectors, measured = measure(catalogue, run.experiment().features)
    sources = [measured.sources[track] for track in folds["track_id"]]
    task = Task(
        ("high", "low"),
        (folds["label"] == "low").to_numpy(int),
        np.unique(folds["group"], return_inverse=True)[1],
        tuple(
            Fold(name, *map(np.flatnonzero, (folds["fold"] != name, folds["fold"] == name)))
            for name in "012"
        ),
    )
    candidates = of_store(vectors, sources, ("simple", "dictionary"))
    answers = out_of_fold([chosen_of(candidates)], task)[0]
    assert {fold.fold: saved_in(fold)[1]["chosen"] for fold in run.inside} == {
        fold: chosen["baseline"] for fold, chosen in answers.chosen.items()
    }
    expected = pd.DataFrame(answers.probabilities, folds["track_id"], task.labels)
    for track in evaluation["tracks"]:
        found = [track["probabilities"][label] for label in task.labels]
        np.testing.assert_allclose(found, expected.loc[track["track_id"]], atol=1e-6)
    assert evaluation["track"]["accuracy"] == 1.0
    assert evaluation["segment"]["n"] == evaluation["track"]["n"] == 12


def test_a_moved_run_answers_for_files_as_evaluation_did(learned, tmp_path):
    catalogue, run, evaluation = learned
    moved = shutil.copytree(run.folder, tmp_path / "elsewhere")
    table = catalogue.table.set_index("track_id")
    for fold in ("0", "2"):
        model = kit.load(moved / f"fold-{fold}")
        for track in evaluation["tracks"]:
            if track["fold"] == fold:
                found = model.predict(catalogue.path_of(table.loc[track["track_id"]].to_dict()))
                expected = list(track["probabilities"].values())
                np.testing.assert_allclose(list(found.values()), expected, atol=1e-5)


def test_the_run_is_the_mean_of_its_folds(learned):
    catalogue, run, _ = learned
    path = catalogue.path_of(catalogue.table.to_dict("records")[0])
    each = [list(kit.load(fold.folder).predict(path).values()) for fold in run.inside]
    whole = list(kit.load(run.folder).predict(path).values())
    np.testing.assert_allclose(whole, np.mean(each, axis=0), atol=1e-6)
    along = kit.load(run.folder).timeline(path)
    assert [(s.start_s, s.label) for s in along.sections] == [(0.0, "high")]


def test_stopped_and_gone_on_with_it_ends_in_the_same_numbers(learned, tmp_path):
    catalogue, run, _ = learned
    experiment = run.experiment()
    calls = []

    def stop_in_the_second_fold(p):
        calls.append(p)
        if p.place == "fold 2/3" and p.step == 1:
            raise KeyboardInterrupt

    options = {"catalogue": catalogue, "runs": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit_small_set(experiment, progress=stop_in_the_second_fold, **options)
    again = []
    whole = fit_small_set(experiment, progress=again.append, **options)
    assert {p.place for p in again} == {"fold 2/3", "fold 3/3"}
    for one, other in zip(whole.inside, run.inside, strict=True):
        same(saved_in(one)[0], saved_in(other)[0])
    assert fit_small_set(experiment, progress=again.append, **options).folder == whole.folder


def test_poisoned_test_tracks_change_no_byte_of_what_is_trained(learned, music, tmp_path):
    catalogue, run, _ = learned
    folds = run.folds()
    other = load(shutil.copytree(catalogue.folder, tmp_path / "data"))
    poisoned = folds["track_id"][folds["fold"] == "1"].tolist()
    table = other.table.copy()
    # Each test track of the fold gets the file of the next track of the other label.
    files = ["path", "source_hash"]
    there = table["track_id"].isin(poisoned)
    table.loc[there, files] = table.loc[there, files].to_numpy()[::-1]
    other = dataclasses.replace(other, table=table)
    experiment = run.experiment()
    extract(other, experiment.features)
    again = fit_small_set(experiment, catalogue=other, runs=tmp_path / "runs")
    assert again.folder.name.rpartition("-")[2] != run.folder.name.rpartition("-")[2]
    same(saved_in(again.inside[1])[0], saved_in(run.inside[1])[0])
    with pytest.raises(AssertionError):
        same(saved_in(again.inside[0])[0], saved_in(run.inside[0])[0])


def test_layers_of_a_network_are_kept_with_the_run(music, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    params, buffers = build(MusicnnConfig(), n_mels=96, n_classes=50).init(jax.random.key(0))
    weights = {name: np.asarray(x) for name, x in (params | buffers).items()}
    write_weights(weights_file("MSD_musicnn"), weights)
    catalogue = catalogue_of(music, tmp_path / "data")
    experiment = recipe(catalogue, "MSD_musicnn", ("simple",))
    run = trained(catalogue, experiment, tmp_path / "runs")
    shutil.rmtree(tmp_path / "home")
    heard = [fold for fold in run.inside if "probe" in saved_in(fold)[1]["chosen"]]
    for fold in heard:
        arrays, meta = saved_in(fold)
        assert meta["small"]["networks"] == ["musicnn"]
        same(
            {n.partition("/")[2]: x for n, x in arrays.items() if n.startswith("musicnn/")}, weights
        )
    path = catalogue.path_of(catalogue.table.to_dict("records")[0])
    assert sum(kit.load(run.folder).predict(path).values()) == pytest.approx(1)
    small = restore(run.folder)._small
    assert small is not None
    assert len(small.trunks) == (1 if heard else 0)


def test_the_experiment_of_the_recipe():
    made = small_set("data", split=SplitConfig(seed=3), seed=5)
    assert made.model == SmallSetConfig(weights="MSD_musicnn")
    assert made.features.keep == "waveform"
    assert made.features.n_frames == made.features.clip_frames
    assert (made.split.folds, made.split.validation_fraction, made.split.seed) == (5, 0.0, 3)
    assert (made.train.epochs, made.train.seed) == (1, 5)
    assert small_set("data", split=SplitConfig(fold_column="fold")).split.folds is None
    words = small_set("data", features=FeatureConfig(clip_s=1.0, n_frames=44, least_s=0.1))
    assert words.segments.frames == words.features.least_frames
    require_recipe(made)


def test_what_it_refuses():
    with pytest.raises(ConfigError, match=r"--features\.frontend"):
        small_set("data", features=FeatureConfig(frontend=FrontendConfig(n_mels=64)))
    with pytest.raises(ConfigError, match="rhythm"):
        SmallSetConfig(vectors=("rhythm",))
    with pytest.raises(ConfigError, match="recipe small"):
        SmallSetConfig().build(128, 2, rngs=None)
    made = small_set("data")
    for other in (
        Experiment(),
        replaced(made, "split.folds", None),
        replaced(made, "train.epochs", 2),
    ):
        with pytest.raises(ConfigError, match="recipe small"):
            fit_small_set(other)


def test_tracks_that_the_network_cannot_hear_leave_it_out(music, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    params, buffers = build(MusicnnConfig(), n_mels=96, n_classes=50).init(jax.random.key(0))
    write_weights(
        weights_file("MSD_musicnn"), {n: np.asarray(x) for n, x in (params | buffers).items()}
    )
    own = shutil.copytree(music, tmp_path / "music")
    catalogue = catalogue_of(own, tmp_path / "data")
    trained(catalogue, recipe(catalogue), tmp_path / "runs")  # computes features and vectors
    catalogue.path_of(catalogue.table.to_dict("records")[3]).unlink()
    with pytest.warns(KitWarning, match="1 of 12 tracks have no embedding"):
        fit_small_set(
            recipe(catalogue, "MSD_musicnn", ("simple",)),
            catalogue=catalogue,
            runs=tmp_path / "runs",
        )


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["kit", "train", *map(str, arguments)])
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_the_command_says_what_is_missing(learned, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    where = [learned[0].folder, "--runs", tmp_path / "runs"]
    flags = ["--features.clip-s", 3.2, "--features.n-frames", 128, "--split.by", "nothing"]
    assert command(monkeypatch, *where, "--recipe", "small", *flags) == 2
    said = capfd.readouterr().err
    assert "kit weights musicnn" in said
    assert "nothing" in said
    name = "kit.shallow.recipe:SmallSetConfig"
    assert command(monkeypatch, *where, "--model.name", name) == 2
    assert "--recipe small" in capfd.readouterr().err


def test_the_answers_of_the_recipe_are_calibrated(learned):
    _, run, result = learned
    thresholds, said = thresholds_of(run.folder, restore(run.folder))
    groups = result["track"]["groups"]
    assert thresholds.factor == result["calibration"]["factor"]
    assert (thresholds.in_set is None) is (groups < 9) is ("which take 9 artists" in said)
    assert {row["calibrated_on"] for row in result["sets"]} == {groups}


def test_the_report_names_what_was_chosen(learned):
    _, run, _ = learned
    assert "folds[].chosen" in require_documented(evaluate(run))
    page = (run.folder / "report.html").read_text()
    assert saved_in(run.inside[0])[1]["chosen"] in page
    assert "Learning curves" not in page
    assert not (run.folder / "curves.png").exists()

"""Networks among the candidates of the recipe for small sets, tiny ones, on tracks of 3.4 s."""

import json
import shutil
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import kit
from kit.catalogue import from_folder, load, save
from kit.cli import main
from kit.config import (
    FeatureConfig,
    MusicnnConfig,
    ShortChunkConfig,
    SplitConfig,
    from_dict,
    identity,
    to_dict,
)
from kit.errors import ConfigError
from kit.evaluation import evaluate
from kit.evaluation.baselines.run import baselines
from kit.evaluation.small_set import fit_small_set
from kit.features import FeatureStore, extract, store_path
from kit.features.heard import heard
from kit.models import build
from kit.shallow.networks import experiments_of
from kit.shallow.recipe import SmallSetConfig, small_set
from kit.training.checkpoint import Checkpoints
from kit.training.restore import restore, template_of
from kit.training.small import heard_rows
from kit.weights.files import write_weights
from kit.weights.musicnn import weights_file

FEATURES = FeatureConfig(clip_s=3.2, n_frames=128)
ROW, SIMPLE = "short_chunk, trained", "tempo, loudness and spectrum, SVM"
LABELS = ["high", "low"]
NARROW = MusicnnConfig(4, (0.3,), 4, (8,), 4, 6, transfer="fine-tune")


def catalogue_of(music, folder):
    save(from_folder(music), folder)
    return load(folder)


def recipe(catalogue, network, folds, **more):
    sizes = {"short_chunk": ShortChunkConfig(width=1, depth=1), "musicnn": NARROW}
    model = SmallSetConfig(("simple",), None, (network,), epochs=1, **sizes, **more)
    split = SplitConfig(folds=folds)
    return small_set(catalogue.folder, features=FEATURES, split=split, model=model)


def trained(catalogue, experiment, runs, **options):
    extract(catalogue, experiment.features)
    return fit_small_set(experiment, catalogue=catalogue, runs=runs, **options)


@pytest.fixture(scope="module")
def learned(write_music, tmp_path_factory):
    """A catalogue of two labels by three artists each, a run on it, and its evaluation."""
    root = tmp_path_factory.mktemp("networks")
    music = write_music(root / "music", per_label=6, seconds=3.4)
    catalogue = catalogue_of(music, root / "data")
    experiment = recipe(catalogue, "short_chunk", 3, members=2)
    run = trained(catalogue, experiment, root / "runs")
    return catalogue, run, evaluate(run, report=False)


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


def weights_of(run):
    return run.metrics()[-1]["weights"]


def test_a_fold_answers_by_its_weights_of_the_rows(learned):
    catalogue, run, evaluation = learned
    assert any(ROW in weights_of(fold) for fold in run.inside)
    found = baselines(catalogue, run=run, choose={SIMPLE: 0.5, ROW: 0.5})
    rows = {row.name: row.probabilities for row in found.answers}
    answered = {track["track_id"]: track["probabilities"] for track in evaluation["tracks"]}
    for at, track in enumerate(found.tracks.itertuples()):
        weights = weights_of(run.inside[int(track.fold)])
        expected = sum(weight * rows[name][at] for name, weight in weights.items())
        p = [answered[track.track_id][label] for label in LABELS]
        np.testing.assert_allclose(p, expected, atol=1e-5)
    # A learning curve would have to train networks anew.
    assert found.chosen == f"50% {SIMPLE} + 50% {ROW}"
    assert {point.baseline for point in found.curve} == {SIMPLE}


def test_a_moved_run_answers_for_files_as_evaluation_did(learned, tmp_path):
    catalogue, run, evaluation = learned
    moved = shutil.copytree(run.folder, tmp_path / "elsewhere")
    table = catalogue.table.set_index("track_id")
    files = {id: catalogue.path_of(table.loc[id].to_dict()) for id in table.index}
    fold = next(fold for fold in run.inside if ROW in weights_of(fold))
    model = kit.load(moved / fold.folder.name)
    for track in evaluation["tracks"]:
        if track["fold"] == fold.fold:
            found = model.predict(files[track["track_id"]])
            expected = list(track["probabilities"].values())
            np.testing.assert_allclose(list(found.values()), expected, atol=1e-5)
    file = next(iter(files.values()))
    each = [list(kit.load(one.folder).predict(file).values()) for one in run.inside]
    whole = kit.load(moved)
    np.testing.assert_allclose(list(whole.predict(file).values()), np.mean(each, 0), atol=1e-6)
    assert [window.start_s for window in whole.timeline(file)] == [0.0]
    # The trainings are gone, their answers are kept.
    left = sorted(path.name for path in (moved / "fold-0/networks/short_chunk").iterdir())
    assert left == ["0.0.json", "0.1.json", "0.json"]


def test_poisoned_and_stopped_it_trains_the_same_bytes(learned, tmp_path):
    catalogue, run, _ = learned
    folds = run.folds()
    other = load(shutil.copytree(catalogue.folder, tmp_path / "data"))
    poisoned = folds["track_id"][folds["fold"] == "1"].tolist()
    table = other.table.copy()
    # Each test track of the fold gets the file of the next track of the other label.
    files = ["path", "source_hash"]
    there = table["track_id"].isin(poisoned)
    table.loc[there, files] = table.loc[there, files].to_numpy()[::-1]
    other = replace(other, table=table)
    experiment = run.experiment()
    extract(other, experiment.features)
    options = {"catalogue": other, "runs": tmp_path / "runs"}

    def stop_in_the_second_inner_fold(p):
        if p.place == "fold 2/3" and p.path.startswith("inner fold 2, short_chunk, member 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_small_set(experiment, progress=stop_in_the_second_inner_fold, **options)
    after = []
    again = fit_small_set(experiment, progress=after.append, **options)
    said = {p.path for p in after if p.place == "fold 2/3"}
    assert "inner fold 1, done before" in said
    assert not any("inner fold 1, short_chunk" in note for note in said)
    assert not any("inner fold 2, short_chunk, member 1" in note for note in said)
    same(saved_in(again.inside[1])[0], saved_in(run.inside[1])[0])
    assert weights_of(again.inside[1]) == weights_of(run.inside[1])
    with pytest.raises(AssertionError):
        same(saved_in(again.inside[0])[0], saved_in(run.inside[0])[0])


def test_musicnn_is_fine_tuned_and_kept_with_the_run(write_music, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    params, buffers = build(replace(NARROW, transfer="none"), n_mels=96, n_classes=50).init(
        jax.random.key(0)
    )
    weights = {name: np.asarray(x) for name, x in (params | buffers).items()}
    write_weights(weights_file("MSD_musicnn"), weights)
    music = write_music(tmp_path / "music", per_label=4, seconds=3.4)
    catalogue = catalogue_of(music, tmp_path / "data")
    # Training parts with one artist of each label: no inner folds, and equal weights.
    run = trained(catalogue, recipe(catalogue, "musicnn", 2), tmp_path / "runs")
    shutil.rmtree(tmp_path / "home")
    evaluation = evaluate(run, report=False)
    assert weights_of(run.inside[0])["musicnn, trained"] == 0.5
    arrays, meta = saved_in(run.inside[0])
    assert meta["small"]["trained"][0]["name"] == "musicnn"
    kept = "trained/0/0/params/"
    assert not np.array_equal(arrays[f"{kept}dense/kernel"], weights["dense/kernel"])
    # Training answered from the outputs of the frozen layers, and the run does from samples.
    store = FeatureStore.open(store_path(catalogue, run.experiment().features))
    for fold in run.inside:
        small = restore(fold.folder)._small
        assert small is not None
        (network,) = small.ensembles
        file = fold.folder / "networks/musicnn" / f"{fold.fold}.json"
        content = json.loads(file.read_text())
        samples = store.read(content["tracks"]), store.frames(content["tracks"])
        rows = heard_rows(*samples, small.features, network.features, network.frames)
        p = network.probabilities(*rows)
        np.testing.assert_allclose(p, content["probabilities"], atol=1e-5)
    table = catalogue.table.set_index("track_id")
    last = evaluation["tracks"][-1]
    model = kit.load(run.folder / f"fold-{last['fold']}")
    heard_file = model.predict(catalogue.path_of(table.loc[last["track_id"]].to_dict()))
    expected = list(last["probabilities"].values())
    np.testing.assert_allclose(list(heard_file.values()), expected, atol=1e-5)


def test_the_experiments_of_networks():
    names = ("short_chunk", "musicnn")
    made = small_set("data", seed=5, model=SmallSetConfig(networks=names, members=3))
    found = experiments_of(made)
    assert list(found) == list(names)
    short, musicnn = found.values()
    # 646 frames hold 6 segments of 96.
    assert (short.segments.frames, short.train.epochs, short.train.members) == (96, 15, 3)
    assert (musicnn.segments.frames, musicnn.train.epochs, musicnn.train.members) == (187, 5, 1)
    assert {one.train.seed for one in found.values()} == {5}
    assert experiments_of(small_set("data")) == {}
    words = FeatureConfig(clip_s=1.6, n_frames=44, least_s=0.1)
    model = SmallSetConfig(networks=("short_chunk",), epochs=4)
    short = experiments_of(small_set("data", features=words, model=model))["short_chunk"]
    assert (short.segments.frames, short.train.epochs) == (35, 4)
    assert from_dict(type(made), to_dict(made)) == made


def test_what_it_refuses():
    with pytest.raises(ConfigError, match="musicnn takes excerpts of 3 s"):
        short = FeatureConfig(clip_s=2.0, n_frames=80, least_s=1.0)
        small_set("data", features=short, model=SmallSetConfig(networks=("musicnn",)))
    with pytest.raises(ConfigError, match="name each once"):
        SmallSetConfig(networks=("musicnn", "musicnn"))
    with pytest.raises(ConfigError, match="members is 0"):
        SmallSetConfig(members=0)
    with pytest.raises(ConfigError, match=r"--model\.musicnn\.transfer to head or fine-tune"):
        SmallSetConfig(musicnn=MusicnnConfig(transfer="probe"))


def test_without_networks_a_recipe_keeps_its_identity():
    known = {"name", "file", "vectors", "weights"}
    assert identity(small_set("data"))["model"].keys() == known
    more = small_set("data", model=SmallSetConfig(networks=("short_chunk",)))
    assert identity(more)["model"].keys() == known | {"networks"}


def test_a_short_track_is_repeated_up_to_a_segment():
    stored = small_set("data", features=FEATURES).features
    wanted = experiments_of(
        small_set("data", features=FEATURES, model=SmallSetConfig(networks=("musicnn",)))
    )["musicnn"].features
    y = np.random.default_rng(0).uniform(-0.3, 0.3, (60, 512)).astype(np.float32)
    row, frames = heard(y, stored, wanted, 187)
    alone, own = heard(y, stored, wanted, 1)
    assert (frames, own) == (187, 1 + round(60 * 512 * 16000 / 22050) // 256)
    np.testing.assert_array_equal(row[:187], np.resize(alone[:own], (187, 96)))
    assert row.shape == (wanted.row_frames, 96)


def test_the_command_takes_networks(learned, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    flags = ["--features.clip-s", "3.2", "--features.n-frames", "128", "--runs", str(tmp_path)]
    typed = ["kit", "train", str(learned[0].folder), "--recipe", "small", *flags]
    monkeypatch.setattr(sys, "argv", [*typed, "--model.networks", "musicnn"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "kit weights musicnn" in capfd.readouterr().err

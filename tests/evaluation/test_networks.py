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
from kit.features.log_mel import log_mel_row
from kit.models import build
from kit.shallow.networks import experiments_of
from kit.shallow.recipe import SmallSetConfig, small_set
from kit.training.checkpoint import Checkpoints
from kit.training.restore import restore, template_of
from kit.training.small import log_mel_rows
from kit.weights.files import write_weights
from kit.weights.musicnn import weights_file

FEATURES = FeatureConfig(clip_s=3.2, n_frames=128)
NARROW = MusicnnConfig(4, (0.3,), 4, (8,), 4, 6, transfer="fine-tune")
NAMES = ("short_chunk", "musicnn")
ROW = "short_chunk, trained"


@pytest.fixture(scope="module")
def learned(write_music, tmp_path_factory):
    """A catalogue of two labels by three artists each, a run on it, and its evaluation.

    In one of the two folds, the training part has two artists of each label, and two inner folds;
    in the other it has one, and none.
    """
    root = tmp_path_factory.mktemp("networks")
    save(from_folder(write_music(root / "music", 6, 3.4)), root / "data")
    catalogue = load(root / "data")
    run = trained(catalogue, root / "runs", "short_chunk")
    return catalogue, run, evaluate(run, report=False)


def trained(catalogue, runs, network):
    """Return a run of two folds that chooses from an SVM and a tiny network."""
    tiny = ShortChunkConfig(width=1, depth=1)
    model = SmallSetConfig(
        ("simple",), None, (network,), epochs=1, short_chunk=tiny, musicnn=NARROW
    )
    split = SplitConfig(folds=2)
    experiment = small_set(catalogue.folder, features=FEATURES, split=split, model=model)
    extract(catalogue, experiment.features)
    return fit_small_set(experiment, catalogue=catalogue, runs=runs)


def saved_in(run):
    """Return the arrays and the metadata of a run's checkpoint."""
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        found = checkpoints.read("last", template_of)
    assert found is not None
    return found.state, found.meta


def weights_of(run):
    return run.metrics()[-1]["weights"]


def nested(run):
    """Return the fold that has inner folds."""
    (fold,) = (
        f for f in run.inside if (f.folder / f"networks/short_chunk/{f.fold}.1.json").exists()
    )
    return fold


def test_each_fold_answers_by_its_weights_of_the_rows(learned):
    catalogue, run, evaluation = learned
    table = baselines(catalogue, run=run, choose={ROW: 1.0})
    rows = {row.name: row.probabilities for row in table.answers}
    folds = {fold.fold: weights_of(fold) for fold in run.inside}
    expected = [
        sum(weight * rows[name][at] for name, weight in folds[fold].items())
        for at, fold in enumerate(table.tracks["fold"])
    ]
    answered = {one["track_id"]: one["probabilities"] for one in evaluation["tracks"]}
    p = [list(answered[track].values()) for track in table.tracks["track_id"]]
    np.testing.assert_allclose(p, expected, atol=1e-5)
    assert any(ROW in weights for weights in folds.values())
    # A learning curve would have to train networks anew.
    assert (table.chosen, table.curve) == (ROW, ())


def test_a_moved_run_has_its_networks(learned, tmp_path):
    catalogue, run, evaluation = learned
    fold = next(fold for fold in run.inside if fold != nested(run))
    arrays, meta = saved_in(fold)
    assert [len(one["members"]) for one in meta["small"]["trained"]] == [2]
    first, second = (arrays[f"trained/0/{n}/params/head/kernel"] for n in (0, 1))
    assert not np.array_equal(first, second)
    moved = shutil.copytree(run.folder, tmp_path / "elsewhere")
    last = next(one for one in evaluation["tracks"] if one["fold"] == fold.fold)
    row = catalogue.table.set_index("track_id").loc[last["track_id"]].to_dict()
    of_file = kit.load(moved / fold.folder.name).predict(catalogue.path_of(row))
    expected = list(last["probabilities"].values())
    np.testing.assert_allclose(list(of_file.values()), expected, atol=1e-5)
    each = [kit.load(one.folder).predict(catalogue.path_of(row)) for one in run.inside]
    mean = np.mean([list(p.values()) for p in each], axis=0)
    whole = kit.load(moved)
    found = whole.predict(catalogue.path_of(row))
    np.testing.assert_allclose(list(found.values()), mean, atol=1e-5)
    # The first 3.2 s of 3.4 s, where a track is heard in its middle.
    along = whole.timeline(catalogue.path_of(row))
    np.testing.assert_allclose(along.probabilities, [mean], atol=0.1)


def test_poisoned_and_stopped_it_ends_in_the_same_bytes(learned, tmp_path):
    catalogue, run, _ = learned
    fold, folds = nested(run), run.folds()
    other = load(shutil.copytree(catalogue.folder, tmp_path / "data"))
    table = other.table.copy()
    # Each test track of the fold gets the file of a test track of the other label.
    there = table["track_id"].isin(folds["track_id"][folds["fold"] == fold.fold].tolist())
    files = ["path", "source_hash"]
    table.loc[there, files] = table.loc[there, files].to_numpy()[::-1]
    other = replace(other, table=table)
    experiment = run.experiment()
    extract(other, experiment.features)
    options = {"catalogue": other, "runs": tmp_path / "runs"}

    def stop_in_the_second_inner_fold(p):
        if p.path.startswith("inner fold 2, short_chunk, member 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_small_set(experiment, progress=stop_in_the_second_inner_fold, **options)
    said = []
    again = fit_small_set(experiment, progress=lambda p: said.append(p.path), **options)
    assert said.count("inner fold 1, done before") == 1
    assert not any(text.startswith("inner fold 1, short_chunk") for text in said)
    assert not any(text.startswith("inner fold 2, short_chunk, member 1") for text in said)
    assert again.folder.name.rpartition("-")[2] != run.folder.name.rpartition("-")[2]
    assert len(again.inside) == 2
    for one, same in zip(again.inside, run.inside, strict=True):
        mine, theirs = saved_in(one)[0], saved_in(same)[0]
        equal = mine.keys() == theirs.keys() and all(
            np.array_equal(mine[name], theirs[name]) for name in mine
        )
        # What the fold tests, the other one learns from.
        assert equal == (same == fold)
    # No training is left behind, and all answers are.
    left = sorted(path.name for path in (nested(again).folder / "networks/short_chunk").iterdir())
    assert left == [f"{fold.fold}.{end}" for end in ("0.json", "1.json", "json")]
    assert fit_small_set(experiment, **options).folder == again.folder


def test_musicnn_is_fine_tuned_and_part_of_the_run(write_music, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    untrained = build(replace(NARROW, transfer="none"), n_mels=96, n_classes=50)
    params, buffers = untrained.init(jax.random.key(0))
    weights = {name: np.asarray(x) for name, x in (params | buffers).items()}
    write_weights(weights_file("MSD_musicnn"), weights)
    save(from_folder(write_music(tmp_path / "music", 4, 3.4)), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    # No training part has two artists of a label: no inner folds, and equal weights.
    run = trained(catalogue, tmp_path / "runs", "musicnn")
    shutil.rmtree(tmp_path / "home")
    store = FeatureStore.open(store_path(catalogue, run.experiment().features))
    for fold in run.inside:
        assert weights_of(fold)["musicnn, trained"] == 0.5
        dense = saved_in(fold)[0]["trained/0/0/params/dense/kernel"]
        assert dense.shape == weights["dense/kernel"].shape
        assert not np.array_equal(dense, weights["dense/kernel"])
        # Training answered from the outputs of the frozen layers, and the run does from samples.
        file = fold.folder / "networks/musicnn" / f"{fold.fold}.json"
        kept = json.loads(file.read_text())
        small = restore(fold.folder)._small
        assert small is not None
        (network,) = small.ensembles
        samples = store.read(kept["tracks"]), store.frames(kept["tracks"])
        rows = log_mel_rows(*samples, small.features, network.features, network.frames)
        np.testing.assert_allclose(network.probabilities(*rows), kept["probabilities"], atol=1e-5)


def test_the_experiments_of_networks():
    made = small_set("data", seed=5, model=SmallSetConfig(networks=NAMES, members=3))
    found = experiments_of(made)
    assert list(found) == list(NAMES)
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
    with pytest.raises(ConfigError, match="musicnn needs excerpts of 3 s"):
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
    row, frames = log_mel_row(y, stored, wanted, 187)
    alone, own = log_mel_row(y, stored, wanted, 1)
    assert (frames, own) == (187, 1 + round(60 * 512 * 16000 / 22050) // 256)
    np.testing.assert_array_equal(row[:187], np.resize(alone[:own], (187, 96)))
    assert row.shape == (wanted.row_frames, 96)


def test_the_command_takes_networks(job, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    flags = ["--features.clip-s", "3.2", "--features.n-frames", "128", "--runs", str(tmp_path)]
    typed = ["kit", "train", str(job.catalogue), "--recipe", "small", *flags]
    monkeypatch.setattr(sys, "argv", [*typed, "--model.networks", "musicnn"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "kit weights musicnn" in capfd.readouterr().err

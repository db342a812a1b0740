"""Networks among the candidates of the recipe for small sets, tiny ones, on tracks of 3.4 s."""

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
from kit.features import extract
from kit.features.heard import heard
from kit.models import build
from kit.shallow.networks import experiments_of
from kit.shallow.recipe import SmallSetConfig, small_set
from kit.training.checkpoint import Checkpoints
from kit.training.restore import template_of
from kit.weights.files import write_weights
from kit.weights.musicnn import weights_file

FEATURES = FeatureConfig(clip_s=3.2, n_frames=128)
NARROW = MusicnnConfig(4, (0.3,), 4, (8,), 4, 6, transfer="fine-tune")
SIMPLE = "tempo, loudness and spectrum, SVM"
ROWS = ("short_chunk, trained", "musicnn, trained")


def test_trained_networks_are_rows_of_the_table_and_parts_of_the_run(
    write_music, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    untrained = build(replace(NARROW, transfer="none"), n_mels=96, n_classes=50)
    params, buffers = untrained.init(jax.random.key(0))
    weights = {name: np.asarray(x) for name, x in (params | buffers).items()}
    write_weights(weights_file("MSD_musicnn"), weights)
    save(from_folder(write_music(tmp_path / "music", 4, 3.4)), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    model = SmallSetConfig(
        ("simple",),
        None,
        ("short_chunk", "musicnn"),
        epochs=1,
        short_chunk=ShortChunkConfig(width=1, depth=1),
        musicnn=NARROW,
    )
    # Each training part has one artist of each label: no inner folds, and equal weights.
    split = SplitConfig(folds=2)
    experiment = small_set(catalogue.folder, features=FEATURES, split=split, model=model)
    extract(catalogue, experiment.features)
    run = fit_small_set(experiment, catalogue=catalogue, runs=tmp_path / "runs")
    shutil.rmtree(tmp_path / "home")
    with Checkpoints(run.inside[0].checkpoints, read_only=True) as checkpoints:
        found = checkpoints.read("last", template_of)
    assert found is not None
    members = [len(one["members"]) for one in found.meta["small"]["trained"]]
    assert members == [2, 1]
    first, second = (found.state[f"trained/0/{n}/params/head/kernel"] for n in (0, 1))
    assert not np.array_equal(first, second)
    dense = found.state["trained/1/0/params/dense/kernel"]
    assert not np.array_equal(dense, weights["dense/kernel"])

    table = baselines(catalogue, run=run, choose={SIMPLE: 0.5, ROWS[0]: 0.5})
    rows = {row.name: row.probabilities for row in table.answers}
    expected = (rows[SIMPLE] + rows[ROWS[0]] + rows[ROWS[1]]) / 3
    # The run answers from samples; musicnn was asked with the outputs of its frozen layers.
    evaluation = evaluate(run, report=False)
    answered = {one["track_id"]: one["probabilities"] for one in evaluation["tracks"]}
    p = [list(answered[track].values()) for track in table.tracks["track_id"]]
    np.testing.assert_allclose(p, expected, atol=1e-5)
    # A learning curve would have to train networks anew.
    assert table.chosen == f"50% {SIMPLE} + 50% {ROWS[0]}"
    assert table.curve

    moved = shutil.copytree(run.folder, tmp_path / "elsewhere")
    shutil.rmtree(run.folder)
    last = evaluation["tracks"][-1]
    row = catalogue.table.set_index("track_id").loc[last["track_id"]].to_dict()
    of_file = kit.load(moved / f"fold-{last['fold']}").predict(catalogue.path_of(row))
    np.testing.assert_allclose(
        list(of_file.values()), list(last["probabilities"].values()), atol=1e-5
    )


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

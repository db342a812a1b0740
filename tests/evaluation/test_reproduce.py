"""The command that makes a run again, read by kit's own command line; runs on the same tracks."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kit.cli.app import main
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    MusicnnConfig,
    OptimiserConfig,
    SegmentConfig,
    ShortChunkConfig,
    SplitConfig,
    TrainConfig,
    model_class,
    to_dict,
)
from kit.defaults import DEMO, for_weights
from kit.evaluation.reproduce import configurations_tried, train_command
from kit.evaluation.words import tried
from kit.files import write_json
from kit.shallow.recipe import SmallSetConfig, small_set
from kit.training import Run

HEAD = MusicnnConfig(transfer="head", weights="MTT_musicnn")
PLACE = "data/my music"


@pytest.fixture
def typed(monkeypatch):
    """A function: a `kit train` as text -> the experiment that it would train."""
    taken = []

    def stage(experiment, *_, **__):
        taken.append(experiment)
        return SimpleNamespace(folder="runs/one")

    monkeypatch.setattr("kit.cli.stages.training.train", stage)
    monkeypatch.setattr("kit.cli.stages.training.say_next", lambda run: None)
    monkeypatch.setattr("kit.cli.train.require_catalogue", lambda folder: None)
    monkeypatch.setattr("kit.catalogue.load", lambda folder: None)

    def read(command):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return taken.pop()

    return read


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "experiment",
    [
        replace(DEMO, catalogue=PLACE),
        Experiment(
            "mine",
            PLACE,
            FeatureConfig(FrontendConfig(htk=True, center=False, fmax=8000.0, norm=None)),
            SplitConfig(by="label boss", shuffle_labels=True, validation_fraction=0.0),
            SegmentConfig(pad=True),
            Conv1DConfig(channels=(8, 16)),
            TrainConfig(patience=3, optimiser=OptimiserConfig(name="adamw", clip_norm=0.5)),
        ),
        Experiment("short", PLACE, model=ShortChunkConfig(pooling="mean")),
        Experiment("train", PLACE, model=HEAD, **for_weights(HEAD)),
        small_set(
            PLACE,
            name="recipe",
            seed=3,
            features=FeatureConfig(position="start"),
            split=SplitConfig(folds=4),
            model=SmallSetConfig(vectors=("mfcc",), weights=None),
        ),
    ],
    ids=lambda experiment: experiment.name,
)
def test_the_command_line_reads_the_same_experiment(typed, experiment):
    assert typed(train_command(experiment)) == experiment


@pytest.mark.no_cover
def test_a_network_of_ones_own_is_named_by_its_file(typed):
    file = Path(__file__).parents[2] / "experiments" / "own_model.py"
    experiment = Experiment("train", PLACE, model=model_class(f"{file}:Mine")(width=4))
    command = train_command(experiment)
    assert "--model.width 4" in command
    assert to_dict(typed(command)) == to_dict(experiment)


def test_defaults_are_not_repeated():
    assert train_command(Experiment("train", "data/mine")) == "kit train data/mine"
    other = Experiment("train", "data/mine", train=TrainConfig(epochs=7))
    assert train_command(other) == "kit train data/mine --train.epochs 7"


def test_configurations_on_the_same_test_tracks_are_counted(tmp_path):
    tracks = [{"track_id": str(i), "label": "ab"[i % 2]} for i in range(6)]
    other = [{**track, "label": "a"} for track in tracks]

    def run(name, experiment, scored):
        folder = tmp_path / "runs" / name
        write_json(folder / "config.json", {"experiment": to_dict(experiment)})
        write_json(folder / "evaluation.json", {"tracks": scored})
        return Run(folder)

    own = run("one/1", Experiment("one"), tracks)
    assert configurations_tried(own, tracks) == 1
    run("one/2", Experiment("one", catalogue="elsewhere"), tracks[::-1])  # the same configuration
    run("two/1", Experiment("two", train=TrainConfig(epochs=3)), tracks)
    run("two/2", Experiment("two", train=TrainConfig(epochs=4)), other)
    run("two/3", Experiment("two", train=TrainConfig(epochs=5)), tracks[1:])
    (tmp_path / "runs/two/4").mkdir()
    (tmp_path / "runs/two/4/evaluation.json").write_text("[")
    assert configurations_tried(own, tracks) == 2
    run("two/5", Experiment("two", train=TrainConfig(seed=1)), tracks)
    assert configurations_tried(own, tracks) == 3
    assert tried({"configurations_tried": 3}).startswith("3 configurations in this folder")
    assert tried({}) == ""

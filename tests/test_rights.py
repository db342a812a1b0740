"""No training on audio from Spotify without a word: on no road."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kit
from kit.catalogue import load
from kit.catalogue.io import write_table
from kit.catalogue.rights import FLAG, from_spotify, require_rights
from kit.cli import main
from kit.cli.script import run_script
from kit.cli.stages.training import train
from kit.config import TrainConfig, to_dict
from kit.errors import UsageError
from kit.evaluation.baselines.table import BaselineConfig, score_table
from kit.experiment import fit as whole
from kit.features import FeatureStore, store_path
from kit.training import fit

REFUSAL = rf"have audio from Spotify.*Developer Policy, section III\.14.*{FLAG}"


@pytest.fixture
def theirs(job, tmp_path, monkeypatch):
    """The small job's catalogue and experiment, with two tracks' audio from Spotify."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    folder = tmp_path / "data"
    shutil.copytree(job.catalogue, folder)
    mark(folder, 2)
    return dataclasses.replace(
        job.experiment,
        catalogue=str(folder),
        train=dataclasses.replace(job.experiment.train, epochs=1),
    )


def mark(folder, count, source="spotify"):
    table = load(folder).table
    table["audio_source"] = [source] * count + [""] * (len(table) - count)
    write_table(table, folder)


def sweep_of_one(experiment, **options):
    return next(kit.sweep(experiment, {"train.seed": [0]}, **options))


def config(trained):
    return json.loads((trained.folder / "config.json").read_text())


def test_rows_that_count(job):
    table = load(job.catalogue).table
    assert from_spotify(table) == 0
    assert from_spotify(table.assign(audio_source="a.example")) == 0
    assert from_spotify(table.assign(audio_source=" Spotify")) == 16
    assert require_rights(table, Path("data"), stated=False) == ""
    assert require_rights(table, Path("data"), stated=True) == ""


def test_the_library_stops(theirs, tmp_path):
    with pytest.raises(UsageError, match=f"^2 of the 16 tracks in .* {REFUSAL}"):
        fit(theirs, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_statement_stays_with_the_run(theirs, job, tmp_path):
    runs = tmp_path / "runs"
    trained = fit(theirs, runs=runs, rights=True)
    (statement,) = config(trained)["statements"]
    assert statement.startswith("2 of the 16 tracks have audio from Spotify")
    assert FLAG in statement
    assert trained.experiment() == theirs
    # No part of what names the run, and stated once however often it is said.
    assert config(trained)["experiment"] == to_dict(theirs)
    assert fit(theirs, runs=runs, rights=True) == trained
    assert len(config(trained)["statements"]) == 1
    # A run that is there is no leave to go on with it.
    with pytest.raises(UsageError, match=REFUSAL):
        fit(theirs, runs=runs)


def test_a_run_from_before_gets_the_statement(theirs, tmp_path):
    folder = Path(theirs.catalogue)
    mark(folder, 0)
    trained = fit(theirs, runs=tmp_path / "runs")
    assert "statements" not in config(trained)
    mark(folder, 3)
    assert fit(theirs, runs=tmp_path / "runs", rights=True) == trained
    assert config(trained)["statements"][0].startswith("3 of the 16")


def test_ones_own_audio_needs_no_word(theirs, tmp_path):
    mark(Path(theirs.catalogue), 16, "a.example")
    assert "statements" not in config(fit(theirs, runs=tmp_path / "runs", rights=True))


def test_rows_without_features_are_not_trained_on(theirs, tmp_path):
    folder = Path(theirs.catalogue)
    table = load(folder).table
    more = table.iloc[:1].assign(track_id="new", path="", source_hash="", audio_source="spotify")
    table["audio_source"] = ""
    write_table(type(table)([*table.to_dict("records"), *more.to_dict("records")]), folder)
    assert train(theirs, load(folder), runs=tmp_path / "runs").folder.is_dir()


def test_a_training_stops_before_the_work(theirs, tmp_path):
    shutil.rmtree(Path(theirs.catalogue) / "features")
    with pytest.raises(UsageError, match=REFUSAL):
        train(theirs, load(theirs.catalogue), runs=tmp_path / "runs")
    for road in (whole, sweep_of_one):
        with pytest.raises(UsageError, match=REFUSAL):
            road(theirs, runs=tmp_path / "runs")
    assert not FeatureStore.exists(store_path(load(Path(theirs.catalogue)), theirs.features))


def test_the_command_line(theirs, tmp_path, monkeypatch, capfd):
    features = theirs.features
    command = [
        *("kit", "train", theirs.catalogue, "--runs", str(tmp_path / "runs")),
        *("--features.frontend.sample-rate", str(features.frontend.sample_rate)),
        *("--features.frontend.n-fft", "512", "--features.frontend.hop-length", "256"),
        *("--features.frontend.n-mels", "16", "--features.n-frames", "32"),
        *("--features.clip-s", "1.1", "--segments.frames", str(theirs.segments.frames)),
        *("--model.channels", "8", "--model.kernel-size", "3", "--model.dense", "8"),
        *("--split.test-fraction", "0.25", "--split.validation-fraction", "0.2"),
        *("--train.epochs", "1"),
    ]
    for more, code in (([], 2), ([FLAG], 0)):
        monkeypatch.setattr(sys, "argv", command + more)
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        assert (caught.value.code or 0) == code
        if code:
            (line,) = err.splitlines()
            assert line.startswith("kit: 2 of the 16 tracks")
            assert "section III.14" in line
            assert FLAG in line
    run_folder = Path(out.strip())
    assert len(json.loads((run_folder / "config.json").read_text())["statements"]) == 1


def test_a_script_of_an_experiment(theirs, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["script.py", "--name", "mine"])
    with pytest.raises(SystemExit) as caught:
        run_script(theirs)
    assert caught.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(f"^kit: 2 of the 16 tracks in .* {REFUSAL}", line)
    monkeypatch.setattr(sys, "argv", ["script.py", "--name", "mine", FLAG, "--train.seed", "3"])
    done = run_script(theirs)
    assert done.folder.parent == Path("runs/mine")
    assert len(config(done)["statements"]) == 1
    assert done.experiment().train == TrainConfig(**(theirs.train.__dict__ | {"seed": 3}))
    assert (done.folder / "report.html").is_file()


# --- features from Spotify, without any audio

BY_FEATURES = Path(__file__).parents[1] / "experiments/audio_features.py"


def score(table, *more):
    command = [sys.executable, str(BY_FEATURES), str(table), "--folds", "3", *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def table(tmp_path):
    """A function: changed columns to a CSV of 60 tracks of two labels by 20 artists, with ids as
    Spotify's."""

    def write(**columns):
        rng = np.random.default_rng(0)
        rows = pd.DataFrame({"track_id": [f"{n:022d}" for n in range(60)]})
        rows["label"], rows["artists"] = ["a", "b"] * 30, [f"artist {n // 3}" for n in range(60)]
        rows["energy"], rows["tempo"] = rng.random(60), rng.normal(125, 4, 60)
        rows.assign(**columns).to_csv(tmp_path / "tracks.csv", index=False)
        return tmp_path / "tracks.csv"

    return write


def test_features_from_spotify_stop_the_experiment_on_tables(table, tmp_path):
    file, out = table(feature_source=["spotify"] * 40 + [""] * 20), tmp_path / "out"
    done = score(file, "--out", out)
    assert done.returncode == 2
    said = rf"^kit: 40 of the 40 tracks in {file} have audio features from Spotify.*III\.14.*{FLAG}"
    assert re.search(said, done.stderr)
    assert not out.exists()
    done = score(file, "--out", out, FLAG)
    assert done.returncode == 0, done.stderr
    (statement,) = json.loads((out / "baselines.json").read_text())["statements"]
    assert statement.startswith("40 of the 40 tracks have audio features from Spotify")


def test_features_measured_on_audio_from_spotify_stop_it_too(table, tmp_path):
    file = table(feature_source="kit-proxy-1", audio_source=["spotify"] * 5 + [""] * 55)
    config, out = BaselineConfig(folds=3), tmp_path / "out"
    with pytest.raises(UsageError, match=f"^5 of the 60 tracks in .* {REFUSAL}"):
        score_table(file, config, out=out)
    score_table(file, config, out=out, rights=True)
    (statement,) = json.loads((out / "baselines.json").read_text())["statements"]
    assert statement.startswith("5 of the 60 tracks have audio from Spotify")


def test_what_is_not_trained_on_needs_no_word(table, tmp_path):
    columns = {"feature_source": ["spotify"] * 10 + ["kit-proxy-1"] * 50}
    for change in ({}, {"energy": [None] * 10 + [0.5] * 50, "tempo": [None] * 10 + [120.0] * 50}):
        score_table(table(**columns, **change), BaselineConfig(folds=3), out=tmp_path / "out")
    with pytest.raises(UsageError, match="10 of the 10 tracks"):
        score_table(table(**columns), out=tmp_path / "out", source="spotify")
    assert json.loads((tmp_path / "out/baselines.json").read_text())["statements"] == []


@pytest.mark.parametrize(
    ("columns", "noted"),
    [
        ({}, True),
        ({"track_id": [f"t{n}" for n in range(60)]}, False),
        ({"feature_source": "kit-proxy-1"}, False),
    ],
)
def test_a_table_that_does_not_name_the_source_of_its_features(table, tmp_path, columns, noted):
    said = score_table(table(**columns), BaselineConfig(folds=3), out=tmp_path / "out")
    assert said[0].startswith("note: the tracks have Spotify ids") == noted
    assert ("III.14" in said[0]) == noted


def test_every_script_trains_by_this_road():
    scripts = sorted((Path(__file__).parents[1] / "experiments").glob("*.py"))
    assert scripts
    for script in scripts:
        text = script.read_text()
        assert "kit.training" not in text, script
        assert "tyro.cli" not in text, script

"""Folds and members: one run for each, that resume as one training does."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest

from kit.catalogue import load
from kit.config import Experiment, SplitConfig, TrainConfig, replaced, to_json
from kit.errors import KitError, UsageError
from kit.training import Run, fit, listing, locate, restore
from kit.training.folders import identity
from tests.training.saved import saved

TIMES = ("seconds", "segments_per_s")
FOLDS = SplitConfig(folds=2, validation_fraction=0.2)
PLACES = ["fold-0/member-0", "fold-0/member-1", "fold-1/member-0", "fold-1/member-1"]


@pytest.fixture(scope="module")
def folded(experiment):
    """Two folds of two members each, two epochs long."""
    return dataclasses.replace(experiment(epochs=2, members=2), split=FOLDS)


@pytest.fixture(scope="module")
def uninterrupted(folded, tmp_path_factory):
    return fit(folded, runs=tmp_path_factory.mktemp("folded"))


def assert_same(a, b):
    """Two trained networks, or all of two runs, have the same parameters and metrics."""
    assert len(a.trainings) == len(b.trainings)
    for one, two in zip(a.trainings, b.trainings, strict=True):
        jax.tree.map(np.testing.assert_array_equal, saved(one).state, saved(two).state)
        rows = [
            [{k: v for k, v in row.items() if k not in TIMES} for row in run.metrics()]
            for run in (one, two)
        ]
        assert rows[0] == rows[1]


def places(run):
    return [str(one.folder.relative_to(run.folder)) for one in run.trainings]


def test_each_fold_and_member_is_a_run_of_its_own(folded, uninterrupted, catalogue):
    run = uninterrupted
    assert run.finished()
    assert run.is_folded
    assert run.experiment() == folded
    assert places(run) == PLACES
    assert listing(run.folder.parents[1]) == [run]  # and not those inside it
    folds = run.folds()
    assert set(folds["track_id"]) == set(load(catalogue).table["track_id"])
    for fold in run.inside:
        assert locate(fold.folder) == fold
        parts = fold.split()
        tested = parts.loc[parts["part"] == "test", "track_id"].tolist()
        assert tested == folds.loc[folds["fold"] == fold.fold, "track_id"].tolist()
        assert set(parts["part"]) == {"train", "validation", "test"}
        for number, member in enumerate(fold.inside):
            assert member.split().equals(parts)
            assert member.experiment().train.seed == number
            assert member.experiment().train.members == 1
            assert member.experiment().split == FOLDS
            assert len(member.metrics()) == 2
            assert restore(member.folder, "last").step == member.metrics()[-1]["step"]


def test_a_member_is_the_training_of_its_seed(experiment, tmp_path):
    run = fit(experiment(epochs=1, members=2, seed=4), runs=tmp_path)
    assert places(run) == ["member-0", "member-1"]
    assert not run.is_folded
    for number, member in enumerate(run.inside):
        assert_same(member, fit(experiment(epochs=1, seed=4 + number), runs=tmp_path))
    states = [saved(member).state.params for member in run.inside]
    assert not np.array_equal(states[0]["head/kernel"], states[1]["head/kernel"])


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_stopped_in_and_between_folds_and_members_it_ends_in_the_same_bits(
    folded, uninterrupted, tmp_path
):
    """Ctrl-C in a first epoch, in the step after a checkpoint, and before a network's first step;
    what is finished is not touched again."""
    per_epoch = uninterrupted.trainings[0].metrics()[0]["step"]
    stops = [(0, 1), (0, per_epoch + 1), (1, 1), (1, 2 * per_epoch), (2, per_epoch + 1), (3, 1)]
    kept: dict = {}
    for trained, step in stops:
        seen = []

        def stop(progress, trained=trained, step=step, seen=seen):
            seen.append(progress)
            if (progress.trained, progress.step) == (trained, step):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(folded, runs=tmp_path, progress=stop)
        (run,) = listing(tmp_path)
        assert not run.finished()
        assert {p: p.stat().st_mtime_ns for p in kept} == kept
        finished = [one.finished() for one in run.trainings]
        assert finished == [number < trained for number in range(4)]
        kept = {
            path: path.stat().st_mtime_ns
            for one in run.trainings[:trained]
            for path in one.folder.rglob("*")
        }
        assert seen[-1].place == f"fold {trained // 2 + 1}/2, member {trained % 2 + 1}/2"
        assert (seen[-1].networks, seen[-1].done) == (4, trained * seen[-1].total_steps + step)
    assert fit(folded, runs=tmp_path) == run
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert run.finished()
    assert_same(uninterrupted, run)


KILLED = """
import os, signal, sys
from kit.config import Experiment, from_json
from kit.training import fit

def progress(p):
    if (p.trained, p.step) == (int(sys.argv[3]), int(sys.argv[4])):
        os.kill(os.getpid(), signal.SIGKILL)

fit(from_json(Experiment, sys.argv[1]), runs=sys.argv[2], progress=progress)
"""


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_killed_in_a_later_fold_it_ends_in_the_same_bits(folded, uninterrupted, tmp_path):
    at = uninterrupted.trainings[0].metrics()[0]["step"] + 1
    command = [sys.executable, "-c", KILLED, to_json(folded), str(tmp_path), "2", str(at)]
    child = subprocess.run(command, env=os.environ, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    (run,) = listing(tmp_path)
    assert [one.finished() for one in run.trainings] == [True, True, False, False]
    fit(folded, runs=tmp_path)
    assert_same(uninterrupted, run)


def test_a_finished_run_is_found_and_nothing_is_written(folded, uninterrupted):
    before = {p: p.stat().st_mtime_ns for p in uninterrupted.folder.rglob("*")}
    assert fit(folded, runs=uninterrupted.folder.parents[1]) == uninterrupted
    assert {p: p.stat().st_mtime_ns for p in uninterrupted.folder.rglob("*")} == before


def test_the_mean_of_probabilities_is_the_answer(uninterrupted):
    segments = np.random.default_rng(0).normal(-40, 5, (5, 16, 8)).astype(np.float32)
    for run in (uninterrupted, uninterrupted.inside[1]):
        each = [np.exp(restore(one.folder).log_probabilities(segments)) for one in run.trainings]
        whole = restore(run.folder)
        got = np.exp(whole.log_probabilities(segments))
        np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=1e-6)
        # The mean of logits is another one.
        logits = np.mean(np.log(each), axis=0)
        other = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        assert np.abs(got - other).max() > 1e-5
        assert len(whole.step) == len(each)
        assert whole.experiment == run.experiment()
    assert restore(uninterrupted.folder).train_counts == (12, 12)


def test_a_network_that_is_not_trained_yet_has_no_answer(folded, tmp_path):
    def stop(progress):
        if progress.trained == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(folded, runs=tmp_path, progress=stop)
    (run,) = listing(tmp_path)
    with pytest.raises(UsageError, match=r"member-1 has no checkpoint yet; run the same"):
        restore(run.folder)


def test_official_folds_come_from_a_column(experiment, catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "data")
    table = pd.read_csv(copy / "tracks.csv", dtype=str, keep_default_na=False)
    table["set"] = [("a", "b", "c")[i // 2 % 6 // 2] for i in range(len(table))]
    table.to_csv(copy / "tracks.csv", index=False)
    config = dataclasses.replace(
        experiment(epochs=1),
        catalogue=str(copy),
        split=SplitConfig(fold_column="set", validation_fraction=0.0),
    )
    run = fit(config, runs=tmp_path / "runs")
    assert places(run) == ["fold-a", "fold-b", "fold-c"]
    assert run.folds()["fold"].tolist() == table["set"].tolist()
    assert run.facts()["kept_apart"]["in_words"] == (
        "Folds of the column set: none of the 12 groups by artist lies in two of them"
    )
    # Folds that cut an artist are refused, before a run is made.
    table["set"] = table.groupby("artists").cumcount().map(("a", "b", "c").__getitem__)
    table.to_csv(copy / "tracks.csv", index=False)
    with pytest.raises(UsageError, match=r"in several folds .*--split.allow-leaks"):
        fit(config, runs=tmp_path / "cut")
    assert listing(tmp_path / "cut") == []
    table["set"] = [("a", "b", "c")[i // 2 % 6 // 2] for i in range(len(table))]
    # Other folds in the column are another experiment.
    table["set"] = table["set"].map({"a": "b", "b": "a", "c": "c"})
    table.to_csv(copy / "tracks.csv", index=False)
    assert fit(config, runs=tmp_path / "runs") != run


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("split.folds", 7, "'edm' has only 6 artists .12 tracks., and each of the 7 folds"),
        ("train.patience", 1, "no track is in the validation part"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_run_is_made(
    folded, tmp_path, path, value, words
):
    config = replaced(folded, "split.validation_fraction", 0.0)
    with pytest.raises(UsageError, match=words):
        fit(replaced(config, path, value), runs=tmp_path)
    assert listing(tmp_path) == []


def test_statements_are_kept_by_all_and_a_damaged_table_is_said(uninterrupted, tmp_path):
    run = Run(shutil.copytree(uninterrupted.folder, tmp_path / "run"))
    run.add_statements(["mine"])
    assert {one.statements for one in (run, *run.inside, *run.trainings)} == {("mine",)}
    (run.folder / "folds.csv").write_text("track_id\n")
    with pytest.raises(KitError, match=r"folds.csv is damaged"):
        run.folds()


def test_one_network_has_the_identity_that_it_had_before_there_were_folds(
    experiment, whole, tmp_path
):
    table = {"track_id": ["b", "a"], "label": ["x", "y"], "group": ["1", "2"]}
    parts = pd.DataFrame({**table, "part": ["train", "test"]})
    sources = {"a": "0" * 64, "b": "1" * 64}
    assert identity(Experiment(), sources, parts) == "f9128c6d"
    other = Experiment(name="n", train=TrainConfig(seed=7, epochs=3), split=SplitConfig(by="track"))
    assert identity(other, sources, parts, "code") == "9a3f305c"
    assert identity(replaced(other, "train.members", 2), sources, parts, "code") != "9a3f305c"
    # A run of before, whose configuration lacks the fields, is found and read.
    run = Run(shutil.copytree(whole.folder, tmp_path / "small" / whole.folder.name))
    config = json.loads((run.folder / "config.json").read_text())
    for stage, name in (("split", "folds"), ("split", "fold_column"), ("train", "members")):
        del config["experiment"][stage][name]
    (run.folder / "config.json").write_text(json.dumps(config))
    assert fit(experiment(), runs=tmp_path) == run
    assert run.experiment() == experiment()
    assert run.trainings == [run]
    assert not run.is_folded

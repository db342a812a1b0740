"""Out-of-fold predictions of a run of folds, and answers of several members."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import kit
from kit.config import SplitConfig
from kit.errors import UsageError
from kit.evaluation import evaluate, evaluation_in_words
from kit.evaluation.certainty import thresholds_of
from kit.evaluation.confounds.measure import confounds
from kit.evaluation.folds import mean_metrics
from kit.predict import load
from kit.training import Run, fit
from tests.page import Page

from .documented import require_documented


@pytest.fixture(scope="module")
def folded(job, tmp_path_factory):
    """Two folds of two members each, on the small job's tracks, and their evaluation."""
    experiment = dataclasses.replace(
        job.experiment,
        split=SplitConfig(folds=2, validation_fraction=0.2),
        train=dataclasses.replace(job.experiment.train, epochs=3, members=2),
    )
    calls = []
    run = fit(experiment, runs=tmp_path_factory.mktemp("folded"))
    result = evaluate(run, progress=lambda *at: calls.append(at))
    assert calls[-1] == (16, 16)
    return run, result


def test_each_track_is_answered_by_the_network_that_has_not_learned_from_it(job, folded):
    run, result = folded
    folds = run.folds()
    assert [t["track_id"] for t in result["tracks"]] == folds["track_id"].tolist()
    assert [t["fold"] for t in result["tracks"]] == folds["fold"].tolist()
    models = {fold.fold: load(fold.folder) for fold in run.inside}
    for row in result["tracks"]:
        fold = models[row["fold"]]
        split = Run(run.folder / f"fold-{row['fold']}").split().set_index("track_id")
        assert split.loc[row["track_id"], "part"] == "test"
        answer = fold.predict(job.music / row["path"])
        assert answer == pytest.approx(row["probabilities"], abs=1e-5)
    assert result["seen"] == {"train": 0, "validation": 0, "unseen": 16}


def test_the_scores_of_all_folds_add_up(folded):
    run, result = folded
    assert json.loads((run.folder / "evaluation.json").read_text()) == result
    assert "folds[].segment_accuracy" in require_documented(result)
    assert result["track"]["n"] == 16
    each = result["folds"]
    assert [row["fold"] for row in each] == ["0", "1"]
    for name in ("n", "correct"):
        assert sum(row[name] for row in each) == result["track"][name]
    assert sum(row["segments"] for row in each) == result["segment"]["n"]
    right = sum(row["segment_accuracy"] * row["segments"] for row in each)
    assert right == pytest.approx(result["segment"]["correct"])
    loss = np.average([row["log_loss"] for row in each], weights=[row["n"] for row in each])
    assert loss == pytest.approx(result["track"]["log_loss"])
    assert np.sum(result["track"]["confusion"]) == 16
    assert [len(row["step"]) for row in each] == [2, 2]
    assert len(result["checkpoint"]["step"]) == 4
    assert result["split"] == {f"fold {i}": {"high": 4, "low": 4} for i in range(2)}
    # The scores of a fold alone are a row of the scores of all folds.
    alone = evaluate(run.inside[1], report=False)
    assert alone["track"]["accuracy"] == each[1]["accuracy"]
    assert alone["track"]["log_loss"] == each[1]["log_loss"]
    assert run.scores.query("level == 'track'")["n"].tolist() == [16]


def test_four_networks_are_calibrated_as_one_run(folded, job):
    run, result = folded
    thresholds, missing = thresholds_of(run.folder, load(run.folder).restored, risk=0.2)
    assert "which take 9 artists" in missing
    # Eight artists are enough for a risk of 20%, and too few for sets of 90%.
    assert (thresholds.factor, thresholds.in_set) == (result["calibration"]["factor"], None)
    answer = load(run.folder).predict(job.music / "high/00.flac")
    assert thresholds.verdict(answer).uncertain is not None


def test_the_predictions_are_a_table(folded):
    run, result = folded
    table = pd.read_csv(run.folder / "out_of_fold.csv", dtype={"fold": str})
    assert list(table.columns) == [
        *("track_id", "label", "fold", "predicted", "probability"),
        *("p_high", "p_low"),
    ]
    np.testing.assert_allclose(table["p_high"] + table["p_low"], 1, rtol=1e-6)
    for name in ("track_id", "label", "fold", "predicted", "probability"):
        assert table[name].tolist() == [row[name] for row in result["tracks"]]


def test_the_report_and_the_words_tell_the_folds(folded):
    run, result = folded
    text = (run.folder / "report.html").read_text()
    assert "Fold by fold" in text
    assert "by the network trained without it" in text
    assert "best checkpoints of 4 networks" in text
    assert "Means over the 4 networks" in text
    assert Page(run.folder / "report.html").all("audio")
    said = " ".join(evaluation_in_words(result))
    assert f"{result['track']['correct']} of 16 tracks right" in said
    assert "2 folds: " in said
    assert "Folds by artist: 8 artists, none in two folds." in said
    rows = mean_metrics(run)
    assert [(row["epoch"], row["networks"]) for row in rows] == [(1, 4), (2, 4), (3, 4)]
    assert rows[0]["train_loss"] == pytest.approx(
        np.mean([one.metrics()[0]["train_loss"] for one in run.trainings])
    )


def test_tracks_without_features_are_counted(folded, job, tmp_path):
    run, _ = folded
    copy = Run(shutil.copytree(run.folder, tmp_path / "run"))
    data = shutil.copytree(job.catalogue, tmp_path / "data")
    table = pd.read_csv(data / "tracks.csv", dtype=str, keep_default_na=False)
    table.iloc[3:].to_csv(data / "tracks.csv", index=False)
    result = evaluate(copy, catalogue=data, report=False)
    assert result["track"]["n"] == 13
    assert result["not_scored"] == {"not_in_catalogue": 3, "no_features": 0}


def test_a_probe_asks_the_network_that_has_not_learned_from_the_track(folded, tmp_path):
    run, result = folded
    copy = Run(shutil.copytree(run.folder, tmp_path / "run"))
    found = confounds(copy, families=("level",))
    predicted = {row["track_id"]: row["predicted"] for row in result["tracks"]}
    assert found["answers"]["unchanged"] == predicted
    assert [row["fold"] for row in found["tracks"]] == [row["fold"] for row in result["tracks"]]
    assert found["checkpoint"] == result["checkpoint"]
    # 0 dB is the peak of the clip, so that no level is heard.
    assert found["answers"]["level +6 dB"] == found["answers"]["unchanged"]


def test_the_other_parts_belong_to_a_fold_and_all_tracks_were_learned_from(folded):
    run, _ = folded
    for part in ("train", "validation"):
        with pytest.raises(UsageError, match=rf"fold-0 --part {part}"):
            evaluate(run, part=part)
    assert evaluate(run, part="all", report=False)["seen"]["train"] == 16
    fold = evaluate(run.inside[0], part="train", report=False)
    assert fold["track"]["n"] == fold["seen"]["train"] < 8


def test_folds_of_arrays_are_scored_too(job, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = rng.normal(size=(24, 12, 4)).astype(np.float32)
    options = {
        "groups": [f"artist {i // 2}" for i in range(24)],
        "model": job.experiment.model,
        "train": dataclasses.replace(job.experiment.train, epochs=1),
        "split": SplitConfig(folds=3, validation_fraction=0.0),
        "runs": tmp_path,
    }
    run = kit.fit_arrays(x, y, **options)
    result = json.loads((run.folder / "evaluation.json").read_text())
    assert result["track"]["n"] == 24
    for fold in run.inside:
        at = np.flatnonzero(fold.split()["part"] == "test")
        assert len(at) == 8
        answers = load(fold.folder).predict_features(x[at])
        for number, answer in zip(at, answers, strict=True):
            assert result["tracks"][number]["probabilities"] == pytest.approx(answer, abs=1e-5)
    before = (run.folder / "evaluation.json").stat().st_mtime_ns
    assert kit.fit_arrays(x, y, **options) == run
    assert (run.folder / "evaluation.json").stat().st_mtime_ns == before

"""How sure answers are, from evaluation to prediction, and doubtful labels back into a scan."""

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import log_softmax

import kit
from kit.catalogue import from_folder, load, save
from kit.config import SplitConfig
from kit.errors import KitError
from kit.evaluation import evaluate
from kit.evaluation.certainty import Certainty, Thresholds, groups_needed
from kit.evaluation.conformal import answer_threshold, set_threshold
from kit.evaluation.measured_certainty import measured
from kit.evaluation.sections import certainty_in_words, sentences
from kit.features import extract
from kit.training import Run, fit
from tests.conftest import RATE, tone
from tests.page import Page

from .documented import require_documented

ARTISTS = 26
MOVED = ("03-1", "08-0")


def write_tones(folder, moved=(), seed=0):
    """Two tracks of each of 26 artists: low tones, high ones, and some in the wrong folder."""
    rng = np.random.default_rng(seed)
    for artist in range(ARTISTS):
        for track in range(2):
            high, name = artist % 2, f"{artist:02d}-{track}"
            hertz = (250, 1500)[high] * np.exp(rng.normal(0, 0.15))
            place = folder / ("low", "high")[high ^ (name in moved)] / f"{name}.flac"
            place.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(place, tone(hertz, 1.3, 100 * seed + 2 * artist + track), RATE)
            tags = mutagen.File(place)
            tags["artist"], tags["title"] = f"Artist {seed} {artist}", f"Track {track}"
            tags.save()


@dataclasses.dataclass(frozen=True)
class Judged:
    music: Path
    catalogue: Path
    run: Path
    result: dict


@pytest.fixture(scope="module")
def judged(job, tmp_path_factory):
    """A run of two folds on tracks of which two have the wrong label, evaluated."""
    root = tmp_path_factory.mktemp("judged")
    write_tones(root / "music", MOVED)
    save(from_folder(root / "music"), root / "data")
    extract(load(root / "data"), job.experiment.features)
    experiment = dataclasses.replace(
        job.experiment,
        name="judged",
        catalogue=str(root / "data"),
        split=SplitConfig(folds=2, validation_fraction=0.2),
        train=dataclasses.replace(job.experiment.train, epochs=8),
    )
    run = fit(experiment, runs=root / "runs")
    return Judged(root / "music", root / "data", run.folder, evaluate(run))


def test_thresholds_of_a_fold_come_from_the_other_folds(judged):
    result, kept = judged.result, Certainty.read(judged.run, judged.result["checkpoint"]["step"])
    keys = require_documented(result)
    assert {"sets[].covered_by_group", "certain.least", "doubtful[].suggested"} <= keys
    tracks = result["tracks"]
    p = np.array([[t["probabilities"][name] for name in result["labels"]] for t in tracks])
    y = np.array([result["labels"].index(t["label"]) for t in tracks])
    fold = np.array([t["fold"] for t in tracks])
    groups = Run(judged.run).folds()["group"].to_numpy(str)
    taken = np.zeros(p.shape, bool)
    for own in (fold == "0", fold == "1"):
        true = p[~own, y[~own]]
        taken[own] = p[own] >= set_threshold(true, groups[~own], 0.9)
    taken[np.arange(len(y)), p.argmax(axis=1)] = True
    (row, _), certain = result["sets"], result["certain"]
    assert row["covered"] == taken[np.arange(len(y)), y].mean() > 0.8
    assert row["size"] == pytest.approx(taken.sum(axis=1).mean())
    assert row["one"] == pytest.approx((taken.sum(axis=1) == 1).mean())
    by_group = pd.Series(taken[np.arange(len(y)), y]).groupby(groups).mean()
    assert row["covered_by_group"] == pytest.approx(by_group.mean())
    assert row["calibrated_on"] == row["groups"] == kept.groups == ARTISTS
    # Predictions use all folds.
    assert row["least"] == pytest.approx(set_threshold(p[np.arange(len(y)), y], groups, 0.9))
    assert kept.thresholds().in_set == pytest.approx(row["least"])
    assert kept.right.tolist() == (p.argmax(axis=1) == y).tolist()
    assert kept.factor == result["calibration"]["factor"]
    assert certain["least"] == answer_threshold(kept.answer, kept.right, groups, 0.1)
    assert 0 < certain["certain"] <= certain["n"] == len(y)


def test_a_prediction_says_how_sure_it_is(judged, command):
    files = sorted((judged.music / "low").iterdir())[:4]
    code, out, err = command("predict", judged.run, *files)
    assert (code, err) == (0, "")
    factor, least = (judged.result["calibration"]["factor"], judged.result["sets"][0]["least"])
    rows = [json.loads(line) for line in out.splitlines()]
    model = kit.load(judged.run)
    for file, row in zip(files, rows, strict=True):
        # The raw probabilities are what they were.
        assert row["probabilities"] == pytest.approx(model.predict(file), abs=1e-5)
        log_p = np.log(sorted(row["probabilities"].values()))
        assert row["calibrated"] == pytest.approx(np.exp(log_softmax(factor * log_p))[-1], abs=1e-4)
        assert row["uncertain"] is bool(row["calibrated"] < judged.result["certain"]["least"])
        more = [n for n, p in row["probabilities"].items() if p >= least and n != row["label"]]
        assert row["labels"] == [row["label"], *more]
    table = list(
        csv.DictReader(io.StringIO(command("predict", judged.run, *files, "--format", "csv")[1]))
    )
    assert list(table[0])[4:8] == ["probability", "calibrated", "uncertain", "labels"]
    assert list(table[0])[-2:] == ["high", "low"]
    assert [row["uncertain"] for row in table] == [str(row["uncertain"]).lower() for row in rows]
    assert [row["labels"] for row in table] == ["; ".join(row["labels"]) for row in rows]
    # A risk that no answer of few artists meets.
    _, out, err = command("predict", judged.run, files[0], "--risk", "0.001")
    assert json.loads(out)["uncertain"] is None
    assert "which take 999 artists" in err
    _, out, _ = command("predict", judged.run, files[0], "--format", "table", "--risk", "0.9")
    assert "uncertain" not in out
    code, _, err = command("predict", judged.run, files[0], "--risk", "1")
    assert (code, err) == (2, "kit: --risk is 1; it must be between 0 and 1, such as 0.1\n")


def test_a_run_without_an_evaluation_says_what_to_do(judged, command, job, tmp_path):
    run = shutil.copytree(judged.run, tmp_path / "run")
    file = judged.music / "high/01-0.flac"
    (run / "calibration.json").unlink()
    _, out, err = command("predict", run, file)
    row = json.loads(out)
    assert (row["calibrated"], row["uncertain"], row["labels"]) == (None, None, None)
    assert "this network was not evaluated" in err
    assert f"run `kit evaluate {run}`" in err
    _, out, _ = command("predict", run, file, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["calibrated"], row["uncertain"], row["labels"]) == ("", "", "")
    # Another checkpoint than the one that was evaluated.
    known = json.loads((judged.run / "calibration.json").read_text())
    (run / "calibration.json").write_text(json.dumps(known | {"step": [1, 1]}))
    assert "was not evaluated" in command("predict", run, file)[2]
    (run / "calibration.json").write_text(json.dumps(known | {"tracks": {}}))
    with pytest.raises(KitError, match=r"calibration.json is damaged; run `kit evaluate"):
        Certainty.read(run, known["step"])
    # A validation part of a few artists: nothing is claimed.
    few = Path(shutil.copytree(job.run, tmp_path / "few"))
    result = evaluate(few, report=False)
    assert "too few for uncertain or labels" in command("predict", few, file)[2]
    assert "Too few artists for prediction sets" in certainty_in_words(result)[0]
    assert result["sets"][0]["calibrated_on"] == 0
    assert "covered" not in result["sets"][0]


def test_the_last_checkpoint_leaves_the_calibration_of_predictions_as_it_is(judged, tmp_path):
    run = Path(shutil.copytree(judged.run, tmp_path / "run"))
    before = (run / "calibration.json").read_bytes()
    evaluate(run, which="last", report=False)
    assert (run / "calibration.json").read_bytes() == before


def test_doubtful_labels_are_corrected_and_scanned_again(judged, command, tmp_path):
    table = pd.read_csv(judged.run / "doubtful.csv", keep_default_na=False)
    assert table.to_dict("records") == [
        row | {"probability": pytest.approx(row["probability"], abs=1e-6)}
        for row in judged.result["doubtful"]
    ]
    assert table["probability"].is_monotonic_decreasing
    wrong = {f"{('high', 'low')[int(name[:2]) % 2]}/{name}.flac" for name in MOVED}
    assert wrong <= set(table["path"])
    assert set(table.loc[table["path"].isin(wrong), "title"]) == {"Track 0", "Track 1"}
    # A person takes the suggestion where it is right, and saves the table.
    right = table["path"].isin(wrong)
    table.loc[right, "label"] = table.loc[right, "suggested"]
    table.to_csv(tmp_path / "mine.csv", index=False)
    out = tmp_path / "data"
    code, _, err = command("scan", judged.music, "--labels", tmp_path / "mine.csv", "--out", out)
    assert (code, "failures" in err) == (0, False)
    before = load(judged.catalogue).table.set_index("path")["label"]
    after = load(out).table.set_index("path")["label"]
    assert sorted(after.index) == sorted(before.index)
    assert set(after.index[after != before[after.index]]) == wrong
    assert all(after[path] == ("low", "high")[int(Path(path).name[:2]) % 2] for path in wrong)


def test_the_report_plays_the_doubtful_tracks(judged):
    page = Page(judged.run / "report.html")
    assert "Doubtful labels" in page.text
    assert "Certainty of the answers" in page.text
    players = [one["aria-label"] for one in page.all("audio")]
    rows = judged.result["doubtful"]
    doubted = {row["track_id"] for row in rows}
    others = [
        track
        for track in judged.result["tracks"]
        if track["predicted"] != track["label"] and track["track_id"] not in doubted
    ]
    assert len(players) == min(10, len(rows)) + min(10, len(others)) + 4
    assert all(one["src"].startswith("data:audio/") for one in page.all("audio"))
    assert f"{len(rows)} labels are doubtful" in " ".join(sentences(judged.result))


def test_the_set_of_a_track_has_its_answer_and_what_reaches_the_threshold():
    three = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert Thresholds(1.0, 0.3, 0.4).verdict(three).labels == ("a", "b")
    assert Thresholds(1.0, 0.6, 0.4).verdict(three).labels == ("a",)
    # Squared and divided by their sum.
    verdict = Thresholds(2.0, None, 0.7).verdict(three)
    assert verdict.calibrated == pytest.approx(0.25 / 0.38)
    assert (verdict.uncertain, verdict.labels) == (True, None)
    assert Thresholds(1.0, 0.3, None).verdict({"a": 1.0, "b": 0.0}).uncertain is None
    assert [groups_needed(level) for level in (0.8, 0.9, 0.95, 0.99)] == [4, 9, 19, 99]


def test_coverage_of_certain_answers_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.45, 0.55]])
    y, groups = np.array([0, 1, 0, 0]), np.array(["x", "x", "y", "z"])
    true = np.r_[0.15, np.full(9, 0.7)]
    kept = Certainty(true, np.full(10, 0.7), np.ones(10, bool), np.arange(10), 1.0, "others", 1)
    found = measured(np.log(p), np.log(p), y, groups, kept, [(np.ones(4, bool), kept)])
    nine, eight = found["sets"]
    # 0.9 of 11 artists is all 10 of them, 0.8 is 9.
    assert (nine["least"], nine["covered"], nine["size"], nine["one"]) == (0.15, 1.0, 1.75, 0.25)
    # The sets are {0}, {0}, {0}, {1}: the answer of a track is always in its set.
    assert (eight["least"], eight["covered"], eight["size"], eight["one"]) == (0.7, 0.5, 1.0, 1.0)
    assert eight["covered_by_group"] == pytest.approx((0.5 + 1 + 0) / 3)
    certain = found["certain"]
    assert (certain["least"], certain["certain"], certain["wrong"]) == (0.7, 2, 1)

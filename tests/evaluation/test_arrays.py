"""A run from arrays, scored without a catalogue."""

import dataclasses
import json

import numpy as np
import pytest

from kit.errors import UsageError
from kit.evaluation import evaluate, evaluation_in_words, score_arrays
from kit.predict import load
from kit.training import fit_arrays
from tests.page import Page


@dataclasses.dataclass(frozen=True)
class Arrays:
    x: np.ndarray
    y: np.ndarray
    frames: np.ndarray
    run: object


@pytest.fixture(scope="module")
def arrays(job, tmp_path_factory):
    """Thirty items of 16 to 24 valid frames by ten artists, and a network trained on them."""
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    x = rng.normal(size=(30, 24, 4)).astype(np.float32)
    x[y == 1, :, :2] += 9
    frames = 16 + np.arange(30) % 9
    run = fit_arrays(
        x,
        y,
        groups=[f"artist {i % 10}" for i in range(30)],
        frames=frames,
        labels=("low", "high"),
        model=job.experiment.model,
        train=dataclasses.replace(job.experiment.train, epochs=15),
        runs=tmp_path_factory.mktemp("arrays"),
    )
    return Arrays(x, y, frames, run)


def test_scores_of_arrays_are_those_of_predictions(arrays):
    run = arrays.run
    result = score_arrays(run, arrays.x, arrays.y, frames=arrays.frames)
    assert json.loads((run.folder / "evaluation.json").read_text()) == result
    test = run.split().query("part == 'test'")
    assert [t["track_id"] for t in result["tracks"]] == test["track_id"].tolist()
    assert result["track"]["accuracy"] == 1.0
    assert result["grouped_by"] is None
    assert result["track"]["groups"] == test["group"].nunique() < len(test)
    at = test.index.to_numpy()
    answers = load(run.folder).predict_features(arrays.x[at], arrays.frames[at])
    for row, item, got in zip(result["tracks"], at, answers, strict=True):
        assert row["label"] == ("low", "high")[arrays.y[item]]
        assert got == pytest.approx(row["probabilities"], abs=1e-5)
    page = Page(run.folder / "report.html")
    assert page.all("audio") == []
    assert len(page.all("img")) == 3 + sum(min(2, n) for n in test["label"].value_counts())
    assert "Split by group: 10 groups, none on both sides." in page.text
    assert "Split by group: 10 groups, none on both sides." in evaluation_in_words(result)


def test_padding_counts_for_nothing(arrays):
    other = arrays.x.copy()
    for item, frames in zip(other, arrays.frames, strict=True):
        item[frames:] = 1e6
    options = {"frames": arrays.frames, "report": False}
    first = score_arrays(arrays.run, arrays.x, arrays.y, **options)
    assert score_arrays(arrays.run, other, arrays.y, **options) == first


def test_parts_of_arrays_have_files_of_their_own(arrays):
    options = {"frames": arrays.frames, "parts": ("train", "all"), "report": False}
    result = score_arrays(arrays.run.folder, arrays.x, arrays.y, **options)
    assert result["part"] == "train"
    assert result["seen"]["train"] == len(result["tracks"])
    every = json.loads((arrays.run.folder / "evaluation-all.json").read_text())
    assert every["track"]["n"] == 30
    assert 0 < every["unseen"]["track"]["n"] < 30


def test_other_arrays_are_refused(arrays):
    with pytest.raises(UsageError, match="trained with 30 items; x has 29 and y has 30"):
        score_arrays(arrays.run, arrays.x[1:], arrays.y)
    with pytest.raises(UsageError, match="trained from arrays, which it does not keep"):
        evaluate(arrays.run)

import json

import pandas as pd
import pytest

from kit.errors import KitError, UsageError
from kit.training import Run, listing, locate
from kit.training.run import SCORE_COLUMNS


def made(runs, name, stem):
    folder = runs / name / f"{stem}-0123abcd"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"experiment": {}}')
    return Run(folder)


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def test_newest_first_and_found_by_name(runs):
    first = made(runs, "b", "20260101-120000")
    third = made(runs, "a", "20260101-120001.01")
    second = made(runs, "a", "20260101-120001")
    (runs / "a" / "20270101-000000-ffffffff").mkdir()  # an attempt without a configuration
    (runs / "a" / ".0123abcd.lock").touch()
    assert listing(runs) == [third, second, first]
    assert locate(None, runs) == third
    assert locate("a", runs) == third
    assert locate("b", runs) == first
    assert locate(second.folder, runs) == second
    assert locate(runs / "b", "elsewhere") == first
    assert locate(f"a/{second.folder.name}", runs) == second


def test_a_run_that_is_not_there(runs):
    assert listing(runs) == []
    with pytest.raises(UsageError, match=r"runs has no run; train one"):
        locate(None, runs)
    made(runs, "demo", "20260101-120000")
    with pytest.raises(UsageError, match=r"nope is neither a run's folder nor .*runs of demo"):
        locate("nope", runs)


def evaluation(part, accuracy, interval):
    level = {
        "n": 4,
        "correct": 3,
        "accuracy": accuracy,
        "interval": interval,
        "macro_f1": 0.7,
        "majority_accuracy": 0.5,
    }
    return json.dumps({"part": part, "segment": level | {"interval": None}, "track": level})


def test_scores_are_a_table(runs):
    run = made(runs, "a", "20260101-120000")
    assert run.scores.empty
    assert tuple(run.scores.columns) == SCORE_COLUMNS
    (run.folder / "evaluation.json").write_text(evaluation("test", 0.75, [0.3, 0.95]))
    (run.folder / "evaluation-train.json").write_text(evaluation("train", 1.0, [0.8, 1.0]))
    scores = run.scores.set_index(["part", "level"])
    assert scores.loc[("test", "track"), "accuracy"] == 0.75
    assert (scores.loc[("test", "track"), ["low", "high"]] == [0.3, 0.95]).all()
    assert pd.isna(scores.loc[("train", "segment"), "low"])
    assert len(scores) == 4
    (run.folder / "evaluation.json").write_text('{"part": "test"}')
    with pytest.raises(KitError, match=r"evaluation\.json is damaged; run `kit evaluate"):
        _ = run.scores


def test_statements_are_added_once(runs):
    run = made(runs, "a", "20260101-120000")
    assert run.statements == ()
    run.add_statements(["one"])
    run.add_statements(["one", "two"])
    assert run.statements == ("one", "two")
    assert run.facts() == {}


def test_a_run_without_a_whole_last_checkpoint_is_not_finished(runs):
    run = made(runs, "a", "20260101-120000")
    (run.folder / "config.json").write_text('{"experiment": {"train": {"epochs": 2}}}')
    assert not run.finished()
    run.write_metrics([{"step": 3, "epoch": 1}, {"step": 6, "epoch": 2}])
    assert not run.finished()
    (run.checkpoints / "6").mkdir(parents=True)
    assert run.finished()
    run.write_metrics([{"step": 3, "epoch": 1}])
    assert not run.finished()

"""A trained run scored from its files: numbers that add up, figures, a page, refusals in words."""

import csv
import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.catalogue import Scan, from_folder, load, save
from kit.errors import KitError
from kit.evaluation import evaluate
from kit.features import FeatureStore, store_path
from kit.models import build
from kit.pipeline.evaluate import evaluate as tell
from kit.predict import track
from kit.training import Run, restore
from kit.training.checkpoint import Checkpoints
from kit.training.state import init_state


@dataclass(frozen=True)
class Copy:
    run: Path
    catalogue: Path


@pytest.fixture
def copy(job, tmp_path):
    """The small job's run and catalogue, to be written into."""
    return Copy(
        Path(shutil.copytree(job.run, tmp_path / "elsewhere" / "rün")),
        Path(shutil.copytree(job.catalogue, tmp_path / "data")),
    )


@dataclass(frozen=True)
class Evaluated:
    run: Path
    result: dict
    calls: list


@pytest.fixture(scope="module")
def evaluated(job, tmp_path_factory):
    """A copy of the small job's run, scored on its test part."""
    run = Path(shutil.copytree(job.run, tmp_path_factory.mktemp("evaluated") / "rün"))
    calls = []
    return Evaluated(run, evaluate(run, progress=lambda *at: calls.append(at)), calls)


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_it_writes_adds_up(job, evaluated):
    run, result = evaluated.run, evaluated.result
    new = ["confusion.png", "curves.png", "evaluation.json", "report.html"]
    assert files(run) == sorted(files(job.run) + new)
    assert json.loads((run / "evaluation.json").read_text()) == result
    test = Run(run).split().query("part == 'test'")
    assert evaluated.calls == [(len(test), len(test))]
    assert [t["track_id"] for t in result["tracks"]] == test["track_id"].tolist()
    assert [t["label"] for t in result["tracks"]] == test["label"].tolist()
    right = [t["predicted"] == t["label"] for t in result["tracks"]]
    assert result["track"]["accuracy"] == np.mean(right) == 1.0
    assert result["track"]["n"] == len(test) == 4
    assert result["segment"]["n"] == 4 * len(test)
    assert result["labels"] == ["high", "low"]
    assert result["part"] == "test"
    assert result["split"]["test"] == {"high": 2, "low": 2}
    assert sum(sum(part.values()) for part in result["split"].values()) == 16
    for row in result["tracks"]:
        assert row["artists"].startswith(row["label"])
        assert row["title"].startswith("Titel Ä")
    for name in ("confusion.png", "curves.png"):
        with Image.open(run / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200


def test_a_track_has_the_same_answer_in_a_prediction(job, evaluated):
    restored = restore(evaluated.run)
    for row in evaluated.result["tracks"]:
        alone = track(restored, job.music / row["path"])
        assert alone.label == row["predicted"]
        for name, p in row["probabilities"].items():
            assert alone.probabilities[name] == pytest.approx(p, abs=1e-5)


def test_the_page_stands_alone_and_plays_the_clips(evaluated):
    page = (evaluated.run / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == page.count("data:audio/") == 4
    assert "Titel Ä" in page
    for outside in ('src="http', "url(http", '<link rel="stylesheet"'):
        assert outside not in page


@pytest.mark.parametrize("part", ["validation", "all"])
def test_another_part(copy, part):
    result = evaluate(copy.run, catalogue=copy.catalogue, part=part, which="last")
    parts = Run(copy.run).split()
    wanted = parts if part == "all" else parts[parts["part"] == part]
    assert sorted(t["track_id"] for t in result["tracks"]) == sorted(wanted["track_id"])
    assert result["part"] == part
    last = Run(copy.run).metrics()[-1]["step"]
    assert result["checkpoint"] == {"step": last, "which": "last"}


def test_features_that_are_missing_are_computed(job, copy, evaluated):
    shutil.rmtree(copy.catalogue / "features")
    calls = []
    result = evaluate(copy.run, catalogue=copy.catalogue, progress=lambda *at: calls.append(at))
    assert result == evaluated.result
    assert result["not_scored"] == {"not_in_catalogue": 0, "no_features": 0}
    assert calls[-2:] == [(16, 16, "computing features"), *evaluated.calls]
    path = store_path(load(copy.catalogue), job.experiment.features)
    assert len(FeatureStore.open(path)) == 16


def test_a_run_that_moved_says_where_it_looks_for_the_tracks(job, copy, tmp_path):
    moved = job.catalogue.rename(tmp_path / "away")
    try:
        with pytest.raises(KitError, match=r"is not a folder; say where .* --catalogue"):
            evaluate(copy.run)
    finally:
        moved.rename(job.catalogue)


def test_another_collection(copy, write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2, seconds=1.2)
    save(from_folder(music), tmp_path / "other")
    with pytest.raises(KitError, match=r"no track of this run's test part.*--part all"):
        evaluate(copy.run, catalogue=tmp_path / "other")
    assert "evaluation.json" not in files(copy.run)
    result = evaluate(copy.run, catalogue=tmp_path / "other", part="all")
    assert result["track"]["n"] == 4
    assert result["track"]["accuracy"] == 1.0


def test_an_unknown_label(copy, write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2, seconds=1.2)
    (music / "low").rename(music / "lower")
    save(from_folder(music), tmp_path / "other")
    with pytest.raises(
        KitError,
        match=r"has the label 'lower', .* does not know \(it knows high, low\)",
    ):
        evaluate(copy.run, catalogue=tmp_path / "other", part="all")
    assert "evaluation.json" not in files(copy.run)
    # Nothing was computed for tracks that cannot be scored.
    assert "features" not in files(tmp_path / "other")


def test_no_track_with_features(copy, write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2, seconds=0.5)
    save(from_folder(music), tmp_path / "other")
    with pytest.raises(KitError, match=r"none of the all tracks .* has features; .*failures\.csv"):
        evaluate(copy.run, catalogue=tmp_path / "other", part="all")
    with (tmp_path / "other/failures.csv").open(newline="") as stream:
        assert [row["reason"] for row in csv.DictReader(stream)] == ["too_short"] * 4


def test_what_could_not_be_scored_is_told(job, copy, tmp_path, capsys):
    music = shutil.copytree(job.music, tmp_path / "music")
    test = Run(copy.run).split().query("part == 'test'")["track_id"].tolist()
    table = from_folder(music).table
    save(Scan(table.loc[table["track_id"] != test[1]], [], music), copy.catalogue)
    path = table.set_index("track_id").at[test[0], "path"]
    (music / path).write_bytes(b"no audio any more")
    shutil.rmtree(copy.catalogue / "features")
    result = tell(copy.run, catalogue=copy.catalogue)
    assert result["not_scored"] == {"not_in_catalogue": 1, "no_features": 1}
    assert result["track"]["n"] == 2
    told = (
        "2 of the 4 test tracks could not be scored: 1 without features (failures.csv says why), "
        "1 not in the catalogue"
    )
    assert f"warning: {told}" in capsys.readouterr().err
    assert told in (copy.run / "report.html").read_text(encoding="utf-8")


def test_a_track_without_audio_is_still_scored_and_shown(job, copy, tmp_path):
    music = shutil.copytree(job.music, tmp_path / "music")
    save(from_folder(music), copy.catalogue)
    test = Run(copy.run).split().query("part == 'test'")["track_id"].tolist()
    catalogue = load(copy.catalogue)
    row = catalogue.table.set_index("track_id", drop=False).loc[test[0]]
    catalogue.path_of(row).unlink()
    result = evaluate(copy.run, catalogue=copy.catalogue)
    assert result["track"]["n"] == 4
    page = (copy.run / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 3


def test_a_checkpoint_of_another_model(job, copy):
    config = job.experiment
    with Checkpoints(copy.run / "checkpoints", read_only=True) as checkpoints:
        step = checkpoints.step("best")
        meta = checkpoints.meta(step)
    shutil.rmtree(copy.run / "checkpoints")
    other = build(dataclasses.replace(config.model, dense=4), n_mels=16, n_classes=2)
    with Checkpoints(copy.run / "checkpoints") as checkpoints:
        meta.pop("format")
        checkpoints.save(step, init_state(other, config.train), meta, 0.5)
        checkpoints.wait()
    with pytest.raises(KitError, match="does not fit its network or is damaged"):
        evaluate(copy.run, catalogue=copy.catalogue)
    assert "evaluation.json" not in files(copy.run)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split.csv", None),
        ("split.csv", ""),
        ("split.csv", "a,b\n1,2\n"),
        ("split.csv", '"'),
        ("metrics.jsonl", "{"),
        ("metrics.jsonl", "[]\n"),
        ("config.json", "{"),
    ],
)
def test_files_of_a_run_that_are_damaged(copy, name, text):
    (copy.run / name).unlink()
    if text is not None:
        (copy.run / name).write_text(text)
    with pytest.raises(KitError, match=name.replace(".", r"\.")):
        evaluate(copy.run, catalogue=copy.catalogue)


def test_no_run_there(tmp_path):
    with pytest.raises(KitError, match="is not a folder"):
        evaluate(tmp_path / "none")
    with pytest.raises(KitError, match="holds no checkpoint"):
        evaluate(tmp_path)


def test_a_full_disk_leaves_the_page_as_it_was(evaluated, copy, full_disk):
    shutil.copytree(evaluated.run, copy.run, dirs_exist_ok=True)
    before = files(copy.run)
    with full_disk(20_000), pytest.raises(KitError, match=r"cannot write .*free some space"):
        evaluate(copy.run, catalogue=copy.catalogue, part="all")
    assert files(copy.run) == before
    page = "report.html"
    assert (copy.run / page).read_bytes() == (evaluated.run / page).read_bytes()

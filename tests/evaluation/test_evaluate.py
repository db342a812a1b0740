"""A trained run scored from its files: numbers that add up, figures, a page, refusals in words."""

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import mutagen
import numpy as np
import pytest
from PIL import Image

from kit.catalogue import Scan, from_csv, from_folder, load, save
from kit.catalogue.edits import with_known_ids
from kit.errors import KitError
from kit.evaluation import evaluate, evaluation_in_words
from kit.features import FeatureStore, extract, store_path
from kit.models import build
from kit.predict import load as load_run
from kit.training import Run, fit
from kit.training.checkpoint import Checkpoints
from kit.training.restore import template_of
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


def tree(folder):
    """The bytes of every file below a folder, as hashes."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_what_it_writes_adds_up(job, evaluated):
    run, result = evaluated.run, evaluated.result
    figures = [f"{stem}.{end}" for stem in ("confusion", "roc", "curves") for end in ("png", "svg")]
    new = [
        "calibration.json",
        "doubtful.csv",
        "data-card.md",
        "model-card.md",
        "evaluation.json",
        "report.html",
        *figures,
    ]
    assert files(run) == sorted(files(job.run) + new)
    assert json.loads((run / "evaluation.json").read_text()) == result
    test = Run(run).split().query("part == 'test'")
    assert evaluated.calls == [(len(test), len(test))]
    assert [t["track_id"] for t in result["tracks"]] == test["track_id"].tolist()
    assert [t["label"] for t in result["tracks"]] == test["label"].tolist()
    right = [t["predicted"] == t["label"] for t in result["tracks"]]
    assert result["track"]["accuracy"] == np.mean(right) == 1.0
    assert result["track"]["n"] == len(test) == 4
    # 32 frames hold seven segments of 8, half of one apart.
    assert result["segment"]["n"] == 7 * len(test)
    assert {t["segments"] for t in result["tracks"]} == {7}
    assert {t["part"] for t in result["tracks"]} == {"test"}
    assert result["seen"] == {"train": 0, "validation": 0, "unseen": 4}
    assert result["unseen"] is None
    assert (result["track"]["groups"], result["grouped_by"]) == (2, "artist")
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
    model = load_run(evaluated.run)
    for row in evaluated.result["tracks"]:
        alone = model.predict(job.music / row["path"])
        assert max(alone, key=lambda name: alone[name]) == row["predicted"]
        assert alone == pytest.approx(row["probabilities"], abs=1e-5)


def test_the_page_stands_alone_and_plays_the_clips(evaluated):
    page = (evaluated.run / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == page.count("data:audio/") == 4
    assert "Titel Ä" in page
    for outside in ('src="http', "url(http", '<link rel="stylesheet"'):
        assert outside not in page


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize("part", ["validation", "train", "all"])
def test_another_part_has_files_of_its_own(copy, part):
    before = files(copy.run)
    result = evaluate(copy.run, catalogue=copy.catalogue, part=part, which="last")
    parts = Run(copy.run).split()
    wanted = parts if part == "all" else parts[parts["part"] == part]
    assert sorted(t["track_id"] for t in result["tracks"]) == sorted(wanted["track_id"])
    assert result["part"] == part
    last = Run(copy.run).metrics()[-1]["step"]
    assert result["checkpoint"] == {"step": last, "which": "last"}
    stems = (f"confusion-{part}", f"roc-{part}", "curves")
    figures = [f"{stem}.{end}" for stem in stems for end in ("png", "svg")]
    new = [f"evaluation-{part}.json", f"report-{part}.html", *figures]
    assert files(copy.run) == sorted(before + new)
    assert json.loads((copy.run / f"evaluation-{part}.json").read_text()) == result


def test_without_a_report_only_the_numbers_are_written(copy, evaluated):
    before = files(copy.run)
    result = evaluate(copy.run, catalogue=load(copy.catalogue), report=False)
    assert result["track"] == evaluated.result["track"]
    new = ["calibration.json", "doubtful.csv", "evaluation.json"]
    assert files(copy.run) == sorted(before + new)


def test_tracks_that_were_learned_from_are_counted_and_the_others_scored_apart(copy, evaluated):
    result = evaluate(copy.run, catalogue=copy.catalogue, part="all", report=False)
    parts = Run(copy.run).split()["part"].value_counts().to_dict()
    assert result["seen"] == {
        "train": parts["train"],
        "validation": parts["validation"],
        "unseen": parts["test"],
    }
    # The unseen tracks of the training catalogue are those of the test part.
    for level in ("track", "segment"):
        apart, alone = result["unseen"][level], evaluated.result[level]
        # Another order of the tracks, other batches.
        rounded = ("log_loss", "brier", "log_loss_skill", "brier_skill")
        for name in rounded:
            assert apart.pop(name) == pytest.approx(alone[name], abs=1e-6)
        for name, interval in apart.pop("intervals", {}).items():
            assert interval == pytest.approx(alone["intervals"][name], abs=1e-6)
        assert apart == {k: v for k, v in alone.items() if k not in (*rounded, "intervals")}
    said = " ".join(evaluation_in_words(result))
    assert (
        f"{parts['train']} of these 16 tracks were used for training: this does not measure" in said
    )
    assert f"Unseen tracks alone: 4 of {parts['test']} right, 100.0%" in said
    assert "better than guessing" not in said
    train = evaluate(copy.run, catalogue=copy.catalogue, part="train", report=False)
    assert f"All {parts['train']} tracks were used for training" in evaluation_in_words(train)[0]
    assert "better than guessing" not in " ".join(evaluation_in_words(train))


def test_copies_of_training_files_in_another_collection_count_as_learned(job, copy, tmp_path):
    table = load(job.catalogue).table.assign(track_id=[f"other-{i}" for i in range(16)])
    save(Scan(table, [], job.music), tmp_path / "other")
    other = load(tmp_path / "other")
    extract(other, job.experiment.features)
    result = evaluate(copy.run, catalogue=other, part="all", report=False)
    parts = Run(copy.run).split()["part"].value_counts().to_dict()
    assert result["seen"]["train"] == parts["train"]
    assert "another_collection" not in result


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_evaluation_only_reads_the_catalogue(copy):
    before = tree(copy.catalogue)
    run = tree(copy.run)
    for part in ("test", "all"):
        evaluate(copy.run, catalogue=copy.catalogue, part=part)
    assert tree(copy.catalogue) == before
    assert {name: digest for name, digest in tree(copy.run).items() if name in run} == run


def test_features_of_tracks_without_a_path_are_read_and_kept(job, tmp_path):
    rows = [(f"own{i:02d}", "low" if i % 2 else "high", f"artist {i // 2 % 6}") for i in range(24)]
    text = "".join(f"{track},{label},{artist} {label}\n" for track, label, artist in rows)
    (tmp_path / "own.csv").write_text("track_id,label,artists\n" + text)
    save(from_csv(tmp_path / "own.csv"), tmp_path / "own")
    own = load(tmp_path / "own")
    config = job.experiment.features
    store = FeatureStore.create(store_path(own, config), config)
    rng = np.random.default_rng(0)
    x = rng.normal(-40, 5, (24, 32, 16)).astype(np.float32)
    x[1::2, :, :4] += 30
    store.write([track for track, _, _ in rows], ["" for _ in rows], x)
    experiment = dataclasses.replace(job.experiment, name="own", catalogue=str(own.folder))
    run = fit(experiment, runs=tmp_path / "runs")
    before = tree(own.folder)
    result = evaluate(run)
    assert result["track"]["accuracy"] == 1.0
    assert result["not_scored"]["no_features"] == 0
    assert tree(own.folder) == before
    assert len(FeatureStore.open(store.path)) == 24


def test_no_features_at_all_name_the_command(job, copy):
    shutil.rmtree(copy.catalogue / "features")
    before = tree(copy.catalogue)
    with pytest.raises(KitError, match="has no features for this run; compute them: ") as caught:
        evaluate(copy.run, catalogue=copy.catalogue)
    command = str(caught.value).split("compute them: ")[1]
    assert command.startswith(f"kit features {copy.catalogue} ")
    for flag in (
        "--features.n-frames 32",
        "--features.clip-s 1.1",
        "--features.frontend.sample-rate 8000",
    ):
        assert flag in command
    assert "position" not in command  # as by default
    assert tree(copy.catalogue) == before
    assert "evaluation.json" not in files(copy.run)


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
    extract(load(tmp_path / "other"), Run(copy.run).experiment().features)
    with pytest.raises(KitError, match=r"no track of this run's test part.*--part all"):
        evaluate(copy.run, catalogue=tmp_path / "other")
    assert "evaluation.json" not in files(copy.run)
    result = evaluate(copy.run, catalogue=tmp_path / "other", part="all")
    assert result["track"]["n"] == 4
    assert result["track"]["accuracy"] == 1.0
    # The same seeds make other files, since they are shorter: none was learned from.
    assert result["seen"] == {"train": 0, "validation": 0, "unseen": 4}
    assert result["another_collection"]
    assert "This is another collection: none of its tracks was used for training." in (
        evaluation_in_words(result)
    )


@pytest.mark.parametrize("part", ["test", "all"])
@pytest.mark.parametrize("place", ["data", "elsewhere"])
def test_the_own_collection_under_new_tags_is_no_other_collection(job, copy, part, place):
    table = load(copy.catalogue).table
    # As an earlier scan saw it, which did not know the audio without tags.
    ids, hashes = zip(*((f"new-{i}", f"{i:064x}") for i in range(len(table))), strict=True)
    table = table.assign(track_id=ids, source_hash=hashes, audio_hash="")
    other = copy.catalogue.with_name(place)
    save(Scan(table, [], job.music), other)
    with pytest.raises(KitError, match=r"other bytes now \(new tags\?\)") as caught:
        evaluate(copy.run, catalogue=other, part=part)
    assert "--part all" not in str(caught.value)
    assert "evaluation.json" not in files(copy.run)


def test_files_with_new_tags(job, copy, tmp_path):
    music = Path(shutil.copytree(job.music, tmp_path / "music"))
    for path in sorted(music.glob("*/*.flac"))[:3]:
        file = mutagen.File(path)
        file["comment"] = "new" * 3000
        file.save()
    scan = from_folder(music)
    save(scan, copy.catalogue)
    extract(load(copy.catalogue), job.experiment.features)
    result = evaluate(copy.run, catalogue=copy.catalogue, part="all", report=False)
    assert result["may_be_learned"] == 3
    assert "another_collection" not in result
    assert "3 tracks of the run are not in the catalogue any more" in " ".join(
        evaluation_in_words(result)
    )
    # `kit scan` knows them by their audio, and nothing is left out.
    known = with_known_ids(scan, job.catalogue)
    save(known, copy.catalogue)
    extract(load(copy.catalogue), job.experiment.features)
    result = evaluate(copy.run, catalogue=copy.catalogue, part="all", report=False)
    assert "may_be_learned" not in result
    assert len(result["tracks"]) == 16
    assert result["seen"]["unseen"] == sum(Run(copy.run).split()["part"] == "test")


def test_an_unknown_label(copy, write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2, seconds=1.2)
    (music / "low").rename(music / "lower")
    save(from_folder(music), tmp_path / "other")
    with pytest.raises(
        KitError,
        match=r"does not know, such as 'lower' \(it knows high, low\)",
    ):
        evaluate(copy.run, catalogue=tmp_path / "other", part="all")
    assert "evaluation.json" not in files(copy.run)


def test_no_track_with_features(job, copy, write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2, seconds=0.5)
    save(from_folder(music), tmp_path / "other")
    extract(load(tmp_path / "other"), job.experiment.features)
    with pytest.raises(KitError, match=r"none of the 4 tracks to score .*kit features.*failures\."):
        evaluate(copy.run, catalogue=tmp_path / "other", part="all")


def test_what_could_not_be_scored_is_told(job, copy, tmp_path):
    test = Run(copy.run).split().query("part == 'test'")["track_id"].tolist()
    whole = load(copy.catalogue).table
    # One test track has left the catalogue, and one has come without features.
    table = whole.loc[~whole["track_id"].isin(test[:2])]
    save(Scan(table, [], job.music), tmp_path / "other")
    extract(load(tmp_path / "other"), job.experiment.features)
    save(Scan(whole.loc[whole["track_id"] != test[1]], [], job.music), tmp_path / "other")
    result = evaluate(copy.run, catalogue=tmp_path / "other")
    assert result["not_scored"] == {"not_in_catalogue": 1, "no_features": 1}
    assert result["track"]["n"] == 2
    start = "2 of the 4 test tracks could not be scored: 1 without features (run `kit features "
    (told,) = [s for s in evaluation_in_words(result) if s.startswith(start)]
    assert told.endswith("1 not in the catalogue.")
    assert start in (copy.run / "report.html").read_text(encoding="utf-8")


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
        step, _, meta = checkpoints.read("best", template_of)
    shutil.rmtree(copy.run / "checkpoints")
    other = build(dataclasses.replace(config.model, dense=4), n_mels=16, n_classes=2)
    with Checkpoints(copy.run / "checkpoints") as checkpoints:
        checkpoints.save(step, init_state(other, config.train), meta, 0.5)
        checkpoints.wait()
    with pytest.raises(KitError, match="holds another network"):
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
        evaluate(copy.run, catalogue=copy.catalogue)
    assert files(copy.run) == before
    page = "report.html"
    assert (copy.run / page).read_bytes() == (evaluated.run / page).read_bytes()

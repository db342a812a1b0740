"""Another collection: its labels onto those of the run, and its score beside the own test part."""

import json
import shutil
from pathlib import Path

import pytest

from kit.catalogue import from_folder, load, save
from kit.errors import KitError, UsageError
from kit.evaluation import evaluate
from kit.evaluation.another import difference, parse_map
from kit.evaluation.intervals import wilson_interval
from kit.evaluation.parts import place
from kit.evaluation.sections import another_in_words
from kit.features import extract
from kit.training import Run

from .documented import require_documented


def test_a_map_is_pairs_or_a_table(tmp_path):
    table = tmp_path / "map.csv"
    table.write_text("from,to\nDeep House,house\n Tech   House ,house\n")
    want = {"Hard Techno": "techno", "Deep House": "house", "Tech House": "house"}
    assert parse_map(["Hard Techno=techno", str(table)]) == want
    assert parse_map(["Tech House=house", str(table)])["Tech House"] == "house"
    for texts, message in (
        (["house"], 'write THEIRS=OURS, such as "Tech House=house", or name a CSV'),
        (["a="], "write both labels"),
        (["a=x", "a=y"], "maps 'a' to 'x' and to 'y'; keep one"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_map(texts)
    table.write_text("label,to\na,b\n")
    with pytest.raises(UsageError, match="needs the columns from and to; it has 'label', 'to'"):
        parse_map([str(table)])


def test_a_difference_has_newcombes_interval():
    def score(right, n, groups=20):
        return {"value": right / n, "interval": wilson_interval(right, n), "groups": groups}

    # Newcombe (1998), table II, contrast (a), method 10.
    found = difference(score(56, 70), score(48, 80))
    assert found["value"] == pytest.approx(0.2)
    assert found["interval"] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    assert found["differs"] is True
    assert difference(score(48, 80), score(56, 70))["interval"] == pytest.approx(
        [-0.3339, -0.0524], abs=5e-5
    )
    assert difference(score(9, 10), score(3, 10, 11))["differs"] is None
    assert difference(score(6, 10), score(5, 10))["differs"] is False
    assert difference({"value": 0.5, "interval": None, "groups": 20}, score(5, 10)) is None


def test_files_are_named_after_the_collection():
    assert place({"part": "test"}) == "test"
    assert place({"part": "all", "collection": None}) == "all"
    assert place({"part": "all", "collection": {"name": "Müll & Söhne/.."}}) == "all-Müll-Söhne"
    assert place({"part": "all", "collection": {"name": "..."}}) == "all-other"


@pytest.fixture(scope="module")
def other(job, write_music, tmp_path_factory):
    """Eight tracks: labels in another case, of another name and unknown, and a training file."""
    root = tmp_path_factory.mktemp("another")
    music = write_music(root / "music", per_label=4, seconds=1.2)
    (music / "low").rename(music / "Bass")
    (music / "high").rename(music / "High")
    (music / "Noise").mkdir()
    (music / "Bass/03.flac").rename(music / "Noise/03.flac")
    parts = Run(job.run).split().set_index("track_id")["part"]
    table = load(job.catalogue).table.query("label == 'low'").set_index("track_id")
    learned = next(i for i in table.index if parts[i] == "train")
    shutil.copy(job.music / table["path"][learned], music / "Bass/copy.flac")
    save(from_folder(music), root / "other")
    extract(load(root / "other"), job.experiment.features)
    return root / "other"


def test_mapped_labels_are_scored_beside_the_own_test_part(job, other, tmp_path):
    run = Path(shutil.copytree(job.run, tmp_path / "run"))
    own = evaluate(run, report=False)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    result = evaluate(run, catalogue=other, part="all", labels_map={"bass": "LOW", "dub": "low"})
    new = {f"{name}-all-other" for name in ("evaluation", "report", "confusion")}
    stems = {path.stem for path in run.iterdir() if path.is_file()}
    assert stems - {Path(name).stem for name in before} == {*new, "roc-all-other", "curves"}
    assert all((run / name).read_bytes() == text for name, text in before.items())
    assert {row["label"] for row in result["tracks"]} == {"high", "low"}
    assert (result["track"]["n"], result["seen"]["train"]) == (8, 1)
    assert result["made_with"]["evaluate"].endswith(
        f"--catalogue {other} --part all --labels-map bass=LOW --labels-map dub=low"
    )
    assert "collection.difference.differs" in require_documented(result)
    found = result["collection"]
    assert (found["name"], found["left_out"], found["unused"]) == ("other", {"Noise": 1}, ["dub"])
    assert found["own"]["value"] == own["track"]["accuracy"]
    # The copy of a training file is not in the figure.
    assert (found["here"]["n"], found["own"]["n"]) == (7, 4)
    assert found["here"]["value"] == result["unseen"]["track"]["accuracy"]
    said = " ".join(another_in_words(result))
    assert "Left out, since neither the map nor the run knows the label: 1 “Noise”." in said
    assert "Labels of the map that no track here has: “dub”." in said
    assert "Copies of training or validation files, which do not count: 1." in said
    assert "too few artists for a claim" in said
    page = (run / "report-all-other.html").read_text(encoding="utf-8")
    assert "Beside the own test part" in page
    assert json.loads((run / "evaluation-all-other.json").read_text()) == result
    assert set(Run(run).scores["part"]) == {"test", "all of other"}
    # Without an evaluation of the test part there is nothing to compare with.
    (run / "evaluation.json").unlink()
    alone = evaluate(run, catalogue=other, part="all", labels_map={"Bass": "low"}, report=False)
    assert (alone["collection"]["own"], alone["collection"]["difference"]) == (None, None)
    assert "own test part: kit evaluate RUN" in " ".join(another_in_words(alone))


def test_a_map_that_does_not_fit_is_refused(job, other, tmp_path):
    def mapped(labels_map, catalogue=other, part="all"):
        return evaluate(
            job.run, catalogue=catalogue, part=part, labels_map=labels_map, report=False
        )

    with pytest.raises(UsageError, match=r"maps 'Bass' to 'lwo', .*did you mean 'low'\?"):
        mapped({"Bass": "lwo"})
    with pytest.raises(UsageError, match=r"maps 'Bass' to 'xyz'.*knows high, low\)$"):
        mapped({"Bass": "xyz"})
    with pytest.raises(UsageError, match="add --catalogue OTHER --part all"):
        mapped({"Bass": "low"}, job.catalogue)
    with pytest.raises(UsageError, match="add --catalogue OTHER --part all"):
        mapped({"Bass": "low"}, part="test")
    with pytest.raises(KitError, match=r'such as \'Bass\'.*--labels-map "Bass=high"'):
        mapped(None)

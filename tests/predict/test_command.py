"""`kit predict`: formats, resumption, and the same answers as `kit evaluate`."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.evaluation import evaluate
from kit.training import Run
from kit.write.labels import read_labels


@pytest.fixture(scope="module")
def run(job, tmp_path_factory):
    """The job's run and the result of its evaluation."""
    folder = Path(shutil.copytree(job.run, tmp_path_factory.mktemp("predict") / "run"))
    return folder, evaluate(Run(folder), part="all", report=False)


@pytest.fixture
def music(job, tmp_path):
    """Four tracks and a bad file, in a folder that a test may change."""
    for label in ("high", "low"):
        for i in range(2):
            (tmp_path / "music").mkdir(exist_ok=True)
            shutil.copy(job.music / label / f"0{i}.flac", tmp_path / f"music/{label}{i}.flac")
    (tmp_path / "music/text.mp3").write_text("no sound")
    return tmp_path / "music"


def rows_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines()]


def written(path):
    return path.read_bytes().count(b"\n") - 1 if path.is_file() else 0


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_catalogue_has_the_answers_of_its_evaluation(run, job, command, tmp_path, ending):
    folder, result = run
    out = tmp_path / f"new.{ending}"
    code, text, err = command("predict", folder, job.catalogue, "--out", out)
    assert (code, text) == (0, "")
    assert "16 files, 0 of them without an answer, in" in err
    rows = {Path(row["path"]): row for row in rows_of(out)}
    assert len(rows) == 16
    for track in result["tracks"]:
        row = rows[job.music / track["path"]]
        for label, p in track["probabilities"].items():
            shares = row if ending == "csv" else row["probabilities"]
            assert float(shares[label]) == pytest.approx(p, abs=1e-5)
        assert row["label"] == track["predicted"]
    assert len(read_labels(out).tracks) == 16


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_only_what_is_missing_is_predicted(run, job, command, music, tmp_path, ending):
    folder, out = run[0], tmp_path / f"new.{ending}"
    code, _, err = command("predict", folder, music / "low0.flac", music / "text.mp3", "--out", out)
    assert (code, "2 files, 1 of them without an answer, in" in err) == (1, True)
    first = out.read_bytes()
    code, _, err = command("predict", folder, music, "--out", out)
    assert (code, "5 files (2 in an earlier run), 1 of them without" in err) == (1, True)
    assert out.read_bytes().startswith(first)
    assert (
        command("predict", folder, music, "--out", out)[2].count("5 files (5 in an earlier run)")
        == 1
    )
    names = ["low0.flac", "text.mp3", "high0.flac", "high1.flac", "low1.flac"]
    assert [Path(row["path"]).name for row in rows_of(out)] == names
    assert [bool(row["reason"]) for row in rows_of(out)] == [False, True, False, False, False]

    # A changed file, a row that a killed run has not finished, and a file that is gone.
    shutil.copy(job.music / "high/05.flac", music / "low0.flac")
    out.write_bytes(out.read_bytes()[:-20])
    code, _, err = command("predict", folder, music, music / "gone.mp3", "--out", out)
    assert (code, "6 files (3 in an earlier run), 2 of them without" in err) == (1, True)
    rows = rows_of(out)
    assert [Path(row["path"]).name for row in rows] == [
        *("text.mp3", "high0.flac", "high1.flac", "low0.flac", "low1.flac", "gone.mp3")
    ]
    assert [row["label"] or row["reason"] for row in rows] == [
        *("not_audio", "high", "high", "high", "low", "unreadable")
    ]
    shutil.copy(job.music / "low/05.flac", music / "gone.mp3")
    code, _, err = command("predict", folder, music / "gone.mp3", "--out", out)
    assert (code, "1 files, 0 of them without" in err) == (0, True)
    assert rows_of(out)[-1]["label"] == "low"
    assert len(rows_of(out)) == 6

    before = out.read_bytes()
    code, _, err = command("predict", folder, music, "--out", out, "--no-music")
    assert (code, "another run or other options" in err) == (2, True)
    assert out.read_bytes() == before
    assert command("predict", folder, music, "--out", out, "--no-music", "--fresh")[0] == 1
    assert len(rows_of(out)) == 6
    assert [p.name for p in tmp_path.iterdir()].count(f"{out.name}.lock") == 0


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
@pytest.mark.parametrize("content", ["my notes\nof today\n", "[1]\n", b"\xff\xfe\n"])
def test_a_file_of_others_is_not_touched(run, command, music, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    code, _, err = command("predict", run[0], music, "--out", path)
    assert code in (1, 2)
    assert "give another --out" in err
    assert path.read_bytes() == before


def test_a_table_and_csv_to_standard_output(run, command, music):
    code, text, _ = command("predict", run[0], music, "--format", "table")
    assert code == 1
    high, _, low, _, bad = text.splitlines()
    assert (high.split()[0], low.split()[0]) == ("high", "low")
    assert high.endswith(str(music / "high0.flac"))
    assert bad.startswith("–     not_audio: ")
    code, text, err = command("predict", run[0], music, "--format", "csv")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["label"] for row in rows] == ["high", "high", "low", "low", ""]
    assert rows[-1]["reason"] == "not_audio"
    assert rows[-1]["message"] in err
    assert code == 1


def test_killed_and_interrupted_runs_lose_nothing(run, job, command, tmp_path):
    count = 100
    files = [tmp_path / f"{i}.flac" for i in range(count)]
    for i, file in enumerate(files):
        shutil.copy(job.music / f"{('high', 'low')[i % 2]}/0{i % 8}.flac", file)
    out = tmp_path / "new.csv"
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": ""}
    # A shell that starts tests in the background has them ignore Ctrl-C.
    heeds = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"import runpy, signal; {heeds}; runpy.run_module('kit', run_name='__main__')"
    line = [sys.executable, "-c", code, "predict", str(run[0]), *map(str, files)]
    before = 0
    for stop, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [*line, "--out", str(out)], stderr=subprocess.PIPE, text=True, env=environment
        )
        while process.poll() is None and written(out) < before + 2:
            time.sleep(0.005)
        process.send_signal(stop)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (code, False)
        done = [row["path"] for row in rows_of(out)]
        assert done == list(map(str, files[: len(done)]))
        assert before < len(done) < count
        before = len(done)
    code, _, err = command("predict", run[0], *files, "--out", out)
    assert (code, f"{count} files ({before} in an earlier run)" in err) == (0, True)
    assert [row["path"] for row in rows_of(out)] == list(map(str, files))

"""The files of experiments/: each runs, as a person would start it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FRONTEND = (
    *("--features.frontend.sample-rate", "8000", "--features.frontend.n-fft", "512"),
    *("--features.frontend.hop-length", "256", "--features.frontend.n-mels", "16"),
    *("--features.n-frames", "32", "--features.clip-s", "1.1", "--segments.frames", "8"),
)
QUICK = ("--train.epochs", "1", "--train.batch-size", "8")


@pytest.fixture
def python(tmp_path):
    """A function: arguments of Python to what it printed, in a folder of its own."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": "", "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_each_says_how_it_is_run_and_stays_small():
    for path in EXPERIMENTS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 60, path
        for word in ("Command:", "Hardware:", "Expected:"):
            assert f"\n{word} " in text, path


def test_a_network_of_ones_own(python, job, tmp_path):
    options = ("--catalogue", job.catalogue, *FRONTEND, *QUICK, "--split.test-fraction", "0.25")
    python(EXPERIMENTS / "own_model.py", *options, "--model.width", "2")
    (run,) = (tmp_path / "runs/own_model").glob("2*")
    assert (run / "report.html").is_file()
    model = json.loads((run / "config.json").read_text())["experiment"]["model"]
    assert model["width"] == 2
    assert model["file"] == str(EXPERIMENTS / "own_model.py")
    # New processes find the class by its file.
    before = json.loads((run / "evaluation.json").read_text())
    python("-m", "kit", "evaluate", "own_model")
    assert json.loads((run / "evaluation.json").read_text())["track"] == before["track"]
    track = next(t for t in before["tracks"])
    out = python("-m", "kit", "predict", "own_model", job.music / track["path"])
    answer = json.loads(out)["probabilities"]
    assert answer == pytest.approx(track["probabilities"], abs=1e-5)


def test_the_short_chunk_cnn(python, job, tmp_path):
    options = ("--catalogue", job.catalogue, *FRONTEND, *QUICK, "--split.test-fraction", "0.25")
    pooling = ("--model.pooling", "statistics")
    python(
        EXPERIMENTS / "short_chunk.py",
        *options,
        "--model.width",
        "2",
        "--model.depth",
        "3",
        *pooling,
    )
    (run,) = (tmp_path / "runs/short_chunk").glob("2*")
    assert (run / "report.html").is_file()
    model = json.loads((run / "config.json").read_text())["experiment"]["model"]
    assert (model["name"], model["width"], model["pooling"]) == ("short_chunk", 2, "statistics")


def test_arrays_of_ones_own(python, tmp_path):
    out = python(EXPERIMENTS / "own_arrays.py", "--tracks", "12", *QUICK)
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["part", "level", "n"]
    run = tmp_path / lines[-1]
    assert run.parent == tmp_path / "runs/arrays"
    assert "n_frames" in json.loads((run / "config.json").read_text())["experiment"]["features"]


def test_a_sweep(python, job, tmp_path):
    options = (*FRONTEND, *QUICK, "--model.channels", "8", "--model.kernel-size", "3")
    where = ("--catalogue", job.catalogue, "--rates", "0.01", "0.001", "--seeds", "1")
    out = python(EXPERIMENTS / "sweep.py", *where, *options)
    assert out.splitlines()[0].split() == ["mean", "min", "max"]
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["0.001", "0.010"]
    assert len(list((tmp_path / "runs/sweep").glob("*/evaluation.json"))) == 2


def test_a_small_set(python, job, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "no weights"))
    catalogue = shutil.copytree(job.catalogue, tmp_path / "data")
    clips = ("--features.clip-s", "1.1", "--features.n-frames", "48", "--features.least-s", "1")
    out = python(EXPERIMENTS / "small_set.py", catalogue, *clips, "--split.folds", "2")
    assert "the recipe for small sets" in out
    line = r"accuracy by track ([\d.]+), 95% interval ([\d.]+) to ([\d.]+), chosen: .+"
    found = re.fullmatch(line, out.splitlines()[-1])
    assert found
    assert 0 <= float(found[2]) <= float(found[1]) <= float(found[3]) <= 1

"""The command line: the whole job, and one line for every kind of bad input."""

import csv
import dataclasses
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import librosa
import matplotlib
import numpy as np
import pytest
import soundfile

# Python itself may lie where the unprivileged cannot read: what they run is imported before.
import kit.catalogue.gather
import kit.cli.answers
import kit.cli.stages.evaluation
import kit.cli.stages.training
import kit.evaluation.report
import kit.explore.tracks
from kit.catalogue import from_folder, load, read_failures, save
from kit.cli import main
from kit.cli.app import COMMANDS
from kit.features import FeatureStore, store_path
from kit.models import build
from kit.training.checkpoint import Checkpoints
from kit.training.restore import template_of
from kit.training.state import init_state

# The small job's configuration, as a person would type it.
FEATURES = (
    *("--features.frontend.sample-rate", "8000", "--features.frontend.n-fft", "512"),
    *("--features.frontend.hop-length", "256", "--features.frontend.n-mels", "16"),
    *("--features.n-frames", "32", "--features.clip-s", "1.1"),
)
NETWORK = (
    *("--split.test-fraction", "0.25", "--split.validation-fraction", "0.2"),
    *("--segments.frames", "8", "--model.channels", "8", "--model.kernel-size", "3"),
    *("--model.dense", "8", "--train.batch-size", "8", "--train.learning-rate", "0.01"),
)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line of a refusal."""
        assert "Traceback" not in self.err + self.out
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("kit: ")
        return lines[0]


@pytest.fixture
def kit(command) -> Callable[..., Result]:
    """Run a command line in this process."""

    def run(*arguments: object) -> Result:
        return Result(*command(*arguments))

    return run


def noise(seconds, rate=8000, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# --- help


HEAVY = {"jax", "flax", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "tensorstore"}

CHILD = """
import contextlib, io, json, sys
from kit.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["kit", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as stop:
            assert not stop.code, (arguments, stop.code)
    print(json.dumps([arguments, out.getvalue(), sorted(sys.modules)]))
"""


def imported(*commands):
    """Run command lines one after another in a new process: arguments, output, modules then."""
    given = json.dumps([list(map(str, arguments)) for arguments in commands])
    command = [sys.executable, "-c", CHILD, given]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help_imports_nothing_heavy():
    helps = [("--help",), ("--version",), ("ingest", "--help")]
    first, version, *rest = imported(*helps, *((*name.split(), "--help") for name in COMMANDS))
    assert not {"tyro", *HEAVY} & set(first[2])
    assert version[1].startswith("kit 0.1.0 (genre-kit; JAX 0.")
    for arguments, text, modules in rest:
        assert text.startswith("usage: kit "), arguments
        assert not HEAVY & set(modules), arguments


def test_a_stage_imports_nothing_that_it_does_not_need(music, tmp_path):
    data, runs = tmp_path / "data", tmp_path / "runs"
    lines = {
        "scan": ("scan", music, "--out", data),
        "features": ("features", data, *FEATURES),
        "train": ("train", data, *FEATURES, *NETWORK, "--runs", runs, "--train.epochs", "1"),
        "predict": ("predict", "train", music / "low/00.flac", "--runs", runs),
    }
    needless = {
        "scan": {"jax", "scipy", "sklearn", "matplotlib", "tensorstore"},
        "features": {"flax", "orbax", "sklearn", "matplotlib"},
        "train": {"sklearn", "matplotlib"},
        "predict": {"sklearn", "matplotlib"},
    }
    for arguments, _, modules in imported(*lines.values()):
        assert not needless[arguments[0]] & set(modules), arguments[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(kit, name):
    result = kit(*name.split(), "--help")
    assert result.code == 0
    assert f"usage: kit {name}" in result.out
    # The overview has the first line of the help.
    assert COMMANDS[name] in result.out
    assert f"  {name} " in kit("--help").out


@pytest.mark.parametrize(
    "arguments", [(), ("scan",), ("ingest",), ("train", "x", "--train.epochs", "ten")]
)
def test_what_is_not_a_command_is_a_usage_error(kit, arguments):
    assert kit(*arguments).code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("trian", "data"), "there is no command 'kit trian'; did you mean kit train?"),
        (("ingest", "prevews"), "did you mean kit ingest previews?"),
        (("dance",), "kit --help lists the commands"),
        (("ingest", "dance"), "kit ingest --help lists the commands"),
    ],
)
def test_a_command_that_is_misspelt(kit, arguments, says):
    result = kit(*arguments)
    assert result.code == 2
    assert says in result.line


# --- the whole job


@pytest.fixture(scope="module")
def music(write_music, tmp_path_factory):
    return write_music(tmp_path_factory.mktemp("cli") / "müsic")


def test_the_whole_job(kit, music, tmp_path):
    data, runs = tmp_path / "data/mine", tmp_path / "runs"
    result = kit("scan", music, "--out", data)
    assert (result.code, result.out) == (0, "")
    assert "16 tracks (8 high, 8 low)" in result.err
    assert names(data) == ["catalogue.json", "failures.csv", "scanned.csv", "tracks.csv"]

    result = kit("features", data, *FEATURES, "--export", "npy")
    assert result.code == 0
    assert "features of 16 tracks, 16 computed now" in result.err
    assert np.load(data / "song_specs.npy", allow_pickle=False).shape == (16, 32, 16)
    assert np.load(data / "genres.npy", allow_pickle=False).tolist() == ["high"] * 8 + ["low"] * 8
    assert "0 computed now" in kit("features", data, *FEATURES).err

    train = ("train", data, *FEATURES, *NETWORK, "--runs", runs, "--train.epochs", "4")
    result = kit(*train)
    assert result.code == 0
    run = Path(result.out.strip())
    assert run.parent == runs / "train"
    assert "\ntrained for 4 epochs" in result.err
    assert result.err.endswith(f"next: kit evaluate {shlex.quote(str(run))}\n")
    stamp = (run / "metrics.jsonl").stat().st_mtime_ns
    again = kit(*train)
    assert again.out == result.out
    assert "already trained for 4 epochs" in again.err
    assert "--fresh trains it again, --train.seed 1 trains another one" in again.err
    assert (run / "metrics.jsonl").stat().st_mtime_ns == stamp

    result = kit("evaluate", run)
    assert result.code == 0
    assert "4 of 4 test tracks right: 100.0%" in result.err
    assert f"report: {run / 'report.html'}" in result.err
    assert json.loads((run / "evaluation.json").read_text())["track"]["accuracy"] == 1

    files = [music / "high/00.flac", music / "low/07.flac"]
    result = kit("predict", run, *files)
    assert result.code == 0
    # No validation track was there to calibrate on.
    (line,) = result.err.splitlines()
    assert line.startswith("warning: this run was calibrated on 0 tracks of 0 artists, too few for")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["path"] for row in rows] == list(map(str, files))
    assert [row["label"] for row in rows] == ["high", "low"]

    result = kit("explore", data, *FEATURES, "--count", "3")
    assert result.code == 0
    figures = [
        f"{figure}-{label}.{kind}"
        for figure in ("track", "wall")
        for label in ("high", "low")
        for kind in ("png", "svg")
    ]
    assert names(data / "explore") == ["explore.html", *figures]
    page = data / "explore" / "explore.html"
    assert f"wrote {page}, and 4 figures beside it as PNG and SVG" in result.err
    assert result.err.count("wrote") == 1
    text = page.read_text()
    assert all(f'href="{name}"' in text for name in figures)
    assert text.count("<audio") == 8


def test_a_learning_rate_is_suggested_and_a_training_stops_early(kit, job, tmp_path):
    options = (*FEATURES, *NETWORK)
    before = sorted(job.run.rglob("*"))
    result = kit("lr-find", job.catalogue, *options, "--steps", "60", "--out", tmp_path / "lr")
    assert result.code == 0
    assert names(tmp_path / "lr") == ["lr_find.csv", "lr_find.svg"]
    rows = list(csv.DictReader((tmp_path / "lr/lr_find.csv").read_text().splitlines()))
    assert list(rows[0]) == ["learning_rate", "loss", "smoothed_loss"]
    suggested = result.out.strip()
    assert f"try --train.learning-rate {suggested}" in result.err
    assert float(rows[0]["learning_rate"]) < float(suggested) < float(rows[-1]["learning_rate"])
    assert sorted(job.run.rglob("*")) == before
    assert (
        "--steps is 3; it must be at least 20"
        in kit("lr-find", job.catalogue, *options, "--steps", "3").line
    )

    stops = ("--train.epochs", "50", "--train.patience", "2", "--runs", tmp_path / "runs")
    result = kit("train", job.catalogue, *options, *stops, "--memory-gib", "0")
    assert result.code == 0
    assert "features are read batch by batch: 0.00 GiB, more than 0 GiB" in result.err
    epochs = len((Path(result.out.strip()) / "metrics.jsonl").read_text().splitlines())
    assert f"stopped after epoch {epochs} of 50: no better validation score for 2" in result.err


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_folds_and_members_from_training_to_prediction(kit, job, tmp_path):
    runs = tmp_path / "runs"
    train = ("train", job.catalogue, *FEATURES, *NETWORK, "--runs", runs, "--train.epochs", "2")
    train = (*train, "--split.folds", "2", "--train.members", "2")
    result = kit(*train)
    assert result.code == 0
    run = Path(result.out.strip())
    assert "Folds by artist: 8 artists, none in two folds" in result.err
    assert f"\ntrained 4 networks: {run}\n" in result.err
    assert f"already trained 4 networks: {run}; --fresh trains them again" in kit(*train).err

    result = kit("evaluate", run)
    assert result.code == 0
    assert " of 16 tracks right: " in result.err
    assert "2 folds: " in result.err
    assert f"report: {run / 'report.html'}" in result.err
    assert "8 test tracks right" in kit("evaluate", run / "fold-0").err
    assert kit("evaluate", run / "fold-0/member-1").code == 0
    assert (
        f"kit evaluate {run / 'fold-0'} --part train" in kit("evaluate", run, "--part", "train").err
    )

    (row,) = json.loads(kit("runs", runs, "--format", "json").out)
    assert (row["run"], row["state"], row["tracks"]) == (str(run), "finished", 16)
    answers = [
        json.loads(kit("predict", place, job.music / "high/00.flac").out)["probabilities"]["high"]
        for place in (run, run / "fold-0", run / "fold-1")
    ]
    assert min(answers[1:]) <= answers[0] <= max(answers[1:])

    result = kit(*train[:-4], "--split.folds", "5")
    assert result.code == 2
    assert "label 'high' has only 4 artists (8 tracks)" in result.err
    assert "--split.folds 4 or --split.by track" in result.err


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_tables_are_explored_with_or_without_audio(kit, job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"t{i},{120 + i % 7},{0.1 * (i % 9)},{i % 12}" for i in range(20)]
    head = "track_id,tempo,energy,key"
    Path("techno.csv").write_text("\n".join([head, *rows[:10], rows[0]]) + "\n")
    Path("edm.csv").write_text("\n".join([head, *rows[10:]]) + "\n")
    result = kit("explore", "techno.csv", "edm.csv")
    assert result.code == 0
    said = "techno.csv has 1 id more than once; its first row is kept: t0"
    assert said in result.err
    assert said in Path("explore/explore.html").read_text()
    assert "There are no figures of audio" in result.err
    made = {path.stem for path in Path("explore").iterdir()}
    assert made == {"explore", "map", "overlaid", "ranking", "histograms-edm", "histograms-techno"}

    # A catalogue beside them, a track of it in detail, and a table whose files have gone.
    Path("gone.csv").write_text(f"{head},path\ng,120,0.5,1,nowhere.mp3\n")
    chosen = load(job.catalogue).table["track_id"][3]
    options = (*FEATURES, "--count", "1", "--track", chosen, "--out", "all")
    result = kit("explore", "techno.csv", "gone.csv", job.catalogue, *options)
    assert result.code == 0
    assert "11 of 27 tracks have no audio file." in result.err
    assert Path(f"all/track-{chosen}.svg").is_file()

    assert "no features of the source 'x'" in kit("explore", "edm.csv", "--source", "x").line
    assert "there is no track 'x'" in kit("explore", "edm.csv", "--track", "x").line
    assert "no catalogue given" in kit("explore").line
    assert "none.csv cannot be read" in kit("explore", "none.csv").line


def test_runs_by_name_and_the_newest(kit, job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, stamp in (("train", "20260101-000000"), ("other", "20260102-000000")):
        shutil.copytree(job.run, tmp_path / f"runs/{name}/{stamp}-0123abcd")
    newest = Path("runs/other/20260102-000000-0123abcd")
    assert f"run: {newest}" in kit("evaluate").err
    assert "report.html" in names(newest)
    assert kit("evaluate", "train", newest, "--part", "validation").code == 0
    assert "report-validation.html" in names(Path("runs/train/20260101-000000-0123abcd"))

    rows = json.loads(kit("runs", "--format", "json").out)
    assert [row["experiment"] for row in rows] == ["other", "train"]
    assert rows[0] | {"accuracy": 1.0, "tracks": 4, "state": "finished"} == rows[0]
    assert rows[0]["started"] == "2026-01-02 00:00:00"
    assert 0 < rows[0]["low"] < rows[0]["high"] <= 1
    assert rows[1]["accuracy"] is None
    table = list(csv.DictReader(io.StringIO(kit("runs", "--format", "csv").out)))
    assert [row["run"] for row in table] == [row["run"] for row in rows]
    head, first, second = kit("runs").out.splitlines()
    assert head.split()[:3] == ["run", "experiment", "started"]
    assert first.startswith(str(newest))
    assert "finished" in second
    (newest / "metrics.jsonl").write_text("{")
    assert "damaged" in kit("runs").out.splitlines()[1]

    result = kit("predict", "train", job.music / "low", "--format", "table")
    assert [line.split()[0] for line in result.out.splitlines()] == ["low"] * 8


# --- bad input: folders of audio


def test_an_empty_folder(kit, tmp_path):
    (tmp_path / "empty").mkdir()
    result = kit("scan", tmp_path / "empty", "--out", tmp_path / "data")
    assert result.code == 2
    assert "no audio in the subfolders" in result.line
    result = kit("scan", tmp_path / "none", "--out", tmp_path / "data")
    assert result.code == 2
    assert "does not exist" in result.line
    assert names(tmp_path) == ["empty"]


def test_one_label_only(kit, write_music, tmp_path):
    shutil.rmtree(write_music(tmp_path / "music", 2) / "low")
    data = tmp_path / "data"
    result = kit("scan", tmp_path / "music", "--out", data)
    assert result.code == 0
    assert "warning: there is only one label, 'high'" in result.err
    result = kit("train", data, *FEATURES, *NETWORK, "--runs", tmp_path / "runs")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("kit: the catalogue has 1 label")
    assert names(tmp_path) == ["data", "music"]


def zoo(music):
    """Every kind of odd file beside four good ones; the reasons of those that cannot be used."""
    good = (music / "low/00.flac").read_bytes()
    low = music / "low"
    (low / "text.mp3").write_text("So it goes.\n" * 100)
    (low / "zero.mp3").touch()
    soundfile.write(low / "cut.mp3", noise(3), 8000)
    (low / "cut.mp3").write_bytes((low / "cut.mp3").read_bytes()[:4000])
    (low / "cut.flac").write_bytes(good[: len(good) // 2])
    soundfile.write(low / "short.wav", noise(0.2), 8000)
    x = noise(2)
    x[4000] = np.nan
    soundfile.write(low / "nan.wav", x, 8000, subtype="FLOAT")
    soundfile.write(low / "eight.wav", noise(2, 8000, 8), 8000)
    soundfile.write(low / "fast.flac", noise(2, 192000, 2), 192000)
    soundfile.write(low / "shut.wav", noise(2, seed=1), 8000)
    (low / "shut.wav").chmod(0)
    (low / 'Ünï 音楽 "q" ,;\'$(x).flac').write_bytes(good + b"1")
    (low / ("ł" * 120 + ".flac")).write_bytes(good + b"2")
    (low / "folder.mp3").mkdir()
    os.mkfifo(low / "pipe.mp3")
    (low / "gone.mp3").symlink_to(music / "nowhere.mp3")
    (low / "self.mp3").symlink_to(low / "self.mp3")
    (low / "loop").symlink_to(music)
    (music / "high/up").symlink_to(low)
    return {
        "low/text.mp3": "not_audio",
        "low/zero.mp3": "empty",
        "low/cut.mp3": "truncated",
        "low/cut.flac": "truncated",
        "low/shut.wav": "unreadable",
        "low/pipe.mp3": "unreadable",
        "low/gone.mp3": "unreadable",
        "low/self.mp3": "unreadable",
    }


def test_a_folder_of_every_odd_file(kit, job, write_music, tmp_path, unprivileged):
    music = write_music(tmp_path / "music", 2)
    bad = zoo(music)
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    with unprivileged():
        result = kit("scan", music, "--out", data)
        assert result.code == 1
        assert result.err.splitlines()[-1].startswith("warning: 8 left out (")
        assert {f.path: f.reason for f in read_failures(data)} == bad
        assert "10 tracks (8 low, 2 high)" in result.err

        result = kit("features", data, *FEATURES)
        assert result.code == 1
        assert "features of 8 tracks" in result.err
        assert "warning: features: 2 left out (" in result.err
    rows = read_failures(data)
    late = {Path(f.path).name: f.reason for f in rows if f.stage == "features"}
    assert late == {"short.wav": "too_short", "nan.wav": "non_finite"}
    assert all(f.message.isprintable() for f in rows)
    assert "is 0.200 s long, 0.992 s are needed" in "".join(f.message for f in rows)

    # Eight channels and 192 kHz are as good as any.
    catalogue = load(data)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    ids = dict(zip(catalogue.table["path"], catalogue.table["track_id"], strict=True))
    for name in ("low/eight.wav", "low/fast.flac"):
        y, sr = librosa.load(music / name, sr=8000, offset=0.45, duration=1.1)
        mel = librosa.feature.melspectrogram(y=y, sr=sr, n_fft=512, hop_length=256, n_mels=16)
        want = librosa.power_to_db(mel, ref=np.max)[:, :32].T
        # librosa cuts before it resamples, so the edges of its cut sound differ.
        np.testing.assert_allclose(store.read([ids[name]])[0], want, atol=0.02)

    shut = [music / name for name in ("low/cut.flac", "low/nan.wav", "low/short.wav", *bad)]
    (music / "low/shut.wav").unlink()
    result = kit("predict", job.run, *shut, music / "low/eight.wav", tmp_path / "no.mp3")
    assert result.code == 1
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [Path(row["path"]) for row in rows if row["label"]] == [music / "low/eight.wav"]
    said = {f"low/{Path(row['path']).name}": row["reason"] for row in rows}
    assert said.items() >= bad.items()
    first, *lines, last = result.err.splitlines()
    assert "this network was not evaluated" in first
    assert "a network trained with" in last
    for line, path in zip(lines, dict.fromkeys([*shut, tmp_path / "no.mp3"]), strict=True):
        assert line.startswith("warning: ")
        assert str(path) in line


def test_only_bad_files(kit, tmp_path):
    (tmp_path / "music/a").mkdir(parents=True)
    (tmp_path / "music/a/x.mp3").write_text("text")
    result = kit("scan", tmp_path / "music", "--out", tmp_path / "data")
    assert result.code == 2
    assert "none of the 1 audio files" in result.line
    assert names(tmp_path) == ["music"]


def test_audio_that_is_too_short_for_the_configuration(kit, write_music, tmp_path):
    music, data = write_music(tmp_path / "music", 2), tmp_path / "data"
    kit("scan", music, "--out", data)
    result = kit("train", data, "--runs", tmp_path / "runs")
    assert result.code == 1
    assert "no track can be used; features: 4 left out (4 shorter than 3 s: 1.3 s;" in result.line
    assert "--features.least-s 1.3 --segments.frames 32" in result.line
    assert str(data / "failures.csv") in result.line
    assert names(tmp_path) == ["data", "music"]


def test_artists_from_the_names_of_files(kit, tmp_path):
    for at, name in enumerate(("techno/Ann - Bell.wav", "techno/x.wav", "edm/01 - Bo - Cat.wav")):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(0.2, seed=at), 8000)
    scan = ("scan", tmp_path / "music", "--out", tmp_path / "data")
    result = kit(*scan)
    assert result.code == 0
    assert "warning: 3 of 3 tracks have no artist" in result.err
    assert (
        '2 of their file names look like "Artist - Title": add --artist-from filename' in result.err
    )
    result = kit(*scan, "--artist-from", "filename")
    assert result.code == 0
    assert "warning: 1 of 3 tracks has no artist" in result.err
    assert list(load(tmp_path / "data").table["artists"]) == ["Bo", "Ann", ""]
    assert kit(*scan, "--artist-from", "tags").code == 2


def test_music_that_has_moved(kit, write_music, tmp_path):
    music, data = write_music(tmp_path / "music", 2), tmp_path / "data"
    kit("scan", music, "--out", data)
    kit("features", data, *FEATURES)
    music.rename(tmp_path / "moved")
    said = f"none of the audio of {data} is still in {music}"
    # What is stored already needs no audio.
    assert kit("features", data, *FEATURES).code == 0
    for command in ("features", "describe"):
        result = kit(command, data)
        assert result.code == 1
        assert said in result.line
    result = kit("explore", data, *FEATURES, "--features.n-frames", "30", "--count", "1")
    assert [line for line in result.err.splitlines() if line.startswith("warning")] == [
        line for line in result.err.splitlines() if said in line
    ]
    assert result.err.count(said) == 1
    kit("scan", tmp_path / "moved", "--out", data)
    assert "0 computed now" in kit("features", data, *FEATURES).err


# --- bad input: tables


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "does not exist"),
        ("", "no tracks"),
        ("track_id,label\n", "no tracks"),
        ("name,label\na,b\n", "names its columns, with path, track_id, or artist and title"),
        ("track_id,label\na,\n", "line 2, column label is empty"),
        ("track_id,label\nx/y,b\n", "line 2, column track_id is 'x/y'"),
        ("track_id,label\na,b,c\n", "line 2 has 3 cells"),
        ("track_id,label,path\na,b,../outside.wav\n", "'../outside.wav' is outside"),
        ("track_id,label,path\na,b,/etc/passwd\n", "'/etc/passwd' is outside"),
        ("track_id,label,path\na,b,none.wav\n", "none.wav does not exist"),
        ("track_id,label,path\na,b,table.csv\n", "not audio"),
        ("PK\x03\x04", "is a spreadsheet or an archive, which kit does not read"),
    ],
)
def test_a_table_that_cannot_be_read(kit, tmp_path, text, says):
    path = tmp_path / "in/table.csv"
    path.parent.mkdir()
    if text is not None:
        path.write_text(text, encoding="latin-1")
    result = kit("scan", path, "--out", tmp_path / "data")
    assert result.code == 2
    assert says in result.line
    assert names(tmp_path) == ["in"]


def test_labels_put_right_by_hand_survive_the_next_scan(kit, job, tmp_path):
    scan = ("scan", job.music, "--label", "x", "--out", tmp_path / "data")
    kit(*scan)
    path = tmp_path / "data/tracks.csv"
    path.write_text(path.read_text().replace(",x,low/00.flac", ",y,low/00.flac"))
    for _ in range(2):
        assert "since the last scan are kept: 1 of label" in kit(*scan).err
        table = load(tmp_path / "data").table
        assert table.set_index("path")["label"]["low/00.flac"] == "y"


def test_a_table_with_some_bad_rows(kit, job, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "track_id,label,path\na,x,low/00.flac\nb,y,../low.flac\nc,x,none.flac\nd,y,high/00.flac\n"
    )
    result = kit("scan", path, "--out", tmp_path / "data", "--audio-root", job.music)
    assert result.code == 1
    assert "2 tracks (1 x, 1 y)" in result.err
    found = {f.track_id: f.reason for f in read_failures(tmp_path / "data")}
    assert found == {"b": "path_outside", "c": "missing_file"}


# --- bad input: runs, catalogues and configurations


def test_a_folder_that_is_no_catalogue(kit, tmp_path):
    for command in ("features", "train", "explore"):
        result = kit(command, tmp_path)
        assert result.code == 2
        assert "is not a catalogue" in result.line
    assert names(tmp_path) == []


def test_a_folder_that_may_not_be_entered(kit, job, tmp_path, unprivileged):
    data = Path(shutil.copytree(job.catalogue, tmp_path / "shut/data"))
    run = Path(shutil.copytree(job.run, tmp_path / "shut/run"))
    (tmp_path / "shut").chmod(0)
    try:
        with unprivileged():
            for arguments in (
                ("features", data, *FEATURES),
                ("train", data, *FEATURES, *NETWORK),
                ("explore", data),
                ("evaluate", run),
                ("predict", run, job.music / "low/00.flac"),
                ("scan", data, "--out", tmp_path / "new"),
                ("scan", job.music, "--out", data),
            ):
                result = kit(*arguments)
                assert result.code in (1, 2)
                assert "shut" in result.line or "permission" in result.line.lower()
    finally:
        (tmp_path / "shut").chmod(0o700)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("features", "{data}", "--features.n-frames", "0"), "--features.n-frames is 0"),
        (
            ("features", "{data}", "--features.frontend.fmax", "9e9"),
            "--features.frontend.fmax is 9",
        ),
        (("train", "{data}", "--train.epochs", "0"), "--train.epochs is 0"),
        (("train", "{data}", "--name", "a/b"), "--name is 'a/b'"),
        (("train", "{data}", *FEATURES, *NETWORK, "--model.name", "x"), "--model.name is 'x'"),
        (("train", "{data}", *FEATURES, "--segments.frames", "64"), "--segments.frames is 64"),
        (("train", "{data}", *FEATURES, *NETWORK, "--split.by", "mood"), "no column 'mood'"),
        (("explore", "{data}", "--count", "0"), "count is 0"),
        (("demo", "--demo.tracks", "2"), "--demo.tracks is 2"),
        (("demo", "--demo.artists", "5"), "--demo.artists is 5"),
        (("demo", "--demo.duration-s", "2"), "--demo.duration-s is 2"),
        (("demo", "--small", "--demo.tracks", "30"), "--small chooses the tracks"),
        (("predict", "{run}"), "no audio file"),
        (("serve", "--host", "0.0.0.0"), "--host is 0.0.0.0; the page has no password"),
        (("serve", "--port", "70000"), "--port is 70000"),
        (("serve", "--max-minutes", "0"), "--max-minutes is 0"),
        (("serve", "--runs", "nowhere"), "nowhere has no run"),
        (("predict", "{run}", "x.mp3", "--risk", "0"), "--risk is 0"),
        (("predict", "{run}", "x.mp3", "--timeout-s", "0"), "--timeout-s is 0"),
        (("predict", "{run}", "x.mp3", "--fresh"), "add --out FILE"),
        (("predict", "{run}", "x.mp3", "--out", "x.txt"), "its ending, .csv, .json or .jsonl"),
        (("predict", "{run}", "x.mp3", "--out", "x.csv", "--format", "json"), "leave out --format"),
    ],
)
def test_a_request_that_cannot_be_met(kit, job, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    data = shutil.copytree(job.catalogue, tmp_path / "data")
    filled = [str(a).format(data=data, run=job.run) for a in arguments]
    result = kit(*filled)
    assert result.code == 2
    assert says in result.err.splitlines()[-1]
    assert result.err.splitlines()[-1].startswith("kit: ")
    assert names(tmp_path) == ["data"]


def test_no_run_there(kit, tmp_path):
    for arguments in (("evaluate", tmp_path / "no"), ("predict", tmp_path / "no", "x.mp3")):
        result = kit(*arguments)
        assert result.code == 2
        assert "neither a run's folder nor an experiment" in result.line
    for command in (("evaluate",), ("predict", "x"), ("runs",)):
        more = ("x.mp3",) if command[0] == "predict" else ()
        where = () if command[0] == "runs" else ("--runs",)
        assert kit(*command, *more, *where, tmp_path / "none").code == 2
    for command in ("evaluate", "train", "features", "describe", "explore", "scan"):
        given = ("--catalogue",) if command == "evaluate" else ()
        out = ("--out", tmp_path / "out") if command == "scan" else ()
        assert kit(command, *given, tmp_path / "none", *out).code == 2
    for command in ("match", "previews"):
        more = (tmp_path,) if command == "match" else ()
        assert kit("ingest", command, tmp_path / "none", *more).code == 2
    assert names(tmp_path) == []


def test_a_checkpoint_of_another_model(kit, job, tmp_path):
    run = Path(shutil.copytree(job.run, tmp_path / "run"))
    with Checkpoints(run / "checkpoints", read_only=True) as checkpoints:
        step, _, meta = checkpoints.read("best", template_of)
    shutil.rmtree(run / "checkpoints")
    wider = dataclasses.replace(job.experiment.model, dense=9)
    with Checkpoints(run / "checkpoints") as checkpoints:
        state = init_state(build(wider, n_mels=16, n_classes=2), job.experiment.train)
        checkpoints.save(step, state, meta, 0.5)
        checkpoints.wait()
    result = kit("predict", run, job.music / "low/00.flac")
    assert result.code == 1
    assert "holds another network" in result.line


def test_an_unknown_label_at_evaluation(kit, job, write_music, tmp_path):
    music = write_music(tmp_path / "music", 2, seconds=1.2)
    (music / "low").rename(music / "middle")
    save(from_folder(music), tmp_path / "data")
    result = kit("evaluate", job.run, "--catalogue", tmp_path / "data", "--part", "all")
    assert result.code == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("kit: 2 tracks have a label that this run does not know, such as 'mid")
    result = kit("evaluate", job.run, "--catalogue", tmp_path / "data")
    assert result.code == 1
    assert "--part all" in result.line
    assert "evaluation.json" not in names(job.run)


def test_debug_shows_where_an_error_comes_from(monkeypatch, tmp_path):
    from kit.errors import UsageError

    monkeypatch.setattr(sys, "argv", ["kit", "scan", "--debug", str(tmp_path), "--out", "x"])
    with pytest.raises(UsageError, match="no audio"):
        main()


# --- a full disk


def refused(result):
    """The last line of a run that met a full disk."""
    assert result.code == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("kit: cannot write")
    assert "free some space" in last
    assert sum(line.startswith("kit: ") for line in result.err.splitlines()) == 1


def leftovers(folder):
    return [p for p in folder.rglob(".*") if p.is_file() and p.suffix != ".lock"]


def test_a_full_disk_at_each_stage(kit, job, music, tmp_path, full_disk):
    data, runs = tmp_path / "data", tmp_path / "runs"
    with full_disk(1000):
        refused(kit("scan", music, "--out", data))
    assert names(data) == []
    kit("scan", music, "--out", data)
    before = {p.name: p.read_bytes() for p in data.iterdir()}
    with full_disk(1000):
        refused(kit("scan", music, "--out", data))
    assert {p.name: p.read_bytes() for p in data.iterdir()} == before

    with full_disk(4000):
        refused(kit("features", data, *FEATURES))
    assert kit("features", data, *FEATURES).code == 0
    with full_disk(4000):
        refused(kit("features", data, *FEATURES, "--export", "npy"))
    assert names(data) == [
        "catalogue.json",
        "failures.csv",
        "features",
        "scanned.csv",
        "tracks.csv",
    ]

    with full_disk(1000):
        refused(kit("train", data, *FEATURES, *NETWORK, "--runs", runs))
    assert [name for name in names(runs / "train") if not name.endswith(".lock")] == []

    run = Path(shutil.copytree(job.run, tmp_path / "run"))
    with full_disk(2000):
        refused(kit("evaluate", run))
        refused(kit("explore", data, *FEATURES, "--count", "1"))
        refused(kit("predict", run, music, "--out", tmp_path / "a.csv"))
    assert names(run) == names(job.run)
    assert names(data / "explore") == []
    # Whole rows, and the part of one, which the next run removes.
    assert (tmp_path / "a.csv").read_text().startswith("path,start_s")
    assert kit("predict", run, music, "--out", tmp_path / "a.csv").code == 0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 17
    assert leftovers(tmp_path) == []


# --- real processes


def test_a_full_disk_and_a_closed_pipe_in_a_new_process(music, job, tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "KIT": sys.executable}
    environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()
    # Eight KiB: enough for the configuration, not for a checkpoint.
    shell = 'ulimit -f 8; exec "$KIT" -m kit train "$1" "${@:3}" --runs "$2"'
    data = shutil.copytree(job.catalogue, tmp_path / "data")
    arguments = [data, tmp_path / "runs", *FEATURES, *NETWORK]
    result = subprocess.run(
        ["bash", "-c", shell, "bash", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("kit: cannot write")
    assert list((tmp_path / "runs").rglob("*orbax*")) == []
    # The features and where they are, progress now and then, and the refusal.
    said = ("features of", "features are held", "train ")
    assert all(line.startswith(said) for line in lines[:-1]), result.stderr

    shell = '"$KIT" -m kit predict "$@" | true; exit "${PIPESTATUS[0]}"'
    files = [job.music / "low"]
    result = subprocess.run(
        ["bash", "-c", shell, "bash", str(job.run), *map(str, files)],
        capture_output=True,
        text=True,
        env=environment,
    )
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: this network was not evaluated, so calibrated, uncertain and")
    assert result.returncode in (0, 1)


def test_the_demo_with_a_few_short_tracks(kit, tmp_path):
    options = ("--demo.tracks", "6", "--demo.artists", "6", "--demo.duration-s", "3.1")
    where = ("--data", tmp_path / "data", "--runs", tmp_path / "runs")
    result = kit("demo", *options, *where, "--train.epochs", "1")
    assert result.code == 0
    (run,) = (tmp_path / "runs/demo").glob("2*")
    assert "report.html" in names(run)
    assert f"report: {run / 'report.html'}" in result.err
    assert len(list((tmp_path / "data/audio").rglob("*.mp3"))) == 6

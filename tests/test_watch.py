import io
import json
import shutil
import struct
import subprocess
import sys
import time

import pytest
from rich.console import Console

from kit.cli.stages.watching import course, drawn
from kit.cli.watch import watch
from kit.errors import UsageError
from kit.training.run import Run


def watched(*arguments):
    command = [sys.executable, "-m", "kit", "watch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_follows_a_training_to_its_end(job, tmp_path):
    """The last epoch and its checkpoint come while it looks."""
    run = Run(shutil.copytree(job.run, tmp_path / "run"))
    lines = (run.folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    last = run.checkpoints / str(json.loads(lines[-1])["step"])
    last.rename(tmp_path / "last")
    (run.folder / "metrics.jsonl").write_text("".join(lines[:2]))
    child = watched(run.folder, "--every-s", 0.05)
    assert child.stdout
    shown = [child.stdout.readline().split("\t")[0] for _ in range(3)]
    assert shown == ["epoch", "1", "2"]
    assert child.poll() is None
    run.write_metrics([json.loads(line) for line in lines])
    assert [child.stdout.readline().split("\t")[0] for _ in range(2)] == ["3", "4"]
    time.sleep(0.2)
    assert child.poll() is None  # its checkpoint is not whole yet
    (tmp_path / "last").rename(last)
    rest, error = child.communicate(timeout=60)
    assert (child.returncode, rest, error) == (0, "", "")


def test_a_run_that_has_ended_once_and_for_tensorboard(job, tmp_path):
    run = Run(shutil.copytree(job.run, tmp_path / "run"))
    child = watched(run.folder, "--once", "--tensorboard")
    out, error = child.communicate(timeout=120)
    assert (child.returncode, error) == (0, "")
    assert len(out.splitlines()) == 1 + len(run.metrics())
    (file,) = (run.folder / "tensorboard").iterdir()
    found = dict(scalars(file.read_bytes()))
    for row in run.metrics():
        assert found["loss/train", row["step"]] == pytest.approx(row["train_loss"])
        assert found["accuracy/validation", row["step"]] == row["validation_accuracy"]
        assert found["learning_rate", row["step"]] == pytest.approx(row["learning_rate"])


def scalars(data):
    """Yield ((tag, step), value) of an event file: records of a length, a sum, an event, a sum."""
    from tensorboardX.proto.event_pb2 import Event

    while data:
        (size,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + size])
        for value in event.summary.value:
            yield (value.tag, event.step), value.simple_value
        data = data[16 + size :]


def text_of(run, rows, ended):
    console = Console(file=io.StringIO(), width=400)
    console.print(drawn(run.folder, run.experiment(), rows, ended))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_a_terminal_shows(job):
    run = Run(job.run)
    rows = run.metrics()
    assert "finished, 4 epochs" in text_of(run, rows, ended=True)
    assert "no epoch of 4 has ended yet" in text_of(run, [], ended=False)
    first = [row | {"seconds": 30.0} for row in rows[:3]]
    text = text_of(run, first, ended=False)
    assert "3 of 4 epochs, about 00:00:30 of training left" in text
    assert "validation loss" in text
    no_validation = [row | {"validation_loss": None, "validation_accuracy": None} for row in first]
    assert "–" in text_of(run, no_validation, ended=False)


def test_a_course_of_blocks():
    assert course([0.0, 3.5, None, 7.0]) == "▁▅█"
    assert course([1.0, 1.0]) == "▁▁"
    assert course([None]) == ""
    assert course([float(i) for i in range(200)], width=50)[::49] == "▁█"
    assert len(course([1.0] * 61, width=60)) == 31


def test_bad_arguments(job, tmp_path):
    with pytest.raises(UsageError, match="neither a run's folder nor an experiment"):
        watch(tmp_path)
    with pytest.raises(UsageError, match="has no run; train one"):
        watch(runs=tmp_path)
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="give seconds above 0"):
            watch(job.run, every_s=seconds)

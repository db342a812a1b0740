import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import pytest

from kit.config import SplitConfig, to_json
from kit.errors import KitError
from kit.models import build
from kit.training import Run, fit, restore
from kit.training.checkpoint import Checkpoints
from kit.training.state import init_state


def last_state(run):
    config = run.experiment()
    network = build(config.model, n_mels=8, n_classes=2)
    template = jax.eval_shape(lambda: init_state(network, config.train))
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        return checkpoints.restore(checkpoints.step("last"), template)


def without_times(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(last_state(a)), jax.tree.leaves(last_state(b)), strict=True):
        np.testing.assert_array_equal(x, y)
    assert without_times(a.metrics()) == without_times(b.metrics())


def test_it_learns_and_writes_what_it_should(experiment, tmp_path):
    seen = []
    run = fit(experiment(epochs=12), runs=tmp_path / "runs", progress=seen.append)
    rows = run.metrics()
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["validation_accuracy"] > 0.9
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert [p.step for p in seen] == list(range(1, rows[-1]["step"] + 1))
    assert run.experiment() == experiment(epochs=12)
    assert run.folder.parent == tmp_path / "runs" / "small"
    parts = run.split()
    assert set(parts["part"]) == {"train", "validation", "test"}
    assert not parts["track_id"].duplicated().any()


def test_the_same_experiment_is_not_trained_twice(experiment, whole):
    runs = whole.folder.parent.parent
    before = {p: p.stat().st_mtime_ns for p in whole.folder.rglob("*") if p.is_file()}
    assert fit(experiment(), runs=runs) == whole
    assert {p: p.stat().st_mtime_ns for p in whole.folder.rglob("*") if p.is_file()} == before
    other = fit(experiment(seed=1, epochs=1), runs=runs)
    assert other != whole


def test_fresh_starts_anew_and_ends_the_same(experiment, whole):
    time.sleep(1.1)  # a folder's name has seconds
    again = fit(experiment(), runs=whole.folder.parent.parent, fresh=True)
    assert again != whole
    assert_same(whole, again)


class StopError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 6, 7, 13])
def test_interrupted_and_resumed_ends_in_the_same_bits(experiment, whole, tmp_path, at):

    def stop(progress):
        if progress.step == at:
            raise StopError

    with pytest.raises(StopError):
        fit(experiment(), runs=tmp_path / "cut", progress=stop)
    assert_same(whole, fit(experiment(), runs=tmp_path / "cut"))


TRAIN = """
import sys
from kit.config import Experiment, from_json
from kit.training import fit
fit(
    from_json(Experiment, sys.argv[1]),
    runs=sys.argv[2],
    progress=lambda p: print(p.step, flush=True),
)
"""


def test_killed_at_random_steps_and_resumed_ends_in_the_same_bits(experiment, whole, tmp_path):
    config = experiment()
    total = whole.metrics()[-1]["step"]
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    kills = 0
    for _ in range(2):
        at = int(rng.integers(1, total))
        command = [sys.executable, "-c", textwrap.dedent(TRAIN), to_json(config)]
        with subprocess.Popen(
            [*command, str(tmp_path / "cut")], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout:
                if int(line) >= at:
                    process.send_signal(signal.SIGKILL)
                    break
        kills += process.returncode == -signal.SIGKILL
    assert kills
    assert_same(whole, fit(config, runs=tmp_path / "cut"))


def test_restored_anywhere(experiment, tmp_path):
    run = fit(experiment(epochs=8), runs=tmp_path / "runs")
    moved = run.folder.rename(tmp_path / "moved ü")
    # Nothing but the checkpoints is needed.
    for name in ("config.json", "split.csv", "metrics.jsonl"):
        (moved / name).unlink()
    for which in ("best", "last"):
        restored = restore(moved, which)
        assert restored.labels == ("edm", "techno")
        assert restored.experiment == experiment(epochs=8)
        assert sum(restored.train_counts) > 0
        x = np.random.default_rng(1).normal(-40, 5, (300, 16, 8)).astype(np.float32)
        x[150:, :, 3] += 10
        p = restored.log_probabilities(x)
        assert p.shape == (300, 2)
        np.testing.assert_allclose(np.exp(p).sum(1), 1, rtol=1e-5)
        assert (p.argmax(1) == np.repeat([0, 1], 150)).mean() > 0.9
    assert restored.log_probabilities(x[:0]).shape == (0, 2)


def test_eight_devices_train_and_one_restores(experiment, whole, tmp_path):
    config = experiment()
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-c", textwrap.dedent(TRAIN), to_json(config), str(tmp_path / "m")]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    (folder,) = (tmp_path / "m" / "small").iterdir()
    eight = Run(folder)
    # Sums over devices are added in another order, and training amplifies that: the first epoch.
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(eight.metrics()[0][name], whole.metrics()[0][name], rtol=1e-3)
    x = np.random.default_rng(0).normal(-40, 5, (3, 16, 8)).astype(np.float32)
    assert np.isfinite(restore(eight.folder).log_probabilities(x)).all()


def test_no_features(experiment, catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "copy")
    config = dataclasses.replace(experiment(), catalogue=str(copy))
    for file in sorted(copy.glob("features/*.zarr/zarr.json")):
        file.unlink()
    with pytest.raises(KitError, match="run `kit features`"):
        fit(config, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_stops(experiment, tmp_path):
    with pytest.raises(KitError, match=r"after epoch \d+; lower train.learning_rate"):
        fit(experiment(learning_rate=1e30), runs=tmp_path / "runs")


def test_no_validation_part_means_the_last_is_the_best(experiment, tmp_path):
    config = dataclasses.replace(
        experiment(epochs=2), split=SplitConfig(by="random", validation_fraction=0.0)
    )
    run = fit(config, runs=tmp_path / "runs")
    assert all(row["validation_loss"] is None for row in run.metrics())
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        assert checkpoints.step("best") == checkpoints.step("last") == run.metrics()[-1]["step"]


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(KitError, match="not a folder"):
        restore(tmp_path / "none")
    with pytest.raises(KitError, match="holds no checkpoint"):
        restore(tmp_path)
    with pytest.raises(KitError, match="is not a run"):
        Run(tmp_path).experiment()
    with pytest.raises(KitError, match="missing"):
        Run(tmp_path).split()


def test_metrics_are_json_lines(experiment, tmp_path):
    run = fit(experiment(epochs=1), runs=tmp_path / "runs")
    (line,) = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert {"step", "epoch", "train_loss", "validation_loss", "seconds"} <= set(json.loads(line))

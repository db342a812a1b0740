import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from kit.catalogue import load
from kit.config import Conv1DConfig, SegmentConfig, SplitConfig, to_json
from kit.errors import ConfigError, KitError, KitWarning, UsageError
from kit.features import FeatureStore, store_path
from kit.references import resolve
from kit.training import Run, fit, restore
from kit.training.checkpoint import Checkpoints
from tests.training.saved import saved

OWN = Path(__file__).with_name("own.py")
TIMES = ("seconds", "segments_per_s")


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def assert_same(a, b):
    one, two = saved(a).state, saved(b).state
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    assert without_times(a.metrics()) == without_times(b.metrics())


@pytest.fixture(scope="module")
def own(experiment):
    """A short experiment with a network of one's own: dropout, batch norm, another variable."""
    model = resolve(f"{OWN}:MineConfig")()
    return dataclasses.replace(experiment(epochs=2), model=model)


@pytest.fixture(scope="module")
def own_whole(own, tmp_path_factory):
    return fit(own, runs=tmp_path_factory.mktemp("own"))


def test_it_learns_and_writes_what_it_should(experiment, tmp_path):
    seen = []
    run = fit(experiment(epochs=12), runs=tmp_path / "runs", progress=seen.append)
    rows = run.metrics()
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["validation_accuracy"] > 0.9
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert all(row["grad_norm"] > 0 for row in rows)
    assert [p.step for p in seen] == list(range(1, rows[-1]["step"] + 1))
    assert all(p.path.startswith("features are held on the cpu: 0.00 GiB") for p in seen)
    assert run.experiment() == experiment(epochs=12)
    assert run.folder.parent == tmp_path / "runs" / "small"
    assert run.finished()
    parts = run.split()
    assert set(parts["part"]) == {"train", "validation", "test"}
    assert not parts["track_id"].duplicated().any()
    facts = run.facts()
    assert facts["labels"] == ["edm", "techno"]
    assert facts["kept_apart"]["by"] == "artist"
    assert facts["kept_apart"]["values"] == 12


def test_a_finished_run_is_found_without_reading_features(experiment, catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "copy")
    config = dataclasses.replace(experiment(epochs=1), catalogue=str(copy))
    run = fit(config, runs=tmp_path / "runs")
    for shard in copy.glob("features/*.zarr/log_mel/c"):
        shutil.rmtree(shard)
    before = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()}
    assert fit(config, runs=tmp_path / "runs") == run
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()} == before
    with pytest.raises(KitError):  # a new one needs them
        fit(dataclasses.replace(config, segments=SegmentConfig(frames=15)), runs=tmp_path / "runs")


def test_another_experiment_is_another_run(experiment, whole):
    runs = whole.folder.parent.parent
    assert fit(experiment(), runs=runs) == whole
    assert fit(experiment(seed=1, epochs=1), runs=runs) != whole


def test_the_same_catalogue_by_another_path_is_the_same_run(
    experiment, catalogue, whole, monkeypatch
):
    monkeypatch.chdir(catalogue.parent)
    relative = dataclasses.replace(experiment(), catalogue=catalogue.name)
    run = fit(relative, runs=whole.folder.parent.parent)
    assert run == whole
    assert run.experiment().catalogue == str(catalogue.resolve())
    assert fit(relative, catalogue=load(catalogue), runs=whole.folder.parent.parent) == whole


def test_other_labels_are_another_run(experiment, catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "copy")
    config = dataclasses.replace(experiment(epochs=1), catalogue=str(copy))
    run = fit(config, runs=tmp_path / "runs")
    table = (copy / "tracks.csv").read_text()
    (copy / "tracks.csv").write_text(table.replace("techno", "house"))
    assert fit(config, runs=tmp_path / "runs") != run


def test_fresh_starts_anew_and_ends_the_same(experiment, whole):
    """Two in the same second get two folders."""
    runs = [fit(experiment(), runs=whole.folder.parent.parent, fresh=True) for _ in range(2)]
    assert len({whole, *runs}) == 3
    for run in runs:
        assert_same(whole, run)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_reading_batch_by_batch_ends_in_the_same_bits(experiment, whole, tmp_path):
    assert_same(whole, fit(experiment(), runs=tmp_path, memory_gib=0.0))


class StopError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 13])
def test_interrupted_and_resumed_ends_in_the_same_bits(experiment, whole, tmp_path, at):
    def stop(progress):
        if progress.step == at:
            raise StopError

    with pytest.raises(StopError):
        fit(experiment(), runs=tmp_path / "cut", progress=stop)
    assert_same(whole, fit(experiment(), runs=tmp_path / "cut"))


TRAIN = """
import os, signal, sys
from kit.config import Experiment, from_json
from kit.training import fit

def progress(p):
    if p.step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

fit(from_json(Experiment, sys.argv[1]), runs=sys.argv[2], progress=progress)
"""


def trained_elsewhere(config, runs, kill_at=0, **environment):
    command = [sys.executable, "-c", TRAIN, to_json(config), str(runs), str(kill_at)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize("which", ["own", "conv1d"])
def test_killed_and_resumed_ends_in_the_same_bits(
    own, own_whole, experiment, whole, tmp_path, which
):
    """Killed in the step after a checkpoint; a network of one's own also before the first one."""
    config, uninterrupted = (own, own_whole) if which == "own" else (experiment(), whole)
    per_epoch = uninterrupted.metrics()[0]["step"]
    for at in (per_epoch - 1, per_epoch + 1)[which != "own" :]:
        child = trained_elsewhere(config, tmp_path / "cut", at)
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert_same(uninterrupted, fit(config, runs=tmp_path / "cut"))


def test_a_damaged_newest_checkpoint_costs_its_epoch_alone(experiment, whole, tmp_path):
    run = fit(experiment(), runs=tmp_path)
    last = run.checkpoints / str(run.metrics()[-1]["step"])
    manifest = last / "state" / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:20])
    lines = (run.folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run.folder / "metrics.jsonl").write_text("".join(lines[:-1]))  # killed just before it
    seen = []
    with pytest.warns(KitWarning, match=f"to damaged-{last.name}, and training resumes"):
        again = fit(experiment(), runs=tmp_path, progress=lambda p: seen.append(p.epoch))
    assert set(seen) == {3}
    assert again == run
    assert_same(whole, run)


def test_a_network_of_ones_own_is_restored_in_another_process(own, own_whole):
    script = f"""
import numpy as np
from kit.training import restore
r = restore({str(own_whole.folder)!r})
x = np.random.default_rng(0).normal(-40, 5, (3, 16, 8)).astype(np.float32)
print(type(r.experiment.model).__name__, r.log_probabilities(x).tolist())
"""
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    ).stdout
    name, _, numbers = out.partition(" ")
    assert name == "MineConfig"
    x = np.random.default_rng(0).normal(-40, 5, (3, 16, 8)).astype(np.float32)
    here = restore(own_whole.folder).log_probabilities(x)
    np.testing.assert_allclose(json.loads(numbers), here, rtol=1e-6)
    assert int(saved(own_whole).state.buffers["steps"]) == own_whole.metrics()[-1]["step"]


def test_an_edited_network_is_another_run(experiment, tmp_path):
    runs = []
    for number, text in enumerate(("0.2", "0.3")):
        file = tmp_path / str(number) / "edited.py"
        file.parent.mkdir()
        file.write_text(OWN.read_text().replace("nnx.Dropout(0.2", f"nnx.Dropout({text}"))
        sys.modules.pop("edited", None)
        model = resolve(f"{file}:MineConfig")()
        config = dataclasses.replace(experiment(epochs=1), model=model)
        runs += [fit(config, runs=tmp_path / "runs"), fit(config, runs=tmp_path / "runs")]
    sys.modules.pop("edited")
    assert runs[0] == runs[1] != runs[2] == runs[3]


def test_one_training_at_a_time(experiment, tmp_path):
    """Another process is refused in one sentence while this one trains, and this one ends well."""
    refused = []

    def progress(p):
        if p.step == 2:
            refused.append(trained_elsewhere(experiment(), tmp_path / "runs"))

    run = fit(experiment(), runs=tmp_path / "runs", progress=progress)
    (child,) = refused
    assert child.returncode == 1
    last = child.stderr.decode().splitlines()[-1]
    assert "another run trains this experiment" in last
    assert "wait until it has ended" in last
    assert run.finished()
    assert len(run.metrics()) == 4
    assert trained_elsewhere(experiment(), tmp_path / "runs").returncode == 0
    assert len(list((tmp_path / "runs" / "small").glob("*/config.json"))) == 1


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
        assert (restored.n_mels, restored.from_arrays) == (8, False)
        assert sum(restored.train_counts) > 0
        x = np.random.default_rng(1).normal(-40, 5, (300, 16, 8)).astype(np.float32)
        x[150:, :, 3] += 10
        p = restored.log_probabilities(x)
        assert p.shape == (300, 2)
        np.testing.assert_allclose(np.exp(p).sum(1), 1, rtol=1e-5)
        assert (p.argmax(1) == np.repeat([0, 1], 150)).mean() > 0.9
    assert restored.log_probabilities(x[:0]).shape == (0, 2)


def test_tracks_are_scored_on_the_grid_and_few_shapes_are_computed(whole):
    restored = restore(whole.folder)
    shapes = []

    def predict(x, wrapped=restored._predict):
        shapes.append(len(x))
        return wrapped(x)

    counted = dataclasses.replace(restored, _predict=predict)
    x = np.random.default_rng(2).normal(-40, 5, (30, 64, 8)).astype(np.float32)
    frames = np.full(30, 64)
    frames[0], frames[1] = 16, 20
    x[0, 16:] = np.nan  # padding is never heard
    x[1, 20:] = np.nan
    scores = counted.segment_scores(x, frames).segments
    assert [len(s) for s in scores[:3]] == [1, 2, 7]
    assert all(np.isfinite(s).all() for s in scores)
    # 199 segments: 128, and 71 padded to 128.
    assert shapes == [128, 128]
    shapes.clear()
    (alone,) = counted.segment_scores(x[2:3], frames[2:3]).segments
    assert shapes == [8]
    np.testing.assert_allclose(alone, scores[2], rtol=1e-5, atol=1e-6)
    direct = restored.log_probabilities(x[2][np.arange(0, 49, 8)[:, None] + np.arange(16)])
    np.testing.assert_array_equal(alone, direct)
    assert counted.segment_scores(x[:0], frames[:0]).segments == []


def test_eight_devices_train_and_one_restores(experiment, whole, tmp_path):
    eight = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    child = trained_elsewhere(experiment(), tmp_path / "m", XLA_FLAGS=eight)
    assert child.returncode == 0, child.stderr.decode()
    (config,) = (tmp_path / "m" / "small").glob("*/config.json")
    run = Run(config.parent)
    # Sums over devices are added in another order.
    for name in ("train_loss", "validation_loss"):
        curves = ([row[name] for row in each.metrics()] for each in (run, whole))
        np.testing.assert_allclose(*curves, rtol=1e-3)
    x = np.random.default_rng(0).normal(-40, 5, (3, 16, 8)).astype(np.float32)
    assert np.isfinite(restore(run.folder).log_probabilities(x)).all()


def test_fewer_segments_than_a_batch(experiment, tmp_path):
    run = fit(experiment(batch_size=4096, epochs=1), runs=tmp_path)
    (row,) = run.metrics()
    assert row["step"] == 1
    assert np.isfinite(row["train_loss"])


def test_no_features(experiment, catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "copy")
    config = dataclasses.replace(experiment(), catalogue=str(copy))
    for file in sorted(copy.glob("features/*.zarr/zarr.json")):
        file.unlink()
    with pytest.raises(KitError, match="run `kit features`"):
        fit(config, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_network_that_does_not_take_the_segments_leaves_no_run(experiment, tmp_path):
    config = dataclasses.replace(experiment(), model=Conv1DConfig(channels=(8, 8, 8, 8, 8)))
    with pytest.raises(ConfigError, match=r"16 frames \(SegmentConfig.frames\)"):
        fit(config, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_stops(experiment, tmp_path):
    threads = threading.active_count()
    with pytest.raises(KitError, match=r"at step \d+, in epoch 1, in a batch of the tracks t\d+"):
        fit(experiment(learning_rate=1e30), runs=tmp_path / "runs")
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")], threads


def test_no_validation_part_means_the_last_is_the_best(experiment, tmp_path):
    config = dataclasses.replace(
        experiment(epochs=2), split=SplitConfig(by="random", validation_fraction=0.0)
    )
    run = fit(config, runs=tmp_path / "runs")
    assert all(row["validation_loss"] is None for row in run.metrics())
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        assert checkpoints.step("best") == checkpoints.step("last") == run.metrics()[-1]["step"]


def test_what_lies_behind_the_valid_frames_changes_nothing(experiment, catalogue, tmp_path):
    runs = []
    for filler in (-80.0, 0.0):
        copy = shutil.copytree(catalogue, tmp_path / str(filler))
        config = dataclasses.replace(experiment(epochs=1), catalogue=str(copy))
        store = FeatureStore.open(store_path(load(copy), config.features))
        ids = list(store.sources)
        x = store.read(ids)
        x[::3, 40:] = filler
        frames = np.full(len(ids), 64, np.int32)
        frames[::3] = 40
        store.write(ids, [store.sources[t] for t in ids], x, frames.tolist())
        runs.append(fit(config, runs=tmp_path / f"runs {filler}"))
    assert_same(*runs)


def test_features_as_bytes_train_as_well(experiment, catalogue, whole, tmp_path):
    """An eighth of a decibel apart from the whole run's, and not decoded before the device."""
    copy = shutil.copytree(catalogue, tmp_path / "copy")
    features = dataclasses.replace(experiment().features, dtype="int8")
    config = dataclasses.replace(experiment(), catalogue=str(copy), features=features)
    singles = FeatureStore.open(store_path(load(copy), experiment().features))
    ids = list(singles.sources)
    store = FeatureStore.create(store_path(load(copy), features), features)
    store.write(ids, [singles.sources[t] for t in ids], singles.read(ids))
    one = fit(config, runs=tmp_path / "runs")
    for name in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(one.metrics()[0][name], whole.metrics()[0][name], rtol=0.05)
    assert_same(one, fit(config, runs=tmp_path / "again", memory_gib=0.0))


def test_training_needs_no_drawing_libraries():
    script = "import sys, kit.training; print([m for m in sys.argv[1:] if m in sys.modules])"
    command = [sys.executable, "-c", script, "matplotlib", "sklearn", "jinja2", "PIL"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="not a folder"):
        restore(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no checkpoint"):
        restore(tmp_path)
    with pytest.raises(UsageError, match="is not a run"):
        Run(tmp_path).experiment()
    with pytest.raises(KitError, match="missing"):
        Run(tmp_path).split()


def test_metrics_are_json_lines(experiment, tmp_path):
    run = fit(experiment(epochs=1), runs=tmp_path / "runs")
    (line,) = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert {"step", "epoch", "train_loss", "validation_loss", "seconds"} <= set(json.loads(line))

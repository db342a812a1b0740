"""The simulation of benchmarks/scaling_model.py keeps its books, and docs/scaling.md fits them."""

import dataclasses
import importlib.util
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config import FeatureConfig, FrontendConfig
from kit.features import FeatureStore
from kit.features.store import SHARD_TRACKS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    spec = importlib.util.spec_from_file_location(
        "scaling_model", ROOT / "benchmarks" / "scaling_model.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


seconds = st.floats(0.001, 0.1)
settings_of_machines = st.fixed_dictionaries(
    {
        "cores": st.integers(1, 5),
        "workers": st.integers(1, 6),
        "lanes": st.integers(1, 4),
        "batch": st.integers(1, 5),
        "in_flight": st.integers(1, 6),
        "shard_tracks": st.integers(1, 9),
        "most_open": st.integers(1, 4),
        "device_s": seconds,
        "put_s": st.floats(0, 0.01),
        "open_s": st.floats(0, 0.05),
        "write_s": st.floats(0, 0.05),
        "write_threads": st.integers(1, 4),
        "sync_s": st.floats(0, 0.05),
    }
)
files = st.lists(seconds, min_size=1, max_size=40)


@settings(max_examples=100)
@given(machine=settings_of_machines, decode_s=files)
def test_every_track_comes_to_an_end_and_no_stage_does_more_than_it_can(model, machine, decode_s):
    m = model.Machine(**machine)
    found = model.run(m, decode_s)
    count = len(decode_s)
    assert (found.done, found.failed, found.written) == (count, 0, count)
    work = sum(decode_s) + (m.device_s + m.put_s + m.write_s) * count
    least = max(
        work / m.cores,
        sum(decode_s) / min(m.workers, m.cores),
        m.device_s * count / min(m.lanes * 1.0, m.cores),
        (m.sync_s + m.write_s / min(m.write_threads, m.cores)) * count,
        m.put_s * count,
        max(decode_s) + m.device_s,
    )
    assert found.seconds >= least * (1 - 1e-9)
    assert all(share <= 1 + 1e-9 for share in found.busy.values())


@settings(max_examples=60)
@given(machine=settings_of_machines, decode_s=files, hang=st.data())
def test_a_file_that_hangs_costs_itself_alone(model, machine, decode_s, hang):
    at = hang.draw(st.integers(0, len(decode_s)))
    found = model.run(
        model.Machine(**machine, timeout_s=2.0), [*decode_s[:at], math.inf, *decode_s[at:]]
    )
    assert (found.done, found.failed, found.written) == (len(decode_s), 1, len(decode_s) + 1)
    assert found.seconds >= 2.0


@settings(max_examples=60)
@given(workers=st.integers(1, 8), cores=st.integers(1, 8), decode_s=seconds, device_s=seconds)
def test_more_workers_are_never_slower(model, workers, cores, decode_s, device_s):
    fewer = model.Machine(
        cores=cores, workers=workers, lanes=cores, in_flight=2 * cores, device_s=device_s
    )
    more = dataclasses.replace(fewer, workers=workers + 1)
    # By less than a track: the last ones may fall on the cores less evenly.
    once = decode_s + device_s
    files = [decode_s] * 60
    assert model.run(more, files).seconds <= model.run(fewer, files).seconds + once


def test_what_can_be_told_by_hand(model):
    alone = model.Machine(cores=1, workers=1, lanes=1, device_s=0.25)
    assert model.run(alone, [1.0] * 8).seconds == pytest.approx(10.0)
    # Decoding takes the one core, the device the other; its last clip comes after.
    two = model.Machine(cores=2, workers=1, lanes=1, device_s=0.25, shard_tracks=4)
    assert model.run(two, [1.0] * 8).seconds == pytest.approx(8.25)
    # Of three seconds a row, one to compress and two for the disk, none beside another.
    slow = dataclasses.replace(two, write_s=1.0, sync_s=2.0, cores=4)
    assert model.run(slow, [1.0] * 8).seconds == pytest.approx(4 + 0.25 + 8 * 3)
    half = dataclasses.replace(alone, speeds=(0.5,))
    assert model.run(half, [1.0] * 8).seconds == pytest.approx(20.0)
    waiting = model.run(alone, [1.0] * 2, [10.0, 0.0])
    assert waiting.seconds == pytest.approx(12.5)
    accelerator = dataclasses.replace(
        two, batch=4, lanes=2, in_flight=2, device_s=0.0, transfer_s=0.25, accelerator_s=0.5
    )
    assert model.run(accelerator, [1.0] * 8).seconds == pytest.approx(8 + 4 * 0.75)


def test_slow_files_stop_the_machine_once_the_shards_in_memory_wait_for_them(model):
    slow = [10.0, *[1.0] * 19]
    many = model.Machine(cores=2, workers=2, lanes=2, device_s=0.0, shard_tracks=2, most_open=9)
    few = dataclasses.replace(many, most_open=1, buffers=4)
    assert model.run(many, slow).seconds == pytest.approx(15.0)
    # One is done beside it, three wait in their buffers; the other sixteen begin after it.
    stopped = model.run(few, slow)
    assert stopped.done == stopped.written == 20
    assert stopped.seconds == pytest.approx(18.0)


@settings(max_examples=40)
@given(cores=st.integers(1, 6), batch=st.integers(1, 4), lanes=st.integers(1, 4), decode_s=files)
def test_an_actor_does_its_whole_shard(model, cores, batch, lanes, decode_s):
    machine = model.Machine(cores=cores, batch=batch, lanes=lanes, device_s=0.01, write_s=0.01)
    found = model.shard_seconds(machine, decode_s)
    assert found.done == len(decode_s)
    least = (sum(decode_s) + 0.02 * len(decode_s)) / cores
    assert found.seconds >= least * (1 - 1e-9)


@settings(max_examples=60)
@given(
    machines=st.integers(1, 9),
    shards=st.integers(1, 60),
    spread=st.floats(0, 0.5),
    mtbf_s=st.floats(2, 100),
    queued=st.integers(0, 3),
    seed=st.integers(0, 9),
)
def test_a_cluster_does_every_shard_whatever_fails(
    model, machines, shards, spread, mtbf_s, queued, seed
):
    setup = model.Cluster(
        machines, 1.0, 0.1, spread=spread, mtbf_s=mtbf_s, restart_s=3.0, queued=queued
    )
    found = model.cluster(setup, shards, seed)
    assert found["done"] == shards
    assert found["redone"] == found["failures"]
    assert found["efficiency"] <= 1 + 1e-9
    assert found == model.cluster(setup, shards, seed)


def test_a_cluster_without_trouble_is_ideal_and_its_driver_can_hold_it_up(model):
    assert model.cluster(model.Cluster(4, 2.0), 40)["seconds"] == pytest.approx(20.0)
    driven = model.cluster(model.Cluster(1000, 2.0, dispatch_s=0.1), 2000)
    assert driven["seconds"] == pytest.approx(202.0, abs=2)


@pytest.mark.parametrize("name", ["scaling_page.py", "scaling_training.py"])
def test_the_page_is_that_of_the_measurements(name):
    script = ROOT / "benchmarks" / name
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_the_measurements_have_been_told_by_the_simulation():
    result = json.loads((ROOT / "benchmarks" / "results" / "scaling.json").read_text())
    assert set(result["check"]) == set(result["real"]) == {"1", "2"}
    for count, found in result["check"].items():
        real = result["real"][count]["median_s"]
        assert found["error"] == pytest.approx(found["seconds"] / real - 1)
        assert found["passed"] == (abs(found["error"]) <= 0.15)


def test_the_pages_consolidation_keeps_every_row(tmp_path):
    pytest.importorskip("pyarrow")
    code = re.search(r"```python\n(.+?)```", (ROOT / "docs" / "scaling.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(code[1], names)
    frontend = FrontendConfig(sample_rate=8000, n_fft=64, hop_length=32, n_mels=2)
    config = FeatureConfig(frontend=frontend, n_frames=1, clip_s=0.1)
    store = FeatureStore.create(tmp_path / "a.zarr", config)
    count = 2 * SHARD_TRACKS + 5
    ids = [f"track-{i}" for i in range(count)]
    store.write(ids, [f"{i:064x}" for i in range(count)], np.zeros((count, 1, 2), np.float32))
    names["consolidate"](tmp_path / "a.zarr", tmp_path / "a.parquet", at_once=2)
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert list(table["offset"]) == list(range(count))
    assert list(table["track_id"]) == ids
    assert list(table["source_hash"]) == [f"{i:064x}" for i in range(count)]

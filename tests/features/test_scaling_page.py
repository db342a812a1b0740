"""docs/scaling.md is computed from measured constants by a model that can be checked by hand."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kit.config import FeatureConfig, FrontendConfig
from kit.features import FeatureStore
from kit.features.layout import SHARD_TRACKS
from kit.features.writer import MOST_OPEN

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("scaling_page", BENCHMARKS / "scaling_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def measured():
    return json.loads((BENCHMARKS / "results/scaling.json").read_text())


@pytest.fixture
def made_up():
    """1 s of decoding, 0.5 s of mel and 0.5 s of writing a track, and 0.25 s for the disk."""
    service = {
        "decode_s": 1.0,
        "device_s": 0.5,
        "gather_s": 0.25,
        "speed_all_busy": 1.0,
        "shard_cpu_s": 32.0,
        "shard_sync_s": 16.0,
    }
    sizes = {"float32": 300e6 / 64}  # a shard takes a second to upload
    return {"service": service, "size": sizes, "ray": {"deal_s": 0.1}}


def test_one_machine_by_hand(page, made_up):
    assert page.machine_rate(made_up, 1) == (0.5, "cores")
    assert page.machine_rate(made_up, 1, accelerator=True) == (1 / 1.75, "cores")
    # Each track takes the one writer 0.25 s, and 0.5 s shared by the cores.
    assert page.machine_rate(made_up, 100) == (pytest.approx(1 / 0.255), "writer")
    assert page.machine_rate(made_up, 100, quick=True) == (50.0, "cores")
    assert page.machine_rate(made_up, 10**6, accelerator=True, quick=True) == (1000, "accelerator")


def test_a_cluster_by_hand(page, made_up):
    # 16 tasks of four files on 16 cores, then 64 tracks of 1 s on these, then the upload.
    one = 4 * 1.0 + 64 * 1.0 / 16 + 1.0
    assert page.shard_s(made_up, wait_s=0.0) == pytest.approx(one)
    assert page.shard_s(made_up, wait_s=1.0) == pytest.approx(one + 4)
    assert page.shard_s(made_up, wait_s=0.0, write=False) == pytest.approx(one - 64 * 0.5 / 16 - 1)
    one = page.shard_s(made_up)
    ideal = page.cluster_s(made_up, 4, 64 * 40, 1, trouble=False)
    assert ideal == pytest.approx(10 * one)
    driven = page.cluster_s(made_up, 1000, 64 * 2000, 1, trouble=False)
    assert driven == pytest.approx(max(2 * one, 2000 * 0.1))
    slow = page.cluster_s(made_up, 4, 64 * 40, 1, driver=False)
    # One of four machines at a third of the speed, and its last shard.
    assert slow == pytest.approx(40 * one / (3 + 1 / 3) + 3 * one, rel=0.01)


def test_an_all_reduce_by_hand(page):
    network = {"flops": 2e13, "batch": 10, "reduced_bytes": 31e8}
    assert page.step_s(network, 1, 5) == (0.5, 0.0)
    _, inside = page.step_s(network, 8, 5)
    assert inside == pytest.approx(2 * 7 / 8 * 0.031)
    _, across = page.step_s(network, 16, 5)
    assert across == pytest.approx(inside + 1.0 + 2 * 2e-5)


def test_the_model_predicts_the_runs_that_were_measured(page, measured):
    for workers in ("1", "2"):
        assert page.run_s(measured, int(workers)) == pytest.approx(
            measured["real"][workers], rel=0.15
        )


def test_the_constants_are_those_of_kit(page):
    config = FeatureConfig()
    assert (page.SHARD_TRACKS, page.MOST_OPEN) == (SHARD_TRACKS, MOST_OPEN)
    assert 4 * config.clip_samples == page.CLIP_BYTES
    assert 4 * config.n_frames * config.frontend.n_mels == page.ROW_BYTES
    pytest.importorskip("ray")
    from kit.features import engine_ray

    assert (page.GROUP, page.TOGETHER) == (engine_ray.GROUP, engine_ray.TOGETHER)
    for machines in (1, 8, 1000):
        for tracks in (64, 10**6, 10**8):
            own = engine_ray.shards_a_block(-(-tracks // 64), machines)
            assert page.own_block(machines, tracks) == own


def test_the_page_is_that_of_the_measurements():
    command = [sys.executable, BENCHMARKS / "scaling_page.py", "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_pages_consolidation_keeps_every_row(tmp_path):
    pytest.importorskip("pyarrow")
    text = (BENCHMARKS.parent / "docs/scaling.md").read_text()
    code = re.search(r"```python\n(.+?)```", text, re.DOTALL)
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

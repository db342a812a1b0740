"""Killed at any instant and started again, a run ends in the bytes of one that was not."""

import subprocess
import sys
import time

import numpy as np
import pytest

from kit.config import to_json
from kit.features import FeatureStore, store_path
from kit.features.store import shard_tracks

# It prints its progress. If it is to be killed, it waits at the end, when all is left to write.
CHILD = """
import sys, time
from pathlib import Path
from kit.catalogue import load
from kit.config import ExtractConfig, FeatureConfig, from_json
from kit.features import extract

def say(progress):
    print(progress.done, progress.total, flush=True)
    if sys.argv[3] == "to be killed":
        time.sleep(0.0005)
    if progress.done == progress.total and sys.argv[3] == "to be killed":
        time.sleep(60)

config = from_json(FeatureConfig, sys.argv[2])
extract(load(Path(sys.argv[1])), config, ExtractConfig(workers=2), progress=say)
"""


def child(folder, config, how):
    command = [sys.executable, "-c", CHILD, str(folder), to_json(config), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed(folder, config, rng, shards):
    """Kill a run within 0.05 s after some progress, and after that many shards were written."""
    with child(folder, config, "to be killed") as process:
        try:
            done, total = map(int, process.stdout.readline().split())
            at = int(rng.integers(done, total + 1)) if shards is None else total
            while done < at:
                done = int(process.stdout.readline().split()[0])
            until = time.monotonic() + 60
            while len(list(folder.rglob("index/*.csv"))) < (shards or 0):
                assert time.monotonic() < until, "no shard is written"
                time.sleep(0.001)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, 0.05))
        finally:
            process.kill()
    assert process.returncode == -9


@pytest.mark.parametrize(("which", "kills"), [("many", 2), ("some", 1)])
def test_kills_do_not_change_a_byte(which, kills, request, contents, tmp_path):
    made = request.getfixturevalue(which)
    catalogue = made.copy(tmp_path / "data")
    path = store_path(catalogue, made.config)
    rng = np.random.default_rng(20)
    entries = 0
    for shards in [None] * kills + [1]:
        killed(catalogue.folder, made.config, rng, shards)
        store = FeatureStore.open(path)
        ids = list(store.sources)
        np.testing.assert_array_equal(store.read(ids), made.result.store.read(ids))
        assert len(store.entries) >= entries
        entries = len(store.entries)
    # The last kill came when something was written.
    assert entries >= shard_tracks(made.config)
    with child(catalogue.folder, made.config, "to the end") as process:
        process.communicate()
    assert process.returncode == 0
    assert contents(catalogue.folder) == made.whole

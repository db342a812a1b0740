"""Killed at any instant and started again, a run ends in the bytes of one that was not."""

import subprocess
import sys

import numpy as np
import pytest

from kit.config import to_json
from kit.features import FeatureStore, store_path
from kit.features.store import SHARD_TRACKS

KILLS = 10
# Says where it stands; then stays, if it is to be killed, where nothing is left but to write.
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


def killed(folder, config, rng, last):
    """Kill a run some while after it has said that so and so many tracks are done."""
    with child(folder, config, "to be killed") as process:
        try:
            done, total = map(int, process.stdout.readline().split())
            at, most_s = rng.integers(done, min(total - 8, done + SHARD_TRACKS)), 0.02
            whole = min(total, (done // SHARD_TRACKS + 1) * SHARD_TRACKS)
            if last or (rng.random() < 0.7 and whole < total):
                # Where a shard is whole, and is written.
                at, most_s = whole, 0.05
            while done < at:
                done = int(process.stdout.readline().split()[0])
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, most_s))
        finally:
            process.kill()
    assert process.returncode == -9


def test_ten_kills_do_not_change_a_byte(many, small, contents, tmp_path):
    catalogue = many.copy(tmp_path / "data")
    path = store_path(catalogue, small)
    rng = np.random.default_rng(20)
    found = []
    for kill in range(KILLS):
        killed(catalogue.folder, small, rng, kill == KILLS - 1)
        store = FeatureStore.open(path)
        ids = list(store.sources)
        want = many.result.store.read(ids)
        np.testing.assert_array_equal(store.read(ids), want)
        found.append(len(store.entries))
        assert found == sorted(found)
    # They came while there was something to do.
    assert len(set(found)) > 1
    with child(catalogue.folder, small, "to the end") as process:
        process.communicate()
    assert process.returncode == 0
    assert contents(catalogue.folder) == many.whole

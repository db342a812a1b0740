"""Killed at any instant and started again, a run ends in the bytes of one that was not."""

import subprocess
import sys
import time

import numpy as np
import pytest

from kit.config import to_json
from kit.features import FeatureStore, store_path
from kit.features.layout import SHARD_TRACKS

# Tracks that are done when a run is killed. One shard more than before is whole at each of these
# points, and is written or being written; at the last, only writing is left.
KILLS = {
    "many": [n * SHARD_TRACKS + 40 for n in (1, 4)] + [9 * SHARD_TRACKS + 24],
    "some": [36, 60],  # 21 in a shard
}
# Does no more once that many tracks are done; its writer goes on.
CHILD = """
import sys, time
from pathlib import Path
from kit.catalogue import load
from kit.config import ExtractConfig, FeatureConfig, from_json
from kit.features import extract

def say(progress):
    if 0 < int(sys.argv[3]) <= progress.done:
        print(progress.done, flush=True)
        time.sleep(1000)

config = from_json(FeatureConfig, sys.argv[2])
extract(load(Path(sys.argv[1])), config, ExtractConfig(workers=2), progress=say)
"""
NEVER = 0


def child(folder, config, stop_at):
    command = [sys.executable, "-c", CHILD, str(folder), to_json(config), str(stop_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rows(path):
    return len(FeatureStore.open(path).entries)


def killed(folder, config, path, stop_at, *, more_than=None, after_s=0.0):
    """Kill a run that has done so many tracks, when more rows are on disk or some time after."""
    with child(folder, config, stop_at) as process:
        try:
            assert process.stdout is not None
            assert int(process.stdout.readline()) >= stop_at
            until = time.monotonic() + 60
            while more_than is not None and rows(path) <= more_than:
                assert time.monotonic() < until, "no shard was written"
                time.sleep(0.01)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(after_s)
        finally:
            process.kill()
    assert process.returncode == -9


@pytest.mark.parametrize("which", KILLS)
def test_kills_do_not_change_a_byte(which, request, contents, tmp_path):
    made = request.getfixturevalue(which)
    catalogue = made.copy(tmp_path / "data")
    path = store_path(catalogue, made.config)
    rng = np.random.default_rng(20)
    found = [0]
    for kill, stop_at in enumerate(KILLS[which]):
        # Every second kill comes while a shard is being written, the others when it is there.
        how = {"more_than": found[-1]} if kill % 2 == 0 else {"after_s": rng.uniform(0, 0.05)}
        killed(catalogue.folder, made.config, path, stop_at, **how)
        store = FeatureStore.open(path)
        ids = list(store.sources)
        np.testing.assert_array_equal(store.read(ids), made.result.store.read(ids))
        found.append(len(store.entries))
        assert found == sorted(found)
        assert found[-1] <= stop_at + SHARD_TRACKS
    with child(catalogue.folder, made.config, NEVER) as process:
        process.communicate()
    assert process.returncode == 0
    assert contents(catalogue.folder) == made.whole

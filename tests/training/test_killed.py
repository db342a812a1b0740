"""A training that is killed at random instants, on every path, ends as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from kit.catalogue import load
from kit.config import to_json
from kit.training.collection import open_collection
from kit.training.fitting import train
from tests.training.saved import saved

KILLS = 10 if os.environ.get("KIT_TEST_THOROUGH") else 1
PATHS = {
    "streamed": {"memory_gib": 0.0, "scan": False},
    "resident": {"scan": False},
    "scanned": {"scan": True},
}
# The streamed and the resident path are killed at chosen steps elsewhere.
HERE = PATHS if KILLS > 1 else {"scanned": PATHS["scanned"]}
CHILD = """
import sys
from pathlib import Path
from kit.catalogue import load
from kit.config import Experiment, from_json
from kit.training.collection import open_collection
from kit.training.fitting import train

experiment = from_json(Experiment, sys.argv[1])
collection, _ = open_collection(experiment, load(Path(experiment.catalogue)), rights=False)
say = lambda p: print(p.step, flush=True)
train(experiment, collection, runs=Path(sys.argv[2]), progress=say, **eval(sys.argv[3]))
"""


def timeless(run):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "segments_per_s")}
        for row in run.metrics()
    ]


@pytest.mark.parametrize("path", HERE)
def test_killed_at_random_instants(experiment, tmp_path, path):
    config = experiment(epochs=8)
    options = PATHS[path]
    collection, _ = open_collection(config, load(config.catalogue), rights=False)
    whole = train(config, collection, runs=tmp_path / "whole", **options)
    draw = random.Random(path)
    killed = 0
    while killed < KILLS:
        command = [sys.executable, "-c", CHILD, to_json(config), tmp_path / "cut", repr(options)]
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(draw.randrange(1, 12)):  # steps, or blocks of steps
            child.stdout.readline()
        time.sleep(draw.choice((0.0, 0.01, 0.1)))  # in a step, or while it saves
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if child.returncode == 0:  # it had ended: once more
            for folder in (tmp_path / "cut").glob("*/2*"):
                folder.rename(tmp_path / f"ended {killed}")
            continue
        assert child.returncode == -signal.SIGKILL
        killed += 1
    again = train(config, collection, runs=tmp_path / "cut", **options)
    assert timeless(again) == timeless(whole)
    for which in ("last", "best"):
        found, expected = saved(again, which), saved(whole, which)
        assert found.step == expected.step
        jax.tree.map(np.testing.assert_array_equal, found.state, expected.state)

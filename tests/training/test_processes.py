"""Two real processes, of four devices each, train as one process with one device does."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from kit.config import DistributedConfig, to_json
from kit.errors import ConfigError
from kit.training import Run, fit
from tests.training.saved import saved

CHILD = """
import sys
from pathlib import Path
from kit.catalogue import load
from kit.config import DistributedConfig, Experiment, from_json
from kit.in_words import in_words
from kit.training.processes import joined
from kit.training import fit

experiment, address, number, *jobs = sys.argv[1:]
experiment = from_json(Experiment, experiment)

def say(progress):
    if progress.step == wait_at:
        print("waits", flush=True)
        sys.stdin.readline()

with in_words(), joined(DistributedConfig(False, address, 2, int(number))):
    for runs, memory_gib, wait_at in zip(jobs[::3], map(float, jobs[1::3]), map(int, jobs[2::3])):
        # The other process then waits in the middle of a step.
        own = None if number == "1" else say
        fit(experiment, runs=runs, memory_gib=memory_gib, progress=own)
"""
WAIT_S = 300.0


@pytest.fixture
def pair():
    """A function: an experiment, then one training after another -> two processes that do them.

    A training is its runs, its memory_gib, and the step at which the first process says "waits" on
    stdout and waits; 0 for none."""
    with contextlib.ExitStack() as held:

        def start(experiment, *jobs):
            # Bound until the end, so that nobody else is given the port. JAX shares it.
            port = held.enter_context(socket.socket())
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{port.getsockname()[1]}"
            four = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4"
            environment = {"XLA_FLAGS": four, "JAX_COORDINATOR_BIND_ADDRESS": address}
            children = []
            for number in range(2):
                arguments = [to_json(experiment), address, number, *itertools.chain(*jobs)]
                child = subprocess.Popen(
                    [sys.executable, "-c", CHILD, *map(str, arguments)],
                    env=os.environ | environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if number == 0 else subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                children.append(held.enter_context(child))
                held.callback(child.kill)
            return children

        yield start


def ended(children):
    """Wait for both, and return their exit codes and what they wrote on stderr."""
    heard = [child.communicate(timeout=WAIT_S)[1] for child in children]
    return [child.returncode for child in children], heard


def only_run(folder):
    (config,) = folder.glob("small/*/config.json")
    return Run(config.parent)


def losses(run):
    names = ("train_loss", "validation_loss", "grad_norm", "param_norm")
    return [[row[name] for name in names] for row in run.metrics()]


def assert_bits(a, b):
    assert losses(a) == losses(b)
    jax.tree.map(np.testing.assert_array_equal, saved(a).state, saved(b).state)


def test_addresses_and_numbers_are_checked():
    with pytest.raises(ConfigError, match=r"DistributedConfig.coordinator_address is '10.0.0.1'"):
        DistributedConfig(coordinator_address="10.0.0.1")
    with pytest.raises(ConfigError, match=r"DistributedConfig.process_id is 2"):
        DistributedConfig(num_processes=2, process_id=2)


class StopHereError(Exception):
    pass


def test_as_one_process_killed_and_on_other_numbers(experiment, whole, pair, tmp_path):
    config = experiment()

    def stop(progress):
        if progress.step == 20:
            raise StopHereError

    with pytest.raises(StopHereError):
        fit(config, runs=tmp_path / "from one", progress=stop)
    names = ("streamed", "resident", "from one", "killed")
    jobs = [(tmp_path / name, 0.0 if name == "streamed" else 4.0, 0) for name in names]
    jobs[-1] = (tmp_path / "killed", 4.0, 20)
    first, second = pair(config, *jobs)
    while first.stdout.readline() not in ("waits\n", ""):
        pass
    first.send_signal(signal.SIGKILL)
    codes, (_, said) = ended([first, second])
    assert codes == [-signal.SIGKILL, 1], said
    assert said.strip().splitlines()[-1].startswith("kit: another process of this training has")
    streamed, resident, from_one = (only_run(tmp_path / name) for name in names[:3])
    assert_bits(streamed, resident)
    # Sums over devices are added in another order.
    np.testing.assert_allclose(losses(streamed), losses(whole), rtol=1e-3)
    np.testing.assert_allclose(losses(from_one), losses(whole), rtol=1e-3)

    killed = only_run(tmp_path / "killed")
    assert not killed.finished()
    shutil.copytree(tmp_path / "killed", tmp_path / "to one")
    # After that, an error of the writer: both end with it.
    (tmp_path / "file").touch()
    jobs = [(tmp_path / "killed", 4.0, 0), (tmp_path / "file" / "runs", 4.0, 0)]
    codes, heard = ended(pair(config, *jobs))
    assert codes == [1, 1], heard
    assert all(f"cannot write {tmp_path / 'file'}" in said for said in heard)
    assert_bits(killed, resident)
    to_one = fit(config, runs=tmp_path / "to one")
    assert to_one.folder.name == killed.folder.name
    np.testing.assert_allclose(losses(to_one), losses(whole), rtol=1e-3)

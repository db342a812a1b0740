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

from kit.config import to_json
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
with in_words(), joined(DistributedConfig(False, address, 2, int(number))):
    for runs, memory_gib in zip(jobs[::2], jobs[1::2]):
        say = lambda p: print(p.step, flush=True)
        fit(experiment, runs=runs, memory_gib=float(memory_gib), progress=say)
"""
WAIT_S = 300.0


@pytest.fixture
def pair():
    """A function: an experiment, then runs and memory_gib of one training after another -> two
    processes that do them together. The steps of the first one are a pipe."""
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


class StopHereError(Exception):
    pass


def test_as_one_process_killed_and_on_other_numbers(experiment, whole, pair, tmp_path):
    config = experiment()

    def stop(progress):
        if progress.step == 20:
            raise StopHereError

    with pytest.raises(StopHereError):
        fit(config, runs=tmp_path / "from one", progress=stop)
    jobs = [
        (tmp_path / "streamed", 0.0),
        (tmp_path / "resident", 4.0),
        (tmp_path / "from one", 4.0),
    ]
    codes, heard = ended(pair(config, *jobs))
    assert codes == [0, 0], heard
    streamed, resident, from_one = (only_run(runs) for runs, _ in jobs)
    assert_bits(streamed, resident)
    # Sums over devices are added in another order.
    np.testing.assert_allclose(losses(streamed), losses(whole), rtol=1e-3)
    np.testing.assert_allclose(losses(from_one), losses(whole), rtol=1e-3)

    first, second = pair(config, (tmp_path / "killed", 4.0))
    while first.stdout.readline() not in ("20\n", ""):
        pass
    first.send_signal(signal.SIGKILL)
    (code, other), (_, said) = ended([first, second])
    assert code == -signal.SIGKILL
    assert other == 1
    assert said.strip().splitlines()[-1].startswith("kit: another process of this training has")
    killed = only_run(tmp_path / "killed")
    assert not killed.finished()
    shutil.copytree(tmp_path / "killed", tmp_path / "to one")
    # After that, an error of the writer: both end with it.
    (tmp_path / "file").touch()
    jobs = [(tmp_path / "killed", 4.0), (tmp_path / "file" / "runs", 4.0)]
    codes, heard = ended(pair(config, *jobs))
    assert codes == [1, 1], heard
    assert all(f"cannot write {tmp_path / 'file'}" in said for said in heard)
    assert_bits(killed, resident)
    to_one = fit(config, runs=tmp_path / "to one")
    assert to_one.folder.name == killed.folder.name
    np.testing.assert_allclose(losses(to_one), losses(whole), rtol=1e-3)

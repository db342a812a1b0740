"""Ray's engine: the same bytes as the local one's, though its workers are killed meanwhile.

Ray runs in a process of its own: its threads, warnings and signal handlers are not pytest's.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kit.catalogue import load
from kit.config import ExtractConfig, to_json
from kit.features import FeatureStore, extract, store_path

SCRIPT = """
import json, sys, threading, time
from pathlib import Path
import psutil, ray
from kit.catalogue import load
from kit.config import ExtractConfig, FeatureConfig, from_json
from kit.features import extract

KILL, *JOBS = sys.argv[1:]

def kill(names, seen):
    "Kill a process of each name, one after the other, so that the first is seen at work before."
    ours = psutil.Process()
    for name in names:
        while name not in seen:
            for process in psutil.process_iter():
                try:
                    if " ".join(process.cmdline()).startswith(name) and ours in process.parents():
                        process.kill()
                        seen.append(name)
                        break
                except psutil.Error:
                    pass
            time.sleep(0.005)

ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="warning")
try:
    for job in JOBS:
        folder, config = json.loads(job)
        killed, named = [], KILL.split(",") if job == JOBS[0] and KILL else []
        if named:
            threading.Thread(target=kill, args=(named, killed), daemon=True).start()
        options = ExtractConfig(engine="ray", workers=4)
        result = extract(load(Path(folder)), from_json(FeatureConfig, config), options)
        row = {"computed": result.computed, "failed": len(result.failures), "killed": killed}
        print(json.dumps(row), flush=True)
finally:
    ray.shutdown()
"""


@pytest.fixture
def on_ray(tmp_path):
    """A function: catalogues with configurations, processes to kill -> the script's output."""
    started = []
    # Sockets lie in there, whose names must be short.
    home = Path(tempfile.mkdtemp(prefix="kit-ray-", dir="/tmp"))

    def run(*jobs, kill=()):
        jobs = [json.dumps([str(catalogue.folder), to_json(config)]) for catalogue, config in jobs]
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, ",".join(kill), *jobs],
            env=os.environ | {"RAY_TMPDIR": str(home), "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    shutil.rmtree(home, ignore_errors=True)


def test_ray_gives_the_same_bytes_and_loses_nothing_with_a_worker(
    many, some, ffmpeg, write_table, list_tracks, small, contents, on_ray, tmp_path
):
    killed, quiet = many.copy(tmp_path / "killed"), some.copy(tmp_path / "quiet")
    music = write_table(tmp_path / "music", 6)
    for name in ("kills", "plays"):
        ffmpeg.file(music / "a" / name)
    deadly = list_tracks(music, tmp_path / "deadly")
    names = ("ray::_decode", "ray::MapWorker")
    answers = on_ray((killed, small), (quiet, some.config), (deadly, small), kill=names)

    assert answers[0]["killed"] == list(names)
    assert contents(killed.folder) == many.whole
    assert answers[1]["computed"] == some.good
    assert contents(quiet.folder) == some.whole
    # A decoder that dies, each time that it is tried, costs its file.
    assert (answers[2]["computed"], answers[2]["failed"]) == (7, 1)
    result = extract(load(deadly.folder), small)
    assert {f.track_id: f.reason for f in result.failures} == {"kills": "crashed"}
    # What was done there is known here.
    assert result.computed == 0
    assert len(FeatureStore.open(store_path(deadly, small))) == 7
    assert ffmpeg.count("kills") > 1
    assert extract(killed, small, ExtractConfig(workers=1)).computed == 0

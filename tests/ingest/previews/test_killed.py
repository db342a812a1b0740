"""Killed at any instant and started again, a run ends in the bytes of one that was not."""

import subprocess
import sys

import numpy as np

from kit.catalogue import load
from kit.config import to_json
from kit.ingest.previews.download import download

KILLS = 5
COUNT = 60
CHILD = """
import sys
from pathlib import Path
from kit.catalogue import load
from kit.config import PreviewConfig, from_json
from kit.ingest.previews.download import download

folder, config = sys.argv[1:3]
download(
    load(folder), from_json(PreviewConfig, config),
    progress=lambda p: print(p.done, flush=True),
)
"""


def everything(folder):
    names = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in names}


def test_kills_do_not_change_a_byte(server, catalogue, quick):
    urls = {f"t{n:03}": f"{server.url}/ok/{n}" for n in range(COUNT)}
    urls |= {"gone": f"{server.url}/gone", "none": ""}
    whole, made = catalogue(urls, "whole"), catalogue(urls, "killed")
    download(whole, quick)
    server.asked.clear()
    server.served.clear()
    server.delay_s = 0.005
    rng = np.random.default_rng(5)
    command = [sys.executable, "-c", CHILD, str(made.folder), to_json(quick)]
    reached = []
    for kill in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            until = int(rng.integers(1, COUNT // KILLS)) + (reached[-1] if reached else 0)
            done = 0
            while done < until:
                done = int(process.stdout.readline())
            try:
                process.wait(rng.uniform(0, 0.02))
            except subprocess.TimeoutExpired:
                process.kill()
        assert process.returncode == -9, kill
        reached.append(done)
        # Whatever has its own name is whole.
        for path in made.folder.glob("audio/*/*.mp3"):
            if not path.name.startswith("."):
                twin = whole.folder / path.relative_to(made.folder)
                assert path.read_bytes() == twin.read_bytes()
        load(made.folder)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert everything(made.folder) == everything(whole.folder)
    # A kill costs at most what was in flight on the two connections.
    twice = sum(server.asked[f"/ok/{n}"] - 1 for n in range(COUNT))
    assert 0 <= twice <= 2 * KILLS

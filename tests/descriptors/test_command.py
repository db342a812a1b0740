"""`kit describe` as a person runs it."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kit.catalogue import Scan, load, read_failures, save, write_table


def kit(*arguments, **variables):
    command = [sys.executable, "-m", "kit", "describe", *map(str, arguments)]
    env = os.environ | variables
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def beat(rate=8000):
    y = 0.01 * np.random.default_rng(0).standard_normal(8 * rate)
    y[:: rate // 2] += 0.5
    return y, rate


def test_all_but_what_is_another_source_s(catalogue_of):
    catalogue = catalogue_of({"a": beat(), "b": beat(), "c": (np.zeros(64000), 8000)})
    table = catalogue.table.assign(feature_source=["spotify", "", ""], tempo=[99.0, np.nan, np.nan])
    write_table(table, catalogue.folder)
    done = kit(catalogue.folder, "--workers", 1)
    assert done.returncode == 1
    assert "1 tracks described, 1 files now in" in done.stderr
    assert "1 tracks have descriptors from another source (1 spotify)" in done.stderr
    assert "--replace" in done.stderr
    assert "1 left out (1 silent); see" in done.stderr
    assert list(load(catalogue.folder).table["tempo"].round()[:2]) == [99, 120]


def test_a_decoder_that_dies_costs_its_file(catalogue_of, tmp_path):
    """kit runs ffmpeg for containers that libsndfile does not know; this one kills its caller."""
    catalogue = catalogue_of({"a": beat(), "b": beat(4000)})
    bad = catalogue.audio_root / "c.wv"
    bad.write_bytes(b"wvpk" + bytes(range(256)))
    row = {"track_id": "c", "label": "a", "path": bad.name}
    row["source_hash"] = hashlib.sha256(bad.read_bytes()).hexdigest()
    table = pd.concat([catalogue.table, pd.DataFrame([row])])
    save(Scan(table, [], catalogue.audio_root), catalogue.folder)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        (programs / name).write_text('#!/bin/sh\n[ "$1" = -version ] && exit 0\nkill -KILL $PPID\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    assert kit(catalogue.folder, PATH=path).returncode == -9
    for again in range(2):
        done = kit(catalogue.folder, "--isolate", PATH=path)
        assert done.returncode == 1
        assert "1 tracks described" in done.stderr
        assert "2 left out (1 low_rate, 1 crashed)" in done.stderr, done.stderr
        assert ("files now" in done.stderr) == (not again)
    failures = {f.track_id: f.message for f in read_failures(catalogue.folder)}
    assert "process ended with code -9" in failures["c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", 0], "--workers is 0"),
        (["--timeout-s", "nan"], "--timeout-s is nan"),
        ([], "is not a catalogue"),
    ],
)
def test_bad_arguments(tmp_path, arguments, said):
    done = kit(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr

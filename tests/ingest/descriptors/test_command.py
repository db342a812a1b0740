"""`kit describe` as a person runs it."""

import subprocess
import sys

import numpy as np
import pytest

from kit.catalogue import load, write_table


def kit(*arguments):
    command = [sys.executable, "-m", "kit", "describe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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
    assert "1 tracks have descriptors of another source (1 spotify)" in done.stderr
    assert "--replace" in done.stderr
    assert "1 left out (1 silent); see" in done.stderr
    assert list(load(catalogue.folder).table["tempo"].round()[:2]) == [99, 120]


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

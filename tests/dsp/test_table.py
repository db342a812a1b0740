"""`docs/librosa.md` names every function there is, and none that is not."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import librosa

from kit import dsp

TEXT = (Path(__file__).parents[2] / "docs" / "librosa.md").read_text()
ROWS = re.findall(r"^\| `([\w.]+)` \| (?:`(\w+)`)? ?\| (.+) \|$", TEXT, flags=re.MULTILINE)


def test_every_row_is_of_a_function_of_librosa():
    assert len(ROWS) > 70
    for name, _, _ in ROWS:
        space, _, function = name.rpartition(".")
        module = importlib.import_module(f"librosa.{space}") if space else librosa
        assert callable(getattr(module, function)), name


def test_every_row_says_what_is_there():
    for name, ours, verdict in ROWS:
        assert re.match(r"(same|differs: .+|not there)", verdict), name
        assert bool(ours) != (verdict == "not there"), name
        if ours:
            assert ours in dsp.__all__, name


def test_every_export_is_in_the_text():
    last = TEXT[TEXT.index("What librosa has not") :]
    added = set(re.findall(r"`(\w+)`", last))
    paired = {ours for _, ours, _ in ROWS if ours}
    assert added.isdisjoint(paired)
    assert set(dsp.__all__) == paired | added


def test_the_page_of_measurements_is_that_of_the_measurements():
    script = Path(__file__).parents[2] / "benchmarks" / "dsp_page.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_all_is_all():
    public = {n for n, v in vars(dsp).items() if not n.startswith("_") and callable(v)}
    assert public <= set(dsp.__all__)
    assert all(callable(getattr(dsp, name)) for name in dsp.__all__)

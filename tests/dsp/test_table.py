"""`docs/librosa.md` names every function there is, none that is not, and each missing argument."""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import librosa
import pytest

from kit import dsp

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "librosa.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `([\w.]+)` \| (?:`(\w+)`)? ?\| (.+?) \| (.+?) \|$", TEXT, flags=re.MULTILINE
)
INSTALLED = 0 if librosa.__version__.startswith("0.") else 1
VERDICT = re.compile(r"same|differs: .+|not there|no such function")


def librosas(name):
    space, _, function = name.rpartition(".")
    return getattr(
        importlib.import_module(f"librosa.{space}") if space else librosa, function, None
    )


def test_every_row_is_of_a_function_of_the_installed_librosa():
    assert len(ROWS) > 80
    for name, _, *verdicts in ROWS:
        assert callable(librosas(name)) == (verdicts[INSTALLED] != "no such function"), name


def test_every_row_says_what_is_there():
    for name, ours, old, new in ROWS:
        assert VERDICT.match(old), name
        # What differs from both versions in the same way is said once.
        assert VERDICT.match(new) or (new == "as 0.11" and old.startswith("differs")), name
        assert bool(ours) == ("not there" not in (old, new)), name
        if ours:
            assert ours in dsp.__all__, name


@pytest.mark.parametrize(
    ("name", "ours", "verdict"),
    [
        (name, ours, said[INSTALLED] if said[INSTALLED] != "as 0.11" else said[0])
        for name, ours, *said in ROWS
        if ours and said[INSTALLED] != "no such function"
    ],
)
def test_arguments_and_defaults_are_those_of_the_installed_librosa(name, ours, verdict):
    theirs = inspect.signature(librosas(name)).parameters
    here = inspect.signature(getattr(dsp, ours)).parameters
    passed_on = any(p.kind is p.VAR_KEYWORD for p in here.values())
    words = [re.findall(r"\w+", code) for code in re.findall(r"`([^`]+)`", verdict)]
    left_out = {"out"}.union(*words)
    for argument, parameter in theirs.items():
        gone = type(parameter.default).__name__ == "Deprecated"
        if gone or argument in left_out or parameter.kind is parameter.VAR_KEYWORD:
            continue
        assert argument in here or passed_on, argument
        if argument in here:
            assert here[argument].kind is parameter.kind, argument
            if parameter.default is not parameter.empty:
                assert here[argument].default is not parameter.empty, argument
                assert same_default(here[argument].default, parameter.default), argument


def test_what_is_not_there_is_not_there():
    for name, ours, *verdicts in ROWS:
        for said in verdicts:
            for words in re.findall(r"((?:`\w+`(?:, | and )?)+) (?:is|are) not there", said):
                here = inspect.signature(getattr(dsp, ours)).parameters
                assert not set(re.findall(r"\w+", words)) & set(here), name


def same_default(ours, theirs):
    """JAX's function, or its name, may stand for NumPy's."""
    if callable(theirs):
        return (ours if isinstance(ours, str) else ours.__name__) == theirs.__name__
    return ours is theirs or ours == theirs


def test_every_export_is_in_the_text():
    last = TEXT[TEXT.index("What librosa does not have") :]
    added = set(re.findall(r"`(\w+)`", last))
    paired = {ours for _, ours, *_ in ROWS if ours}
    assert added.isdisjoint(paired)
    assert set(dsp.__all__) == paired | added


def test_the_page_of_measurements_is_that_of_the_measurements():
    script = ROOT / "benchmarks" / "dsp_page.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_the_figures_of_librosas_own_tests_are_those_of_the_results():
    path = ROOT / "benchmarks" / "librosa_tests.py"
    spec = importlib.util.spec_from_file_location("librosa_tests", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.with_figures(TEXT) == TEXT


def test_all_is_all():
    public = {n for n, v in vars(dsp).items() if not n.startswith("_") and callable(v)}
    assert public <= set(dsp.__all__)
    assert all(callable(getattr(dsp, name)) for name in dsp.__all__)

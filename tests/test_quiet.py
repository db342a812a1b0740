"""C code writes to file 2, Python to stderr; only the second is seen."""

import os
import signal
import subprocess
import sys

import pytest

from kit.quiet import quiet_libraries


def test_only_python_is_heard(capfd):
    os.write(2, b"one\n")
    with quiet_libraries():
        os.write(2, b"a note of mpg123\n")
        sys.stderr.write("two ü\n")
    os.write(2, b"three\n")
    sys.stderr.write("four\n")
    sys.stderr.flush()
    assert capfd.readouterr().err.splitlines() == ["one", "two ü", "three", "four"]


def test_an_error_leaves_stderr_as_it_was(capfd):
    before = sys.stderr
    with pytest.raises(ValueError, match="x"), quiet_libraries():
        raise ValueError("x")
    assert sys.stderr is before
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_a_process_without_file_2(capfd):
    kept = os.dup(2)
    os.close(2)
    try:
        with quiet_libraries():
            sys.stdout.write("done\n")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert capfd.readouterr().out == "done\n"


CRASH = """
import faulthandler, os, signal, sys
from kit.quiet import quiet_libraries

def crash_here():
    os.kill(os.getpid(), signal.SIGSEGV)

before = faulthandler.is_enabled()
with quiet_libraries():
    if sys.argv[1] == "inside":
        crash_here()
    os.write(2, b"a note of mpg123\\n")
assert faulthandler.is_enabled() == before
if sys.argv[1] == "after":
    crash_here()
"""


def crash(*options, where):
    command = [sys.executable, *options, "-c", CRASH, where]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_crash_in_c_code_is_told():
    done = crash(where="inside")
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "in crash_here" in done.stderr


def test_crashes_are_told_afterwards_if_they_were_before():
    assert (crash(where="nowhere").returncode, crash(where="nowhere").stderr) == (0, "")
    done = crash(where="after")
    assert (done.returncode, done.stderr) == (-signal.SIGSEGV, "")
    for where in ("inside", "after"):
        done = crash("-X", "faulthandler", where=where)
        assert done.returncode == -signal.SIGSEGV
        assert "in crash_here" in done.stderr


def test_a_handler_with_a_file_of_its_own_stays(tmp_path):
    """As pytest has one, which must tell of crashes in later tests."""
    with (tmp_path / "told").open("w") as told:
        program = f"import faulthandler; faulthandler.enable(file={told.fileno()})\n{CRASH}"
        for where in ("inside", "after"):
            command = [sys.executable, "-c", program, where]
            done = subprocess.run(
                command, capture_output=True, pass_fds=[told.fileno()], check=False
            )
            assert (done.returncode, done.stderr) == (-signal.SIGSEGV, b"")
    assert (tmp_path / "told").read_text().count("in crash_here") == 2

"""C code writes to file 2, Python to stderr; only the second is seen."""

import os
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

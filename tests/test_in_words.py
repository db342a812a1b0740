"""Ctrl-C ends a command wherever it arrives."""

import subprocess
import sys

import pytest

# A process in the background ignores Ctrl-C, and so do its children.
HEED = """
import gc, os, signal, time
from kit.in_words import in_words
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
# JAX has such a callback, which takes long enough to be hit.
CALLBACK = """
def collected(*_):
    gc.callbacks.clear()
    os.kill(os.getpid(), signal.SIGINT)

with in_words(debug={debug}):
    gc.callbacks.append(collected)
    gc.collect()
    time.sleep(60)
    print("went on")
"""
DELETED = """
class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

with in_words(debug={debug}):
    Deleted()
    time.sleep(60)
    print("went on")
"""


@pytest.mark.parametrize("program", [CALLBACK, DELETED], ids=["callback", "__del__"])
@pytest.mark.parametrize("debug", [False, True])
def test_ctrl_c_is_not_lost_where_python_drops_exceptions(program, debug):
    command = [sys.executable, "-c", HEED + program.format(debug=debug)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    if debug:
        assert done.returncode != 0
        assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    else:
        assert done.returncode == 130
        assert done.stderr == "kit: stopped; run the same command again to resume\n"


def test_other_dropped_exceptions_are_still_told():
    program = """
from kit.in_words import in_words

class Deleted:
    def __del__(self):
        raise ValueError("of mine")

with in_words():
    Deleted()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "ValueError: of mine" in done.stderr

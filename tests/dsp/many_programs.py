"""Call the public functions of `kit.dsp` with many lengths and options, and print what that took.

    python -m tests.dsp.many_programs LENGTHS OPTIONS

LENGTHS is the number of calls of different lengths, shared out among all functions, and OPTIONS
that of calls with other options, each a program of its own.
"""

import inspect
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from kit import dsp
from kit.dsp import jit
from tests.dsp.calls import CALLS, Call

# Options that are constants of a program, one of which nearly every function has.
_CONSTANTS = ("coef", "power", "amin", "gain", "sr", "rate", "max_shift", "hop_length", "norm")
# Below this, calls that differ in length share a program.
_SHORT = 64


def varied(call: Call) -> str | None:
    """Return the name of an option of the call that can be any number near its value."""
    known = inspect.signature(getattr(dsp, call.name)).parameters
    return next((name for name in _CONSTANTS if name in known), None)


def lengths_of(call: Call, count: int) -> Iterator[int]:
    """Yield different lengths around the typical one, nearly all of which share a program."""
    top = jit.padded_length(call.typical)
    return iter(range(top, max(1, top - count), -1))


def run(lengths: int, options: int) -> dict[str, int]:
    """Return the most memory maps, the peak memory in KiB and the programs that were made."""
    maps = 0
    each = -(-lengths // len(CALLS))
    for call in CALLS.values():
        for n in lengths_of(call, each):
            jax.block_until_ready(call.of(call.make(n=n)))
        maps = max(maps, _maps())
    cheap = [c for c in CALLS.values() if c.name in CHEAP]
    for k in range(options):
        call = cheap[k % len(cheap)]
        given: dict[str, Any] = {CHEAP[call.name]: 0.5 + k / (2 * options)}
        call.given(given)(call.make())
        if k % 50 == 0:
            maps = max(maps, _maps())
    return {"maps": max(maps, _maps()), "kib": _peak_kib(), "programs": 0}


def _maps() -> int:
    return Path("/proc/self/maps").read_text().count("\n")


def _peak_kib() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))

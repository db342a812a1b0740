"""Call the public functions of `kit.dsp` with many lengths and options, and print what that took.

    python -m tests.dsp.many_programs LENGTHS OPTIONS [all]

LENGTHS is the number of calls of different lengths, shared out among every third function, or all.
OPTIONS is that of calls with options of their own, each a program: of functions that are quick to
compile, or of all that have a suitable option.
"""

import inspect
import json
import re
import sys
import time
import warnings
from pathlib import Path

import jax

from kit import dsp
from kit.dsp.jit import padded_length
from tests.dsp.calls import CALLS, Call

# Options that are constants of a program and may be any number near their value.
_NUMBERS = {"coef": 0.9, "power": 1.0, "gain": 0.9, "rate": 1.2, "sr": 8000, "start_bpm": 120}
# Functions whose programs take a few hundredths of a second to compile.
_QUICK = ("db_to_amplitude", "db_to_power", "preemphasis", "softmask")


def option_of(call: Call) -> str | None:
    """Return the name of an option by which programs of the call differ."""
    known = inspect.signature(getattr(dsp, call.name)).parameters
    if call.name.startswith("db_to"):
        return "ref"
    return next((n for n, p in known.items() if n in _NUMBERS and p.kind is p.KEYWORD_ONLY), None)


def of_lengths(call: Call, count: int) -> None:
    """Call with as many lengths, from that of the largest buffer downwards."""
    top = padded_length(call.typical)
    for n in range(top, max(0, top - count), -1):
        jax.block_until_ready(call.of(call.make(n=n)))


def run(lengths: int, options: int, every: bool) -> dict[str, float]:
    """Return the most memory maps that there were, the peak memory in KiB and the calls made."""
    most = 0
    # All share their programs in the same way, which test_public.py counts for each.
    various = list(CALLS.values())[:: 1 if every else 3]
    for call in various:
        of_lengths(call, -(-lengths // len(various)))
        most = max(most, _maps())
    calls = [c for c in CALLS.values() if option_of(c) and (every or c.name in _QUICK)]
    for k in range(options):
        call = calls[k % len(calls)]
        name = option_of(call)
        assert name is not None
        given = {name: _NUMBERS.get(name, 1.0) * (1 + k / (8 * options))}
        jax.block_until_ready(call.given(given)(call.make()))
        if k % 20 == 0:
            most = max(most, _maps())
    return {"maps": max(most, _maps()), "kib": _peak_kib(), "cpu_s": time.process_time()}


def _maps() -> int:
    return Path("/proc/self/maps").read_bytes().count(b"\n")


def _peak_kib() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), "all" in sys.argv)))

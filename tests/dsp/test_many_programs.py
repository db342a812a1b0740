"""A process that calls `kit.dsp` with thousands of lengths and options keeps within its bounds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.dsp.test_public import THOROUGH

ROOT = Path(__file__).parents[2]
# Quick to compile: no result is looked at.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def test_five_thousand_lengths_and_options():
    """Functions at 130 lengths each, and more programs than are kept at once."""
    counts = ["5000", "5000", "all"] if THOROUGH else ["4800", "120"]
    known = os.environ.get("XLA_FLAGS", "")
    child = subprocess.run(
        [sys.executable, "-m", "tests.dsp.many_programs", *counts],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": f"{known} {QUICK}", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout)
    assert found["maps"] < 10_000
    assert found["kib"] < 2 * 2**20

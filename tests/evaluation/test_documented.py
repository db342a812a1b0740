"""docs/evaluation-json.md names every key of evaluation.json, and no other."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import kit.evaluation
from kit.evaluation import evaluate
from kit.evaluation.calibration import calibration

from .documented import documented, keys_of, require_documented


def test_the_keys_of_a_real_evaluation_are_documented(job, tmp_path):
    run = shutil.copytree(job.run, tmp_path / "run")
    part = require_documented(evaluate(run, report=False))
    everything = require_documented(evaluate(run, part="all", report=False))
    assert {"configurations_tried", "tracks[].probabilities.LABEL", "LEVEL.chance.p"} <= part
    # Tracks of three parts: the unseen ones are scored apart.
    assert {"unseen.track", "unseen.segment"} <= everything - part


def test_the_keys_of_a_calibration_are_documented():
    log_p = np.log(np.random.default_rng(0).dirichlet((1, 1), 40))
    y = np.arange(40) % 2
    require_documented({"calibration": calibration(log_p, log_p, y, 1.0, "the other folds")})


def test_what_is_not_documented_is_found():
    with pytest.raises(AssertionError, match="not in"):
        require_documented({"new_key": 1})
    with pytest.raises(AssertionError, match="says"):
        require_documented({"run": 1})
    with pytest.raises(AssertionError, match="says"):
        require_documented({"configurations_tried": True})


def test_every_documented_key_is_written_somewhere():
    """Other tests compare the keys of their own evaluations: of folds, of several labels."""
    folder = Path(kit.evaluation.__file__).parent
    code = "".join(path.read_text() for path in folder.rglob("*.py"))
    code += (Path(kit.__file__).parent / "catalogue" / "split.py").read_text()
    free = {"LABEL", "PART", "LIBRARY", "LEVEL"}
    names = {
        name
        for key in documented()
        for name in key.replace("[]", "").split(".")
        if name not in free
    }
    # Put together from other names; each real evaluation has them.
    names -= {"log_loss_skill", "brier_skill"}
    missing = [n for n in names if not re.search(rf'["\']{n}["\']|^    {n}: |\b{n}=', code, re.M)]
    assert missing == []


def test_keys_of_labels_and_parts_have_one_name():
    tree = {"split": {"test": {"a": 1}}, "track": {"per_class": {"split": {"f1": 1.0}}}}
    assert [path for path, _ in keys_of(tree)] == [
        *("split", "split.PART", "split.PART.LABEL"),
        *("track", "LEVEL.per_class", "LEVEL.per_class.LABEL", "LEVEL.per_class.LABEL.f1"),
    ]

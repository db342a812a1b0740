"""The examples in the docstrings of public names say what happens."""

import doctest
import importlib.util
import inspect
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import kit

ROOT = Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference_pages.py")
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)

NAMES = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in reference.public_modules()
    for name in reference.public_names(module)
}
EXAMPLES = {
    name: test
    for name, value in NAMES.items()
    if (test := doctest.DocTestParser().get_doctest(inspect.getdoc(value) or "", {}, name, None, 0))
    and test.examples
}


@pytest.fixture(scope="module")
def folder(job, tmp_path_factory):
    """A folder with the music, the catalogue and the run that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(job.music, folder / "music")
    shutil.copytree(job.catalogue, folder / "data" / "tones")
    shutil.copytree(job.run, folder / "runs" / job.experiment.name / job.run.name)
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, request, monkeypatch):
    test = EXAMPLES[name]
    test.globs = {"kit": kit, "np": np, "jnp": jnp}
    monkeypatch.setattr("sys.argv", ["example.py"])
    if not name.startswith("kit.dsp."):
        monkeypatch.chdir(request.getfixturevalue("folder"))
        test.globs["experiment"] = request.getfixturevalue("job").experiment
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_every_name_of_kit_has_an_example():
    assert {f"kit.{name}" for name in reference.public_names(kit)} <= set(EXAMPLES)


def test_every_public_name_is_explained():
    for module in reference.public_modules():
        for name in reference.public_names(module):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert inspect.getdoc(value), name


def test_the_examples_of_a_wrong_docstring_fail(monkeypatch, request):
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    monkeypatch.setitem(EXAMPLES, "kit.dsp.wrong", wrong)
    with pytest.raises(AssertionError, match="Expected"):
        test_example("kit.dsp.wrong", request, monkeypatch)

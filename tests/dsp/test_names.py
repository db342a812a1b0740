"""All public names are at `kit.dsp`, and a theme is imported when one of its names is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from kit import dsp


@pytest.mark.parametrize("name", dsp.__all__)
def test_a_name_is_the_function_of_its_module(name):
    value = getattr(dsp, name)
    assert callable(value)
    assert value.__name__ == name
    assert value.__module__.startswith("kit.dsp.")


def test_the_three_lists_agree():
    tree = ast.parse(Path(dsp.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    eager = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kit.dsp.")
        for alias in node.names
    }
    assert typed == dsp._HOMES
    assert not eager & set(typed)
    assert sorted(eager | set(typed)) == dsp.__all__ == dir(dsp)


def test_no_folder_shadows_a_function():
    root = Path(dsp.__file__).parent
    folders = {path.parent.name for path in root.glob("*/__init__.py")}
    assert len(folders) == 6
    assert not folders & set(dsp.__all__)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_imports_its_core_alone():
    run("""if True:
        import sys
        from kit import dsp
        themes = ("augment", "ebu_r128", "effects", "rhythm", "spectral", "tonal")
        heavy = ("scipy.signal", "scipy.stats", *(f"kit.dsp.{theme}" for theme in themes))
        loaded = [name for name in sys.modules if name.startswith(heavy)]
        assert not loaded, loaded
    """)


def test_importing_any_module_leaves_the_functions_in_place():
    run("""if True:
        import importlib, pkgutil
        from kit import dsp
        for module in pkgutil.walk_packages(dsp.__path__, "kit.dsp."):
            importlib.import_module(module.name)
        assert all(getattr(dsp, name).__name__ == name for name in dsp.__all__)
    """)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match=r"module 'kit\.dsp' has no attribute 'beat'"):
        dsp.beat  # noqa: B018

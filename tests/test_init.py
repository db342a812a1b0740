"""`import kit` is light, and has all public names."""

import subprocess
import sys

import pytest

import kit


def test_import_is_light():
    code = """if True:
        import sys
        import kit
        assert {"dsp", "fit", "fit_arrays", "load", "sweep", "evaluate", "run"} <= set(dir(kit))
        heavy = {"jax", "numpy", "pandas", "flax", "tyro", "rich"} & set(sys.modules)
        assert not heavy, heavy
        kit.Experiment, kit.TrainConfig, kit.KitError
        heavy = {"jax", "numpy", "pandas", "flax", "tyro", "rich"} & set(sys.modules)
        assert not heavy, heavy
        assert kit.dsp.__name__ == "kit.dsp"
        assert "jax" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", dir(kit))
def test_every_name_is_there(name):
    assert getattr(kit, name) is getattr(kit, name)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'kit' has no attribute 'fitt'"):
        kit.fitt  # noqa: B018

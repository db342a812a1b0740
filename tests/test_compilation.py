import os
import subprocess
import sys

import pytest

USE = """
import jax, jax.numpy as jnp
from kit.compilation import use_cache
print(use_cache())
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: jnp.sin(x) @ x.T)(jnp.ones((64, 64))).block_until_ready()
"""


def run(cache, **more):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(cache), **more}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr


def test_what_was_compiled_is_kept_and_read_again(tmp_path):
    folder = tmp_path / "genre-kit" / "jax"
    assert run(tmp_path)[0] == str(folder)
    kept = {p.name for p in folder.iterdir()}
    assert kept
    _, errors = run(tmp_path)
    assert not errors
    assert {p.name for p in folder.iterdir() if p.name.endswith("-cache")} <= kept


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path, mode):
    folder = tmp_path / "genre-kit" / "jax"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    assert run(tmp_path)[0] == "None"
    assert not list(folder.iterdir())


def test_the_users_own_choice_and_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file")[0] == "None"
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "other"))[0] == "None"

import os
import shutil
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


BATCH = """
import numpy as np
from kit.config import FrontendConfig
from kit.dsp import log_mel
clips = np.random.default_rng(1).standard_normal((16, 30 * 22050)).astype(np.float32)
lengths = np.full(16, clips.shape[1], np.int32)
for method in ("auto", "double"):
    print(np.asarray(log_mel(clips, lengths, FrontendConfig(), method=method)).shape)
"""

EXTRACT = """
import sys
from kit.catalogue import from_folder, load, save
from kit.config import FeatureConfig
from kit.features import extract
save(from_folder(sys.argv[1]), sys.argv[2])
extract(load(sys.argv[2]), FeatureConfig())
print("extracted")
"""

DESCRIBE = """
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from kit.descriptors.measure import measure
from kit.descriptors.read import TrackAudio
from kit.descriptors.spectra import SAMPLES
noise = np.random.default_rng(1).standard_normal((4, 1, SAMPLES)).astype(np.float32) / 9
with ThreadPoolExecutor(4) as pool:
    found = pool.map(lambda y: measure(TrackAudio(y, np.full(300, 0.1), 30.0)), noise)
    print(len({track.danceability for track in found}))
"""


def in_a_new_process(code, *arguments):
    # The time limit ends a process that hangs; what is tested takes a few seconds.
    environment = {k: v for k, v in os.environ.items() if k != "NPROC"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_a_batch_of_long_clips_returns_from_every_core():
    assert in_a_new_process(BATCH) == ["(16, 1292, 128)"] * 2


def test_descriptors_return_from_many_threads():
    assert in_a_new_process(DESCRIBE) == ["4"]


def test_features_of_real_files_return(shared, tmp_path):
    for path in sorted((shared / "music").glob("*/*.mp3"))[::15]:
        (tmp_path / "music" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "music" / path.parent.name)
    assert in_a_new_process(EXTRACT, tmp_path / "music", tmp_path / "data") == ["extracted"]

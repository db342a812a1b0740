import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from kit.config import Conv1DConfig, TrainConfig
from kit.errors import KitError, KitWarning
from kit.models import build
from kit.training.checkpoint import Checkpoints
from kit.training.state import init_state, template

MODEL = Conv1DConfig(channels=(4,), dense=4, kernel_size=3)


def state_of(seed=0, n_classes=2):
    network = build(MODEL, n_mels=4, n_classes=n_classes)
    return init_state(network, TrainConfig(seed=seed))


def shapes(n_classes=2):
    return template(build(MODEL, n_mels=4, n_classes=n_classes), TrainConfig())


def saved(folder, scores):
    with Checkpoints(folder) as checkpoints:
        for step, score in scores.items():
            checkpoints.save(step, state_of(step), {"labels": ["a", "ü"]}, score)
        checkpoints.wait()


def read(checkpoints, which):
    found = checkpoints.read(which, lambda _: shapes())
    assert found is not None
    return found


def newest(checkpoints):
    found = checkpoints.newest(shapes())
    assert found is not None
    return found


def test_last_and_best_are_kept_and_come_back_exactly(tmp_path):
    saved(tmp_path / "c", {1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5})
    with Checkpoints(tmp_path / "c", read_only=True) as checkpoints:
        assert (checkpoints.step("best"), checkpoints.step("last")) == (2, 4)
        for which, step in (("best", 2), ("last", 4)):
            found, restored, meta = read(checkpoints, which)
            assert (found, meta["labels"]) == (step, ["a", "ü"])
            assert jax.tree.structure(restored) == jax.tree.structure(state_of())
            for a, b in zip(
                jax.tree.leaves(restored), jax.tree.leaves(state_of(step)), strict=True
            ):
                assert isinstance(a, np.ndarray)
                np.testing.assert_array_equal(a, b)
    kept = {p.name for p in (tmp_path / "c").iterdir()}
    assert kept == {"2", "3", "4"}


def test_nothing_there(tmp_path):
    with pytest.raises(KitError, match="holds no checkpoint"):
        Checkpoints(tmp_path / "none", read_only=True)
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.step("last") is None


def test_the_newer_of_two_that_are_as_good_is_the_best(tmp_path):
    saved(tmp_path / "c", {1: 2.0, 2: 2.0, 3: 3.0})
    for read_only in (True, False):
        with Checkpoints(tmp_path / "c", read_only=read_only) as checkpoints:
            assert checkpoints.step("best") == checkpoints._manager.best_step() or read_only
            assert checkpoints.step("best") == 2


def test_another_network_is_refused(tmp_path):
    saved(tmp_path / "c", {1: 1.0, 2: 2.0})
    with Checkpoints(tmp_path / "c") as checkpoints:
        with pytest.raises(KitError, match="holds another network"):
            checkpoints.read("last", lambda _: shapes(n_classes=3))
        with pytest.raises(KitError, match="holds another network"):
            checkpoints.newest(shapes(n_classes=3))


def emptied(file):
    file.write_bytes(b"")


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file):
    """With one bit of another value."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


FILES = ["state/manifest.ocdbt", "state/_METADATA", "state/d/*", "meta/metadata", "metrics/metrics"]


@pytest.mark.parametrize("damage", [emptied, cut, flipped, Path.unlink])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_newest_falls_back(tmp_path, two, file, damage):
    folder = shutil.copytree(two, tmp_path / "c")
    (found,) = (folder / "2").glob(file)
    damage(found)
    score_gone = file.startswith("metrics") and damage is Path.unlink
    with Checkpoints(folder, read_only=True) as checkpoints:
        if file.startswith("metrics"):  # evaluation does not need it
            assert checkpoints.step("last") == 2
        else:
            with pytest.warns(KitWarning, match=r"checkpoint 2 .* checkpoint 1 is used in its"):
                assert read(checkpoints, "last").step == 1
    if score_gone:
        return
    with pytest.warns(KitWarning, match=r"checkpoint 2 .* renamed to damaged-2"):
        step, state = gone_on(folder)
    assert step == 1
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(state_of(1)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {p.name for p in folder.iterdir()} >= {"2", "3", "damaged-2"}


def gone_on(folder):
    """Return what a training goes on from; save two more, of steps that were there before."""
    with Checkpoints(folder) as checkpoints:
        step, state, _ = newest(checkpoints)
        for seed in (2, 3):
            checkpoints.save(seed, state_of(seed), {}, 1.0)
        checkpoints.wait()
        assert newest(checkpoints).step == 3
    return step, state


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two checkpoints, the second of them the best."""
    folder = tmp_path_factory.mktemp("two") / "c"
    saved(folder, {1: 2.0, 2: 1.0})
    return folder


def test_one_bit_of_a_large_array_is_noticed(tmp_path):
    """Storage itself notices it in small ones alone."""
    state = {"x": np.random.default_rng(0).standard_normal(100_000).astype(np.float32)}
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, state, {}, 1.0)
        checkpoints.wait()
    flipped(max((tmp_path / "c").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size))
    with (
        Checkpoints(tmp_path / "c", read_only=True) as checkpoints,
        pytest.raises(KitError, match=r"is damaged.*restore the folder from a copy"),
    ):
        checkpoints.read("best", lambda _: state)


def test_without_a_whole_one_it_begins_anew(tmp_path, two):
    folder = shutil.copytree(two, tmp_path / "c")
    for step in "12":
        emptied(folder / step / "meta" / "metadata")
    with (
        Checkpoints(folder, read_only=True) as checkpoints,
        pytest.raises(KitError, match=r"checkpoint 2 .* is damaged"),
    ):
        checkpoints.read("best", lambda _: shapes())
    with Checkpoints(folder) as checkpoints, pytest.warns(KitWarning, match=r"damaged-[12]"):
        assert checkpoints.newest(shapes()) is None


def test_another_format_is_refused(tmp_path):
    saved(tmp_path / "c", {1: 1.0})
    (tmp_path / "c" / "1" / "meta" / "metadata").write_text(json.dumps({"format": 99}))
    words = r"has format 99, and this version of kit reads format 2; .* --fresh"
    with Checkpoints(tmp_path / "c") as checkpoints:
        with pytest.raises(KitError, match=words):
            checkpoints.read("last", lambda _: shapes())
        with pytest.raises(KitError, match=words):
            checkpoints.newest(shapes())

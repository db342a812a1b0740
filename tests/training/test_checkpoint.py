import json

import jax
import numpy as np
import pytest

from kit.config import Conv1DConfig, TrainConfig
from kit.errors import KitError
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


def test_last_and_best_are_kept_and_come_back_exactly(tmp_path):
    saved(tmp_path / "c", {1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5})
    with Checkpoints(tmp_path / "c", read_only=True) as checkpoints:
        assert (checkpoints.step("best"), checkpoints.step("last")) == (2, 4)
        assert checkpoints.meta(2)["labels"] == ["a", "ü"]
        for step in (2, 4):
            restored = checkpoints.restore(step, shapes())
            assert jax.tree.structure(restored) == jax.tree.structure(state_of())
            for a, b in zip(
                jax.tree.leaves(restored), jax.tree.leaves(state_of(step)), strict=True
            ):
                assert isinstance(a, np.ndarray)
                np.testing.assert_array_equal(a, b)
    kept = {p.name for p in (tmp_path / "c").iterdir()}
    assert kept == {"2", "4"}


def test_nothing_there(tmp_path):
    with pytest.raises(KitError, match="holds no checkpoint"):
        Checkpoints(tmp_path / "none", read_only=True)
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.step("last") is None


def test_another_network_is_refused(tmp_path):
    saved(tmp_path / "c", {1: 1.0})
    with (
        Checkpoints(tmp_path / "c", read_only=True) as checkpoints,
        pytest.raises(KitError, match="does not fit its network"),
    ):
        checkpoints.restore(1, shapes(n_classes=3))


def test_damage_is_named(tmp_path):
    saved(tmp_path / "c", {1: 1.0})
    for file in (tmp_path / "c" / "1" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"\x00" * 10)
    with (
        Checkpoints(tmp_path / "c", read_only=True) as checkpoints,
        pytest.raises(KitError, match="does not fit its network or is damaged"),
    ):
        checkpoints.restore(1, shapes())


def test_another_format_is_refused(tmp_path):
    saved(tmp_path / "c", {1: 1.0})
    (meta,) = (p for p in (tmp_path / "c" / "1" / "meta").iterdir() if p.name == "metadata")
    meta.write_text(json.dumps({"format": 99}))
    with (
        Checkpoints(tmp_path / "c", read_only=True) as checkpoints,
        pytest.raises(
            KitError, match=r"has format 99, and this version of kit reads format 2; .* --fresh"
        ),
    ):
        checkpoints.meta(1)

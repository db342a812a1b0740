"""Embeddings of files by a small network of our own: values, resuming, failures."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import from_folder, load, read_failures, save
from kit.config import ExtractConfig, FeatureConfig, FrontendConfig
from kit.errors import ConfigError, KitError
from kit.features import compute, excerpts
from kit.features.embed import STAGE, embed
from kit.weights.files import write_weights
from kit.weights.trunk import Trunk, frozen, patches_of

FRAMES = 12
CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=16),
    n_frames=36,
    clip_s=1.2,
    least_s=0.5,
)


@jax.jit
def layers(x):
    return {"mean": x.mean(axis=1), "peak": x.max(axis=1).max(axis=1, keepdims=True)}


def trunk_of(apply=layers, **changes):
    return Trunk(
        **{"name": "own", "features": CONFIG, "frames": FRAMES, "digest": "1"} | changes,
        apply=apply,
    )


@pytest.fixture
def data(write_music, tmp_path):
    """A catalogue of eight tracks of 1.3 s."""
    save(from_folder(write_music(tmp_path / "music", per_label=4)), tmp_path / "data")
    return load(tmp_path / "data")


def parts(catalogue):
    return sorted(p.name for p in (catalogue.folder / "embeddings").glob("own-*/*.npz"))


def counted():
    """A trunk, and the number of patches that it was given."""
    calls = []

    def apply(x):
        calls.append(x.shape)
        return layers(x)

    return trunk_of(apply), calls


@given(st.integers(0, 60), st.integers(1, 20))
def test_patches_lie_side_by_side_and_leave_less_than_half_of_one(length, frames):
    levels = np.arange(length, dtype=np.float32)[:, None]
    patches = patches_of(levels, frames)
    assert patches.shape[1:] == (frames, 1)
    starts = patches[:, 0, 0].astype(int).tolist()
    assert starts[: length // frames] == [i * frames for i in range(length // frames)]
    for start, patch in zip(starts, patches, strict=True):
        if length < frames:
            break
        np.testing.assert_array_equal(patch, levels[start : start + frames])
    if 0 < length < frames:
        assert starts == [0]
        np.testing.assert_array_equal(patches[0, :, 0], np.arange(frames) % length)
    heard = starts[-1] + frames if starts else 0
    assert heard == length or length < frames or 2 * (length - heard) < frames


def test_a_track_has_the_mean_over_its_patches(data):
    found = embed(data, trunk_of())
    assert found.track_ids == data.table["track_id"].tolist()
    assert (found.failures, found.computed, found.stopped) == ([], 8, False)
    assert {name: rows.shape for name, rows in found.layers.items()} == {
        "mean": (8, 16),
        "peak": (8, 1),
    }
    for at in (0, 7):
        (excerpt,) = excerpts(data.path_of(data.table.iloc[at]), CONFIG)
        patches = compute([excerpt.y], CONFIG)[0].reshape(3, FRAMES, 16)
        np.testing.assert_allclose(found.layers["mean"][at], patches.mean((0, 1)), atol=1e-3)
        np.testing.assert_allclose(found.layers["peak"][at], patches.max((1, 2)).mean(), atol=1e-3)


def test_what_is_stored_is_not_computed_again(data):
    trunk, calls = counted()
    first = embed(data, trunk)
    before = len(calls)
    again = embed(data, trunk)
    assert len(calls) == before
    assert (again.computed, again.track_ids) == (0, first.track_ids)
    np.testing.assert_array_equal(again.layers["mean"], first.layers["mean"])
    # Other weights, patches or front ends have a folder of their own.
    others = (trunk_of(digest="2"), trunk_of(frames=10), trunk_of(features=CONFIG.__class__()))
    assert len({trunk.hash, *(other.hash for other in others)}) == 4
    assert embed(data, others[0]).computed == 8


def test_a_run_that_was_stopped_goes_on_with_the_same_bits(data, write_music, tmp_path):
    seen = []
    first = embed(
        data,
        trunk_of(),
        ExtractConfig(workers=1),
        progress=lambda done, total: seen.append(done),
        stop=lambda: any(seen),
    )
    assert first.stopped
    assert 0 < first.computed == len(first.track_ids) < 8
    rest = embed(data, trunk_of(), ExtractConfig(workers=3))
    assert rest.computed == 8 - first.computed
    assert len(parts(data)) >= 2
    save(from_folder(write_music(tmp_path / "other", per_label=4)), tmp_path / "again")
    whole = embed(load(tmp_path / "again"), trunk_of(), ExtractConfig(workers=2))
    assert rest.track_ids == whole.track_ids
    for name, rows in rest.layers.items():
        np.testing.assert_array_equal(rows, whole.layers[name])


def test_files_that_fail_are_listed_and_left_alone_until_asked(data):
    music = data.audio_root
    (music / "low" / "00.flac").write_bytes((music / "low" / "01.flac").read_bytes()[:900])
    (music / "high" / "02.flac").unlink()
    save(from_folder(music), data.folder)
    whole = load(data.folder)
    # The scan left the damaged file out; damage one more behind its back.
    (music / "low" / "03.flac").write_bytes(b"fLaC")
    found = embed(whole, trunk_of())
    assert [f.reason for f in found.failures] == ["changed_file"]
    assert found.failures == [f for f in read_failures(data.folder) if f.stage == STAGE]
    assert len(found.track_ids) == len(whole.table) - 1
    failed = json.loads(next((data.folder / "embeddings").glob("own-*/failures.json")).read_text())
    assert [one["reason"] for one in failed.values()] == ["changed_file"]
    with pytest.raises(KitError, match=r"stopped at the first track that failed: .*03\.flac"):
        embed(whole, trunk_of(), ExtractConfig(strict=True))


def test_a_track_that_is_too_short_is_not_tried_again_before_it_changes(data, tmp_path):
    trunk = trunk_of(
        features=FeatureConfig(**vars(CONFIG) | {"least_s": 1.2, "clip_s": 1.4, "n_frames": 36})
    )
    long = trunk_of(
        features=FeatureConfig(**vars(CONFIG) | {"least_s": None, "clip_s": 1.5, "n_frames": 44})
    )
    assert len(embed(data, trunk).track_ids) == 8
    short = embed(data, long)
    assert (short.track_ids, {f.reason for f in short.failures}) == ([], {"too_short"})
    assert all(f.length_s == pytest.approx(1.3, abs=0.01) for f in short.failures)
    seen = []

    def progress(done, total):
        seen.append((done, total))

    embed(data, long, progress=progress)
    assert not seen
    embed(data, long, ExtractConfig(retry_failed=True), progress=progress)
    assert seen == [(done, 8) for done in range(9)]


def test_copies_of_a_file_are_computed_once(data):
    twin = data.table.iloc[[0]].assign(track_id="twin")
    both = dataclasses.replace(data, table=pd.concat([data.table, twin], ignore_index=True))
    found = embed(both, trunk_of())
    assert (found.computed, len(found.track_ids)) == (8, 9)
    # Files that are decoded in processes of their own have the same embeddings.
    isolated = embed(both, trunk_of(digest="2"), ExtractConfig(isolate=True, workers=1))
    np.testing.assert_array_equal(isolated.layers["mean"], found.layers["mean"])
    np.testing.assert_array_equal(found.layers["mean"][0], found.layers["mean"][8])


def test_damage_is_one_error_that_says_what_to_do(data):
    embed(data, trunk_of())
    part = next((data.folder / "embeddings").glob("own-*/000000.npz"))
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(KitError, match=r"000000\.npz is damaged .*delete it"):
        embed(data, trunk_of())
    part.unlink()
    (part.parent / "failures.json").write_text("[1]")
    with pytest.raises(KitError, match="does not list failures; delete it"):
        embed(data, trunk_of())
    (part.parent / "failures.json").unlink()
    again = embed(data, trunk_of())
    assert again.computed
    assert len(again.track_ids) == 8


def test_bad_trunks_are_refused():
    with pytest.raises(ConfigError, match=r"Trunk.name is 'a/b'; use letters"):
        trunk_of(name="a/b")
    with pytest.raises(
        ConfigError, match=r"Trunk.frames is 37; an excerpt has FeatureConfig.n_frames \(=36\)"
    ):
        trunk_of(frames=37)


MINE = """
import jax.numpy as jnp
from flax import nnx


class Mine(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(128, 3, rngs=rngs)

    def __call__(self, x):
        return self.embed(x)

    def embed(self, x):
        return nnx.relu(self.hidden(x.mean(axis=1)))
"""


def test_the_documented_way_to_a_trunk_of_your_own(write_music, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "weights.md").read_text(encoding="utf-8")
    code = page.partition("## A trunk of your own")[2].split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_models.py").write_text(MINE, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "my_models", raising=False)  # that of docs/python.md
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(128, 3)).astype(np.float32), np.zeros(3, np.float32)
    write_weights(Path("mine.npz"), {"hidden/kernel": kernel, "hidden/bias": bias})
    save(from_folder(write_music(tmp_path / "music", per_label=1, seconds=4)), Path("data/mine"))
    names = {}
    exec(compile(code, "docs/weights.md", "exec"), names)
    del sys.modules["my_models"]
    found, trunk = names["found"], names["trunk"]
    assert found.layers["hidden"].shape == (2, 3)
    catalogue = load("data/mine")
    (excerpt,) = excerpts(catalogue.path_of(catalogue.table.iloc[0]), trunk.features)
    levels = compute([excerpt.y], trunk.features)[0][: 1 + len(excerpt.y) // 512]
    means = np.stack([patch.mean(axis=0) for patch in patches_of(levels, 128)])
    expected = np.maximum(means @ kernel, 0).mean(axis=0)
    np.testing.assert_allclose(found.layers["hidden"][0], expected, rtol=1e-3, atol=1e-2)
    with pytest.raises(KitError, match=r"hidden/kernel are missing; the module has \(128, 3\)"):
        frozen(names["Network"].of(names["Mine"]), {"hidden/bias": bias}, names["apply"])

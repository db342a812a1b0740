"""The original project's two files: no pickle, one order."""

import dataclasses

import numpy as np
import pytest

from kit.catalogue import load
from kit.errors import KitError
from kit.features import FeatureStore, export_npy, store_path


@pytest.fixture
def made(job):
    catalogue = load(job.catalogue)
    return catalogue, FeatureStore.open(store_path(catalogue, job.experiment.features))


def test_both_files_load_without_pickle(made, tmp_path):
    catalogue, store = made
    specs, genres = export_npy(store, catalogue, tmp_path / "new")
    assert (specs.name, genres.name) == ("song_specs.npy", "genres.npy")
    x = np.load(specs, allow_pickle=False)
    y = np.load(genres, allow_pickle=False)
    assert x.dtype == np.float32
    assert y.dtype.kind == "U"
    label_of = dict(zip(catalogue.table["track_id"], catalogue.table["label"], strict=True))
    ids = store.index["track_id"].tolist()
    assert y.tolist() == [label_of[t] for t in ids]
    np.testing.assert_array_equal(x, store.read(ids))
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["genres.npy", "song_specs.npy"]


def test_a_track_that_left_the_catalogue_is_left_out(made, tmp_path):
    catalogue, store = made
    fewer = dataclasses.replace(catalogue, table=catalogue.table.iloc[3:].reset_index(drop=True))
    specs, genres = export_npy(store, fewer, tmp_path)
    assert len(np.load(specs)) == len(np.load(genres)) == len(fewer.table)


def test_a_full_disk_leaves_nothing_half_written(made, tmp_path, full_disk):
    catalogue, store = made
    with full_disk(5000), pytest.raises(KitError, match=r"song_specs\.npy.*free some space"):
        export_npy(store, catalogue, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_frames_that_a_short_track_does_not_have_are_nan(made, tmp_path):
    catalogue, store = made
    config = dataclasses.replace(store.config, excerpts=2)
    new = FeatureStore.create(tmp_path / "x.zarr", config)
    ids = catalogue.table["track_id"].tolist()[:3]
    x = np.random.default_rng(0).normal(size=(3, 64, 16)).astype(np.float32)
    new.write(ids, ["0" * 64] * 3, x, frames=[64, 32, 10])
    got = np.load(export_npy(new, catalogue, tmp_path)[0])
    assert got.shape == (3, 64, 16)
    for row, want, frames in zip(got, x, (64, 32, 10), strict=True):
        np.testing.assert_array_equal(row[:frames], want[:frames])
        assert np.isnan(row[frames:]).all()


def test_the_file_is_the_one_that_numpy_writes(made, tmp_path):
    catalogue, store = made
    specs, _ = export_npy(store, catalogue, tmp_path)
    np.save(tmp_path / "want.npy", store.read(store.index["track_id"].tolist()))
    assert specs.read_bytes() == (tmp_path / "want.npy").read_bytes()

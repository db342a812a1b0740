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

"""The map: against scikit-learn's components, and what it refuses."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from kit.errors import UsageError
from kit.explore.projection import project
from kit.explore.statistics import FEATURES, values


def test_components_are_those_of_scikit_learn(two_labels):
    v = values(two_labels)
    found = project(v)
    angle = 2 * np.pi * v["key"] / 12
    columns = v.drop(columns="key").assign(cos=np.cos(angle), sin=np.sin(angle))
    x = StandardScaler().fit_transform(columns)
    pca = PCA(2).fit(x)
    np.testing.assert_allclose(np.abs(found.points), np.abs(pca.transform(x)), atol=1e-9)
    for axis, share in zip(found.axes, pca.explained_variance_ratio_, strict=True):
        assert f"{share:.0%} of the variance" in axis
    assert "instrumentalness" in found.axes[0]
    assert found.features == tuple(feature.name for feature in FEATURES)


def test_b_is_as_near_to_c_as_c_is_to_c_sharp():
    keys = np.tile(np.arange(12.0), 10)
    v = values(pd.DataFrame({"key": keys}))
    points = project(v).points[:12]
    steps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])


def test_tracks_that_lack_a_feature_are_left_out_and_rare_features_too(two_labels):
    two_labels.loc[:4, "tempo"] = np.nan
    two_labels.loc[10:, "valence"] = np.nan
    found = project(values(two_labels))
    assert "valence" not in found.features
    np.testing.assert_array_equal(found.used, [False] * 5 + [True] * 95)
    assert found.points.shape == (95, 2)


@pytest.mark.parametrize(
    "table", [{"tempo": [1.0, 2, 3]}, {"tempo": [1.0, 2], "energy": [0, 1]}, {}]
)
def test_a_map_takes_two_features_and_three_tracks(table):
    with pytest.raises(UsageError, match="a map takes three tracks and two features"):
        project(values(pd.DataFrame(table, index=range(len(table.get("tempo", []))))))


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="UMAP is installed")
def test_umap_is_asked_for_by_name(two_labels):
    with pytest.raises(UsageError, match=r"install genre-kit\[umap\], or take --projection pca"):
        project(values(two_labels), "umap")


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
def test_umap_gives_a_point_a_track(two_labels):
    assert project(values(two_labels), "umap").points.shape == (100, 2)

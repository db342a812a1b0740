import csv
import dataclasses

import numpy as np
import pytest

from kit.catalogue import from_csv, load, save
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.features import FeatureStore, store_path
from kit.training import fit

FEATURES = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=8),
    n_frames=64,
    clip_s=1.1,
)


def _make_catalogue(folder, tracks=24):
    """A catalogue with features that a small network can learn: a band that tells the labels."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["track_id", "label", "artists"])
        for i in range(tracks):
            writer.writerow([f"t{i}", ("edm", "techno")[i % 2], f"artist {i // 2 % 6} {i % 2}"])
    save(from_csv(folder / "table.csv"), folder)
    catalogue = load(folder)
    rng = np.random.default_rng(0)
    features = rng.normal(-40, 5, (tracks, 64, 8)).astype(np.float32)
    features[1::2, :, 3] += 10
    store = FeatureStore.create(store_path(catalogue, FEATURES), FEATURES)
    store.write([f"t{i}" for i in range(tracks)], ["0" * 64] * tracks, features)
    return folder


def _experiment(folder, **train):
    return Experiment(
        name="small",
        catalogue=str(folder),
        features=FEATURES,
        split=SplitConfig(test_fraction=0.25, validation_fraction=0.2),
        segments=SegmentConfig(frames=16),
        model=Conv1DConfig(channels=(8,), kernel_size=3, dense=8, dropout=0.2),
        train=dataclasses.replace(TrainConfig(epochs=4, batch_size=8, learning_rate=1e-2), **train),
    )


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    return _make_catalogue(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="session")
def experiment(catalogue):
    """A function: the fields of TrainConfig to change -> an experiment on the small catalogue."""
    return lambda **train: _experiment(catalogue, **train)


@pytest.fixture(scope="session")
def whole(experiment, tmp_path_factory):
    """A run of the small experiment that nothing interrupted."""
    return fit(experiment(), runs=tmp_path_factory.mktemp("whole"))

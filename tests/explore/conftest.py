"""A table of features that is like a real one, short clips, and one exploration of both."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import soundfile

from kit.catalogue import Catalogue, from_folder, load, save, validate
from kit.config import FeatureConfig, FrontendConfig
from kit.explore import Exploration, explore
from tests.page import Page


def features(tracks, seed=0, **means):
    """Columns of so many tracks; `means` move some of them."""
    rng = np.random.default_rng(seed)
    zero_to_one = (
        *("danceability", "energy", "speechiness", "acousticness"),
        *("instrumentalness", "liveness", "valence"),
    )
    columns = {n: np.clip(rng.normal(means.get(n, 0.5), 0.1, tracks), 0, 1) for n in zero_to_one}
    columns["loudness"] = rng.normal(means.get("loudness", -6), 2, tracks)
    columns["tempo"] = rng.normal(means.get("tempo", 125), 4, tracks)
    columns["key"] = rng.integers(0, 12, tracks)
    columns["mode"] = rng.integers(0, 2, tracks)
    columns["duration_ms"] = rng.normal(300_000, 30_000, tracks).round()
    return columns


def make_two_labels():
    """Sixty techno and forty edm, apart in instrumentalness and tempo, by artists of three."""
    sides = {"techno": (60, {"instrumentalness": 0.8, "tempo": 130}), "edm": (40, {})}
    frames = []
    for seed, (label, (tracks, means)) in enumerate(sides.items()):
        frame = pd.DataFrame(features(tracks, seed, **means))
        frame.insert(0, "track_id", [f"{label}-{i}" for i in range(tracks)])
        frame.insert(1, "label", label)
        frame["artists"] = [f"{label} artist {i // 3}" for i in range(tracks)]
        frame["release_date"] = [f"{2010 + i % 8}-0{1 + i % 9}-15" for i in range(tracks)]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def two_labels():
    """A table of `make_two_labels`, to be changed at will."""
    return make_two_labels()


CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=16),
    n_frames=30,
    clip_s=1.0,
)


LIMIT_MIB = 8
"""Size of the page of `explored`: all clips fit but one."""


def write_clips(folder, **seconds):
    """Two labels of four noise clips, and their catalogue in the folder.

    A clip has a second and more, or the seconds of its name, such as `clip3`.
    """
    for i in range(8):
        place = folder / "music" / ("edm", "techno")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        samples = 8000 * seconds.get(f"clip{i}", 1) + 500 * i
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, samples)
        soundfile.write(place / f"{i}.wav", noise, 8000)
    save(from_folder(folder / "music"), folder / "catalogue")
    return load(folder / "catalogue")


@pytest.fixture
def clips(tmp_path):
    """The catalogue of `write_clips`, to be changed at will."""
    return write_clips(tmp_path)


def of_table(folder, table, *notices):
    """A catalogue of a table without audio."""
    return Catalogue(folder, validate(table, source="the test"), folder, notices)


@dataclasses.dataclass
class Explored:
    """An exploration, the calls of its progress, its page, and the clips that it drew."""

    result: Exploration
    calls: list
    page: Page
    clips: Catalogue


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """A table of two sources, clips of which one is text, and rows that come again."""
    folder = tmp_path_factory.mktemp("explored")
    table = make_two_labels()
    table.loc[:6, "tempo"] = np.nan
    table["feature_source"] = np.where(np.arange(100) % 10 == 9, "kit-proxy-1", "spotify")
    clips = write_clips(folder, clip3=300)
    sorted((clips.audio_root / "edm").iterdir())[0].write_text("this is text")
    again = of_table(folder, table.head(5).assign(label="house"))
    calls = []
    result = explore(
        [of_table(folder, table, "Some terms hold."), clips, again],
        CONFIG,
        folder / "out",
        count=3,
        track_ids=[clips.table["track_id"][6]],
        limit_mib=LIMIT_MIB,
        progress=lambda *done: calls.append(done),
    )
    return Explored(result, calls, Page(result.page), clips)

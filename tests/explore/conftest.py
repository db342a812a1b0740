"""Short clips, and one exploration of them and of a table."""

import dataclasses

import numpy as np
import pytest
import soundfile

from kit.catalogue import Catalogue, from_folder, load, save, validate
from kit.config import FeatureConfig, FrontendConfig
from kit.explore import Exploration, explore
from tests.page import Page
from tests.tables import make_two_labels

CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=16),
    n_frames=30,
    clip_s=1.0,
)


two_labels = pytest.fixture(make_two_labels, name="two_labels")
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

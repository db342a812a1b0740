"""The harder demo: the order of three sounds is all that differs, and it can be heard."""

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kit.config import DemoConfig
from kit.demo import TrackPlan, plan, synthesise
from kit.demo.clock import SAMPLE_RATE
from kit.errors import ConfigError

CONFIG = DemoConfig(tracks=16, artists=4, duration_s=16.0, difficulty="hard")


def _benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "demo_order.py"
    spec = importlib.util.spec_from_file_location("demo_order", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORDER = _benchmark()


@pytest.fixture(scope="module")
def tracks() -> list[tuple[TrackPlan, np.ndarray]]:
    return [(track, synthesise(track).mean(0)) for track in plan(CONFIG)]


def test_every_artist_plays_both_genres_in_pairs_that_are_alike() -> None:
    tracks = plan(DemoConfig(tracks=97, artists=16, difficulty="hard"))
    assert plan(DemoConfig(tracks=97, artists=16, difficulty="hard")) == tracks
    assert [track.index for track in tracks] == list(range(97))
    assert len({track.path for track in tracks}) == 97
    techno, edm = ([t for t in tracks if t.label == label] for label in ("techno", "edm"))
    assert len(techno) == 49
    assert [track.pair for track in techno] == list(range(49))
    for one, other in zip(techno, edm, strict=False):
        own = {name: getattr(one, name) for name in ("index", "path", "label", "title")}
        assert dataclasses.replace(other, **own) == one
        assert one.fingerprint != other.fingerprint
    labels: dict[str, set[str]] = {}
    for track in tracks:
        labels.setdefault(track.artist_names[0], set()).add(track.label)
    assert len(labels) == 16
    assert set(map(frozenset, labels.values())) == {frozenset({"techno", "edm"})}


def test_files_of_the_easy_demo_stay_valid() -> None:
    # Written by kit before there was a harder demo.
    track = plan(DemoConfig())[0]
    assert track.fingerprint == "d41e8db9437a7eda"


def test_the_same_plan_gives_the_same_sound_and_each_label_its_own(tracks) -> None:
    track, y = tracks[0]
    np.testing.assert_array_equal(synthesise(track).mean(0), y)
    assert not np.array_equal(tracks[8][1], y)
    other = plan(dataclasses.replace(CONFIG, seed=2))[0]
    assert not np.array_equal(synthesise(other).mean(0), y)


def test_level_and_mean_spectrum_do_not_tell_the_genres_apart(tracks) -> None:
    octaves = [(40 * 2**i, 80 * 2**i) for i in range(8)]
    found = []
    for _, y in tracks:
        bands = 10 * np.log10(ORDER.band_powers(y, SAMPLE_RATE, octaves)[0] + 1e-6)
        found.append([10 * np.log10(np.mean(y**2)), *bands.mean(axis=1)])
    techno, edm = np.array(found[:8]), np.array(found[8:])
    apart = techno - edm
    assert np.max(np.abs(apart[:, 0])) < 0.05
    # A bar that is cut at the end makes a little difference; from pair to pair it is far more.
    assert np.max(np.abs(apart)) < 1.0
    assert np.max(np.abs(apart.mean(axis=0))) < 0.3
    assert np.min(np.std(techno, axis=0)) > 1.0


def test_a_detector_of_the_order_tells_the_genres_apart(tracks) -> None:
    found = [ORDER.climbs(y, SAMPLE_RATE, track.tempo_bpm) > 0 for track, y in tracks]
    assert found == [track.label == "techno" for track, _ in tracks]


def test_too_few_tracks_for_two_genres_an_artist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"DemoConfig.tracks is 31; .*at least 32"):
        DemoConfig(tracks=31, artists=16, difficulty="hard")

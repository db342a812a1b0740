"""Tempo, key and loudness of rendered tracks, whose true values are known."""

import csv

import numpy as np
import pytest

from kit.config import DemoConfig
from kit.demo import render
from kit.descriptors import measure, read_track

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """True and measured values of six tracks of 20 s."""
    folder = tmp_path_factory.mktemp("rendered")
    audio = render(DemoConfig(tracks=6, artists=6, duration_s=20.0, seed=5), folder, workers=1)
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [(row, measure(read_track(audio / row["path"]))) for row in rows]


def test_tempo_is_right(rendered):
    for row, found in rendered:
        assert found.tempo == pytest.approx(float(row["tempo_bpm"]), rel=0.01), row["path"]


def test_most_keys_are_right(rendered):
    # 0.77 of the benchmark's 216 tracks are right: fewer than 3 of six has probability 1 in 60.
    right = [KEYS[found.key] == row["key"] for row, found in rendered]
    assert sum(right) >= 3
    assert np.mean([found.duration_ms for _, found in rendered]) == 20000


def test_loudness_follows_the_plan(rendered):
    planned = [float(row["loudness_db"]) for row, _ in rendered]
    assert np.corrcoef(planned, [found.loudness for _, found in rendered])[0, 1] > 0.8

"""The plan: what is known of the demo before a sound is made."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config import DemoConfig
from kit.demo import plan
from kit.demo.names import slug


def _groups(tracks) -> dict[str, int]:
    """Connected groups of artists by label."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    labels = {}
    for track in tracks:
        for name in track.artist_names:
            labels[name] = track.label
            parent[root(name)] = root(track.artist_names[0])
    return Counter(labels[name] for name in parent if root(name) == name)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_plan_has_many_artists_and_both_genres_alike(seed: int) -> None:
    tracks = plan(DemoConfig(seed=seed))
    assert Counter(t.label for t in tracks) == {"techno": 72, "edm": 72}
    assert len({name for t in tracks for name in t.artist_names}) == 24
    groups = _groups(tracks)
    assert groups["techno"] >= 10
    assert groups["edm"] >= 10
    pairs = {tuple(t.artist_names) for t in tracks if len(t.artists) == 2}
    assert len(pairs) == 4
    # What kit.demo.techno plays, whatever the plan: the truth must say so.
    assert {t.mode for t in tracks if t.label == "techno"} == {"minor"}
    assert {t.mode for t in tracks if t.label == "edm"} == {"minor", "major"}


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 60), st.integers(0, 150), st.integers(0, 2**32 - 1))
def test_any_plan_is_balanced_and_its_names_are_apart(artists: int, more: int, seed: int) -> None:
    config = DemoConfig(tracks=artists + more, artists=artists, duration_s=1.0, seed=seed)
    tracks = plan(config)
    assert plan(config) == tracks
    assert [t.index for t in tracks] == list(range(config.tracks))
    count = Counter(t.label for t in tracks)
    assert 0 <= count["techno"] - count["edm"] <= 1
    assert len({t.path for t in tracks}) == config.tracks
    by_label = {
        label: {n for t in tracks if t.label == label for n in t.artist_names} for label in count
    }
    assert not by_label["techno"] & by_label["edm"]
    assert len(by_label["techno"] | by_label["edm"]) == artists
    main = Counter(t.artist_names[0] for t in tracks)
    for label in by_label:
        mine = [main[name] for name in by_label[label]]
        assert max(mine) - min(mine) <= 1
    assert all(120 <= t.tempo_bpm <= 140 for t in tracks)
    assert all(re.fullmatch(rf"{t.label}/[a-z0-9-]+\.mp3", t.path) for t in tracks)


def test_an_artist_keeps_habits_and_seeds_differ() -> None:
    tracks = plan(DemoConfig(seed=3))
    for track in tracks:
        assert track.key in track.artists[0].keys
        assert abs(track.tempo_bpm - track.artists[0].tempo_bpm) < 10
    other = plan(DemoConfig(seed=4))
    assert {t.fingerprint for t in tracks}.isdisjoint(t.fingerprint for t in other)
    assert any(not name.isascii() for t in tracks for name in t.artist_names)


def test_names_become_plain_file_names() -> None:
    assert slug("Døgnvill & Söhne") == "dognvill-sohne"
    assert slug("Grauguß (Żelbet/Łuna)") == "grauguss-zelbet-luna"
    assert slug("…") == "untitled"

"""A table of features that is like a real one, and quick."""

import numpy as np
import pandas as pd


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

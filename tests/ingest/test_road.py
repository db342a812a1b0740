"""The whole original road: two playlists of Spotify to an evaluated network, with a tenth of the
tracks: 149 techno and 150 EDM, 3.2 s each. The stages have tests of their own at full size."""

import dataclasses
import json
import os
import ssl
import subprocess
import sys
import time
from functools import cache

import flask
import numpy as np
import pandas as pd
import pytest
import trustme

from kit.catalogue import load
from kit.cli.stages.evaluation import evaluate
from kit.cli.stages.features import compute
from kit.cli.stages.training import train
from kit.config import (
    DemoConfig,
    Experiment,
    FeatureConfig,
    SplitConfig,
    TrainConfig,
)
from kit.demo.mp3 import GENRES, encode, tagged
from kit.demo.render import synthesise
from kit.demo.tracklist import TrackPlan, plan
from kit.errors import UsageError
from kit.ingest.spotify.playlist import NOTICE
from tests.ingest.spotify.server import Spotify, entry, features, id_of

COUNTS = {"techno": 149, "edm": 150}
LISTS = {"techno": "6A0jhWmPFRsMgCo3Jb5pU1", "edm": "4w7BE2qLrYkuf8hv0WzXcN"}
FIRST = {"techno": 0, "edm": 3000}  # so that no artist makes both
SECONDS = 3.2
FEATURES = FeatureConfig(n_frames=128, clip_s=3.1)
KILLS = 5

CHILD = """
import sys
from pathlib import Path
from kit.config import PreviewConfig
from kit.cli.spotify import spotify
from kit.cli.previews import previews

folder, *lists = sys.argv[1:]
for given in lists:
    label, name = given.split("=")
    done = Path(f"{folder}-{label}")
    # As a person would: what has come to its end is not begun again.
    if not done.exists():
        spotify(name, label, Path(folder))
        done.touch()
previews(
    Path(folder),
    PreviewConfig(hosts=("127.0.0.1",), backoff_s=0.01),
)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return ca, path


@pytest.fixture(scope="module")
def sounds():
    """A function of a label and a number: one of ten sounds of the label, all the artist's own."""
    found = {}
    for label in COUNTS:
        tracks = [track for track in plan(DemoConfig(tracks=16, artists=8)) if track.label == label]
        short = [dataclasses.replace(track, duration_s=SECONDS) for track in tracks[:4]]
        found[label] = [(track, synthesise(track)) for track in short]

    @cache
    def sound(label: str, number: int) -> tuple[TrackPlan, bytes]:
        track, y = found[label][number % 4]
        return track, encode(np.roll(y, 1000 * number, axis=1))

    # Equal audio under two names ties their artists, of whom each has three tracks.
    return lambda label, number: sound(label, number // 3 % 10)


@pytest.fixture(scope="module")
def server(authority, sounds):
    """Spotify as it was for the original project, with its previews at another path."""
    ca, _ = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    numbers = {label: range(FIRST[label], FIRST[label] + n) for label, n in COUNTS.items()}
    every = [n for group in numbers.values() for n in group]
    playlists: dict[str, list] = {name: [] for name in LISTS.values()}
    with Spotify(playlists, features={id_of(n): features(n) for n in every}, tls=context) as server:
        for label, group in numbers.items():
            playlists[LISTS[label]] += [
                entry(n, preview_url=f"{server.url}/mp3-preview/{label}/{n}") for n in group
            ]

        def preview(label: str, number: int) -> flask.Response:
            track, stream = sounds(label, number)
            body = tagged(dataclasses.replace(track, title=f"No {number}"), stream)
            return flask.Response(body, mimetype="audio/mpeg")

        server.app.add_url_rule("/mp3-preview/<label>/<int:number>", view_func=preview)
        yield server


def ingest(folder, server, ca, tmp_path):
    """The process that reads both playlists and their previews."""
    environment = {
        **os.environ,
        **server.environment,
        "REQUESTS_CA_BUNDLE": str(ca),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    lists = [f"{label}={name}" for label, name in LISTS.items()]
    command = [sys.executable, "-c", CHILD, str(folder), *lists]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(server, authority, tmp_path_factory):
    """The catalogue of a process that nobody disturbed, its stderr, and the requests it took."""
    _, ca = authority
    began = len(server.requests)
    folder = tmp_path_factory.mktemp("whole") / "data"
    with ingest(folder, server, ca, folder.parent) as process:
        _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return folder, told, len(server.requests) - began


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_the_original_road(whole, tmp_path):
    folder, told, _ = whole
    catalogue = load(folder)
    assert dict(catalogue.table["label"].value_counts()) == COUNTS
    assert NOTICE in catalogue.notices
    assert told.count(NOTICE) == 1
    row = catalogue.table.set_index("track_id").loc[id_of(3001)]
    want = features(3001)
    assert row["tempo"] == want["tempo"]
    assert row["key"] == want["key"]
    assert (row["feature_source"], row["audio_source"]) == ("spotify", "spotify")
    assert row["artists"] == "Ärtist 1000"
    # The file's tags fill the cells that the playlist leaves empty.
    assert row["genre"] == GENRES["edm"]
    assert "tags" not in catalogue.table
    assert all(catalogue.path_of(row).is_file() for row in catalogue.table.to_dict("records"))

    result = compute(load(folder), FEATURES, quiet=True)
    assert result.computed == sum(COUNTS.values())
    assert not result.failures
    experiment = Experiment(
        name="road",
        catalogue=str(folder),
        features=FEATURES,
        split=SplitConfig(by="artist"),
        train=TrainConfig(epochs=8, batch_size=32),
    )
    with pytest.raises(UsageError, match=r"III\.14"):
        train(experiment, load(folder), runs=tmp_path / "runs")
    run = train(experiment, load(folder), runs=tmp_path / "runs", rights=True)
    evaluate(run)
    scores = json.loads((run.folder / "evaluation.json").read_text())
    # There are four sounds of each label, each in many tracks.
    assert scores["track"]["accuracy"] > 0.95
    assert (run.folder / "report.html").is_file()


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_killed_at_five_points_it_ends_in_the_same_table(whole, server, authority, tmp_path):
    """Two points lie in the playlists, three in the previews."""
    folder, _, asked = whole
    _, ca = authority
    rng = np.random.default_rng(6)
    pages = asked - sum(COUNTS.values())
    points = sorted([*rng.integers(2, pages, 2), *rng.integers(pages, asked - 50, KILLS - 2)])
    began = len(server.requests)
    resumed = tmp_path / "killed"
    for point in points:
        with ingest(resumed, server, ca, tmp_path) as process:
            assert process.stderr is not None
            while len(server.requests) - began < point:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.002)
            process.kill()
        assert process.returncode == -9
    with ingest(resumed, server, ca, tmp_path) as process:
        _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    # A kill costs the answers in flight, and a new token.
    assert asked <= len(server.requests) - began <= asked + KILLS * 8
    table, again = (pd.read_csv(f / "tracks.csv") for f in (folder, resumed))
    pd.testing.assert_frame_equal(table, again)
    assert (folder / "tracks.csv").read_bytes() == (resumed / "tracks.csv").read_bytes()

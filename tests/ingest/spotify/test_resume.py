"""Stopped anywhere and started again: the same table, and no page twice."""

import os
import random
import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest

from kit.ingest.spotify import RefusedError, forget, playlist
from kit.ingest.spotify.kept import FOLDER
from tests.ingest.spotify.server import entry, error, features, id_of, local, removed

LIST = "37i9dQZF1DX6J5NfMJS675"
NUMBERS = range(1, 820)
ROWS = [entry(n) for n in NUMBERS]
ROWS[100:100] = [local(), removed(), entry(1)]
FEATURES = {id_of(n): features(n) for n in NUMBERS}
# 17 pages, 9 sets of features.
ANSWERS = 17 + 9


class Stopped(BaseException):
    """As Ctrl-C: no one catches it on the way."""


def test_stopped_at_five_random_points(serve, ask, tmp_path):
    server = serve({LIST: ROWS}, features=FEATURES)
    want = playlist(LIST, "techno", tmp_path / "once", client=ask(server))
    assert len(server.pages()) == ANSWERS
    server.answered.clear()
    points = sorted(random.Random(5).sample(range(1, ANSWERS), 5))
    reached = 0

    def stop_at(point):
        def progress(*_):
            # Counted over all runs: kept answers are reported as well.
            nonlocal reached
            reached = sum(server.pages().values())
            if reached >= point:
                raise Stopped

        return progress

    for point in points:
        with pytest.raises(Stopped):
            playlist(LIST, "techno", tmp_path / "d", client=ask(server), progress=stop_at(point))
    found = playlist(LIST, "techno", tmp_path / "d", client=ask(server))
    assert reached == points[-1]
    pd.testing.assert_frame_equal(found.table, want.table)
    assert found.failures == want.failures
    assert len(server.pages()) == ANSWERS
    assert set(server.pages().values()) == {1}
    forget(LIST, tmp_path / "d")
    assert not (tmp_path / "d" / FOLDER).exists()


def test_killed_at_five_random_points(serve, tmp_path):
    """The process is killed while it waits for an answer, which it then does not get."""
    server = serve({LIST: ROWS}, features=FEATURES)
    environment = os.environ | server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    code = (
        "import sys; from kit.ingest.spotify import playlist; "
        f"playlist({LIST!r}, 'techno', sys.argv[1]).table.to_csv(sys.argv[2], index=False)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "d"), str(tmp_path / "table.csv")]
    victim: dict[str, subprocess.Popen] = {}
    started = threading.Event()
    points = random.Random(6).sample(range(2, 6), 4) + [7]
    at = 0

    def fault(request, number):
        nonlocal at
        if "/v1/" not in request.path or not points:
            return None
        at += 1
        if at < points[0]:
            return None
        started.wait(30)
        victim["it"].send_signal(signal.SIGKILL)
        return error(500, "nobody hears this")

    server.fault = fault
    while points:
        started.clear()
        victim["it"] = subprocess.Popen(command, env=environment)
        started.set()
        assert victim["it"].wait(60) == -signal.SIGKILL
        points.pop(0)
        at = 0
    subprocess.run(command, env=environment, check=True, timeout=60)
    server.fault = None
    found = pd.read_csv(tmp_path / "table.csv")
    assert found["track_id"].tolist() == [id_of(n) for n in NUMBERS]
    assert found["tempo"].tolist() == [120.0 + n % 30 for n in NUMBERS]
    assert len(server.pages()) == ANSWERS
    assert set(server.pages().values()) == {1}


def test_refused_in_the_middle_it_goes_on_from_there(serve, ask, tmp_path):
    def fault(request, number):
        if "offset=400" in request.query_string.decode():
            return error(429, "limit", **{"Retry-After": "80000"})
        return None

    server = serve({LIST: ROWS}, features=FEATURES, fault=fault)
    with pytest.raises(RefusedError, match="goes on from where it was"):
        playlist(LIST, "techno", tmp_path / "d", client=ask(server))
    assert len(server.pages()) == 8
    server.fault = None
    assert len(playlist(LIST, "techno", tmp_path / "d", client=ask(server)).table) == len(NUMBERS)
    assert set(server.pages().values()) == {1}


def test_which_address_it_was_is_known_as_well(serve, ask, tmp_path):
    server = serve({LIST: ROWS[:60]}, features=FEATURES, shape="tracks")

    def progress(*_):
        raise Stopped

    with pytest.raises(Stopped):
        playlist(LIST, "techno", tmp_path, client=ask(server), progress=progress)
    playlist(LIST, "techno", tmp_path, client=ask(server))
    assert sum("/items" in r for r in server.requests) == 1


def test_a_page_that_was_damaged_is_asked_for_again(serve, ask, tmp_path):
    server = serve({LIST: ROWS[:120]}, features=FEATURES)
    playlist(LIST, "techno", tmp_path, client=ask(server))
    (page,) = tmp_path.rglob("page-000050.json")
    page.write_bytes(page.read_bytes()[:1000])
    assert len(playlist(LIST, "techno", tmp_path, client=ask(server)).table) == 117
    assert sorted(server.pages().values()) == [1, 1, 1, 1, 2]


def test_another_market_is_another_run(serve, ask, tmp_path):
    server = serve({LIST: ROWS[:10]}, features=FEATURES)
    playlist(LIST, "techno", tmp_path, client=ask(server))
    playlist(LIST, "techno", tmp_path, client=ask(server), market="DE")
    assert sum("/items" in r for r in server.requests) == 2

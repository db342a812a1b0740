"""A run's rates, its end, and what holds it up, from a clock that the test turns."""

import time

import pytest

from kit.features.throughput import Meter

LANES = {"decode": 4, "device": 2, "write": 1}


@pytest.fixture
def clock(monkeypatch):
    """A function that sets the seconds since the run began."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def at(seconds):
        now[0] = 1000.0 + seconds

    return at


def meter(done=0, total=100, lanes=LANES):
    return Meter(done, total, dict(lanes), began=1000.0)


def test_before_the_first_track(clock):
    clock(5)
    p = meter(done=7).progress()
    assert (p.done, p.total, p.computed) == (7, 100, 0)
    assert (p.tracks_per_s, p.realtime, p.eta_s) == (0, 0, None)
    assert p.bottleneck in LANES
    # The first instant is not divided by.
    clock(0)
    assert meter().progress().tracks_per_s == 0


def test_rates_and_the_end(clock):
    m = meter(done=40)
    for _ in range(20):
        m.track(30.0)
    clock(10)
    p = m.progress()
    assert m.seconds == 10
    assert (p.done, p.computed, m.computed, m.audio_s) == (60, 20, 20, 600.0)
    assert p.tracks_per_s == pytest.approx(2)
    assert p.realtime == pytest.approx(60)
    # 40 to go, 2 a second: what earlier runs did is not this one's pace.
    assert p.eta_s == pytest.approx(20)
    assert str(p) == "2.0 tracks/s, 0.02 h of audio/s, held up by decode"


def test_a_track_that_failed_is_done_and_not_computed(clock):
    m = meter(total=4)
    m.track(30.0)
    m.track(None)
    clock(2)
    p = m.progress()
    assert (p.done, p.computed) == (2, 1)
    assert p.realtime == pytest.approx(15)
    assert p.eta_s == pytest.approx(2)
    m.track(30.0)
    m.track(None)
    assert m.progress().eta_s == 0


@pytest.mark.parametrize(
    ("busy", "slowest"),
    [
        ({"decode": 39.0, "device": 18.0, "write": 9.0}, "decode"),
        ({"decode": 35.0, "device": 18.0, "write": 8.5}, "device"),
        ({"decode": 35.0, "device": 17.0, "write": 9.0}, "write"),
        ({"write": 0.1}, "write"),
    ],
)
def test_the_bottleneck_is_what_is_busy_most_by_lane(clock, busy, slowest):
    clock(10)
    m = meter()
    for stage, seconds in busy.items():
        m.busy(stage, seconds / 2)
        m.busy(stage, seconds / 2)
    assert m.progress().bottleneck == slowest
    # With as many lanes of each, it is what is busy most.
    m = meter(lanes=dict.fromkeys(LANES, 1))
    for stage, seconds in busy.items():
        m.busy(stage, seconds)
    assert m.progress().bottleneck == max(busy, key=busy.get)


def test_two_runs_do_not_share_a_count(clock):
    clock(1)
    one, two = meter(), meter()
    one.busy("write", 5.0)
    one.track(1.0)
    two.busy("device", 1.0)
    assert two.progress().bottleneck == "device"
    assert two.computed == 0

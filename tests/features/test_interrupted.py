"""Ctrl-C, as the shell sends it, to the command itself: once, and twice."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.catalogue import load, read_failures
from kit.config import ExtractConfig
from kit.features import FeatureStore, extract, store_path

FEATURES = (
    *("--features.frontend.sample-rate", "8000", "--features.frontend.n-fft", "256"),
    *("--features.frontend.hop-length", "128", "--features.frontend.n-mels", "8"),
    *("--features.n-frames", "10", "--features.clip-s", "0.2", "--features.position", "start"),
)
HOW = pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["threads", "processes"])
GOES_ON = "kit: stopped; run the same command again to resume"


@pytest.fixture
def start(tmp_path):
    """A function: arguments -> the command `kit features`, in a group of processes of its own, as
    a shell makes one."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "kit", "features", *map(str, arguments), *FEATURES],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ctrl_c(process):
    # A terminal sends it to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)


def group(leader):
    """The processes of a group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == leader and fields[0] != "Z":
                found.append(int(folder.name))
    return found


def assert_gone(process):
    """What it started has ended with it, or soon after."""
    until = time.monotonic() + 30
    while group(process.pid):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.1)


@HOW
def test_ctrl_c_finishes_what_is_in_flight_and_the_same_command_goes_on(
    ffmpeg, write_table, list_tracks, small, contents, start, tmp_path, how
):
    music = write_table(tmp_path / "music", 200, broken=(3,))
    for i in range(2):
        ffmpeg.file(music / f"a/long-{i}", i)
        ffmpeg.file(music / f"b/later-{i}", i)
    catalogue = list_tracks(music, tmp_path / "data")
    # Decoded first.
    table = catalogue.table.sort_values("track_id", key=lambda ids: ~ids.str.startswith("long"))
    table.to_csv(tmp_path / "data/tracks.csv", index=False)
    process = start(tmp_path / "data", "--workers", 2, *how)
    until = time.monotonic() + 60
    while len(list(music.rglob("long-*.begun"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    ctrl_c(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "finishing the files in progress; press Ctrl-C again to stop immediately" in err
    assert err.splitlines()[-1] == GOES_ON
    assert "Traceback" not in err
    assert_gone(process)
    store = FeatureStore.open(store_path(catalogue, small))
    # What was in flight is written: as what it is, though the decoders were told to stop as well.
    assert {"long-0", "long-1"} <= set(store.sources)
    assert len(store) < 203
    process = start(tmp_path / "data", "--workers", 2)
    _, err = process.communicate(timeout=60)
    # There is the broken one.
    assert process.returncode == 1, err
    assert ffmpeg.count("long") == 2
    assert [f.track_id for f in read_failures(tmp_path / "data")] == ["003"]

    (tmp_path / "never").mkdir()
    for name in ("tracks.csv", "catalogue.json", "failures.csv"):
        shutil.copy(tmp_path / "data" / name, tmp_path / "never")
    never = extract(load(tmp_path / "never"), small, ExtractConfig(workers=1)).store
    ids = list(never.sources)
    now = FeatureStore.open(store.path).read(ids)
    assert [t for t, a, b in zip(ids, now, never.read(ids), strict=True) if (a != b).any()] == []
    assert contents(tmp_path / "data") == contents(tmp_path / "never")


@HOW
def test_ctrl_c_twice_ends_at_once_though_a_decoder_hangs(
    ffmpeg, write_table, list_tracks, small, start, tmp_path, how
):
    music = write_table(tmp_path / "music", 20)
    ffmpeg.file(music / "a/hangs")
    catalogue = list_tracks(music, tmp_path / "data")
    process = start(tmp_path / "data", "--workers", 2, "--timeout-s", 1000, *how)
    ffmpeg.wait_for("hangs")
    process.send_signal(signal.SIGINT)
    # It waits for the decoder.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == GOES_ON
    assert "Traceback" not in err
    ffmpeg.end()
    assert_gone(process)
    # The lock has gone with the process, and the store is whole.
    (music / "a/hangs.wv").unlink()
    result = extract(catalogue, small, ExtractConfig(workers=2))
    assert [f.reason for f in result.failures] == ["unreadable"]
    assert len(result.store) == 20


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_asked_to_stop_it_says_so(many, small, contents, tmp_path):
    catalogue = many.copy(tmp_path / "data")
    asked = []
    first = extract(
        catalogue,
        small,
        ExtractConfig(workers=2),
        progress=lambda p: asked.append(p.done) if p.done > 300 else None,
        stop=lambda: bool(asked),
    )
    assert first.stopped
    assert 290 < first.computed < 400
    assert len(first.store) == first.computed
    second = extract(catalogue, small, ExtractConfig(workers=2))
    assert not second.stopped
    assert first.computed + second.computed == many.good
    assert contents(catalogue.folder) == many.whole

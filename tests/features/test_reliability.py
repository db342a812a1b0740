"""What goes wrong around a run: disks, permissions, files that change, other runs, old stores."""

import dataclasses
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

# Python itself may lie where the unprivileged cannot read: what they run is imported before.
import kit.cli.features
import kit.cli.stages.features
import kit.features.engine_local  # noqa: F401
from kit.catalogue import load, read_failures
from kit.cli import main
from kit.config import ExtractConfig
from kit.errors import KitError
from kit.features import FeatureStore, extract, store_path
from kit.features.layout import SHARD_TRACKS

FEATURES = (
    *("--features.frontend.sample-rate", "8000", "--features.frontend.n-fft", "256"),
    *("--features.frontend.hop-length", "128", "--features.frontend.n-mels", "8"),
    *("--features.n-frames", "10", "--features.clip-s", "0.2", "--features.position", "start"),
)


@pytest.fixture(scope="module")
def finished(many, small, tmp_path_factory):
    """The catalogue of three shards with its features. Do not write into it: copy it."""
    folder = tmp_path_factory.mktemp("finished") / "data"
    for name, data in many.whole.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the finished catalogue."""
    shutil.copytree(finished, tmp_path / "data")
    return load(tmp_path / "data")


@pytest.fixture
def few(write_table, list_tracks, tmp_path):
    """Six tracks, without features."""
    return list_tracks(write_table(tmp_path / "music", 6), tmp_path / "data")


def shard(catalogue, config, number):
    return store_path(catalogue, config) / f"log_mel/c/{number}/0/0"


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def part(catalogue, config, number):
    return store_path(catalogue, config) / f"index/{number:08d}.csv"


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("damage", "mended"),
    [
        (lambda c, f: flip(shard(c, f, 1)), 1),
        (lambda c, f: shard(c, f, 0).unlink(), 1),
        (lambda c, f: shard(c, f, 2).write_bytes(b""), 1),
        (lambda c, f: part(c, f, 1).write_bytes(part(c, f, 1).read_bytes()[:-9]), 1),
        (lambda c, f: part(c, f, 2).write_bytes(part(c, f, 0).read_bytes()), 1),
        # A part that is gone is a shard that was never made.
        (lambda c, f: part(c, f, 2).unlink(), 0),
    ],
    ids=["flipped", "gone", "empty", "cut table", "another's table", "no table"],
)
def test_what_is_damaged_is_found_and_made_anew(again, many, small, contents, damage, mended):
    damage(again, small)
    result = extract(again, small, ExtractConfig(workers=2, verify=True))
    assert result.mended == mended
    assert SHARD_TRACKS - 3 < result.computed <= SHARD_TRACKS
    assert contents(again.folder) == many.whole


def test_without_verify_a_broken_table_is_told_of(again, small):
    path = part(again, small, 1)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(KitError, match=r"00000001\.csv is damaged; run `kit .* --verify`"):
        extract(again, small)


def test_verify_of_a_store_that_is_whole_changes_nothing(again, many, small, contents):
    result = extract(again, small, ExtractConfig(verify=True))
    assert (result.mended, result.computed) == (0, 0)
    assert contents(again.folder) == many.whole


def test_an_older_layout_is_refused(again, small):
    path = store_path(again, small) / "zarr.json"
    group = json.loads(path.read_text())
    group["attributes"]["format"] = 1
    path.write_text(json.dumps(group))
    sentence = r"format 1, this one reads 3\); delete it and run `kit features` again"
    for options in (ExtractConfig(), ExtractConfig(verify=True)):
        with pytest.raises(KitError, match=sentence):
            extract(again, small, options)


def test_a_finished_store_that_may_only_be_read(again, small, unprivileged):
    for path in (again.folder, *again.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with unprivileged():
        result = extract(again, small)
        ids = list(result.store.sources)[:3]
        assert np.isfinite(result.store.read(ids)).all()
        with pytest.raises(KitError, match=r"cannot write .*choose a place that you may write to"):
            extract(again, small, ExtractConfig(retry_failed=True))
    assert result.computed == 0
    assert len(result.failures) == 6
    for path in (again.folder, *again.folder.rglob("*")):
        path.chmod(0o755)


def test_a_place_that_may_not_be_written(few, small, unprivileged):
    few.folder.chmod(0o555)
    with unprivileged(), pytest.raises(KitError, match=r"cannot write .*that you may write to"):
        extract(few, small)
    few.folder.chmod(0o755)
    assert extract(few, small).computed == 6


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_full_disk_ends_the_run_and_it_goes_on_later(many, small, contents, full_disk, tmp_path):
    catalogue = many.copy(tmp_path / "data")
    # The last shard would fit.
    last = len(catalogue.table) // SHARD_TRACKS
    name = shard(catalogue, small, last).relative_to(catalogue.folder).as_posix()
    limit = len(many.whole[name]) + 100
    with full_disk(limit), pytest.raises(KitError, match=r"cannot write .*free some space"):
        extract(catalogue, small, ExtractConfig(workers=2))
    assert not [t for t in threading.enumerate() if t.name.startswith(("decode", "write"))]
    store = FeatureStore.open(store_path(catalogue, small))
    assert np.isfinite(store.read(list(store.sources))).all()
    extract(catalogue, small, ExtractConfig(workers=2))
    assert contents(catalogue.folder) == many.whole


def test_files_that_change_after_the_scan(few, small):
    root = few.audio_root
    kept = {i: (root / f"{'ab'[i % 2]}/{i:03d}.wav").read_bytes() for i in range(4)}
    (root / "a/000.wav").unlink()
    (root / "b/001.wav").write_bytes(kept[0])
    (root / "a/002.wav").write_bytes(kept[2][:1000])
    (root / "b/003.wav").write_bytes(b"")
    result = extract(few, small)
    assert {f.track_id: f.reason for f in read_failures(few.folder)} == {
        "000": "unreadable",
        "001": "changed_file",
        "002": "changed_file",
        "003": "changed_file",
    }
    assert set(result.store.sources) == {"004", "005"}
    # They are back, as they were scanned.
    for i, data in kept.items():
        (root / f"{'ab'[i % 2]}/{i:03d}.wav").write_bytes(data)
    result = extract(few, small)
    assert (result.computed, result.failures) == (4, [])
    assert read_failures(few.folder) == []


def test_the_second_of_two_runs_at_once_is_refused(few, small):
    refused = []

    def second(progress):
        verify, plain = ExtractConfig(verify=True), ExtractConfig()
        # Once the last shard is written, there is nothing left that the second one would do.
        for options in (verify, plain) if progress.done < progress.total else (verify,):
            with pytest.raises(KitError, match=r"another run is at work on .*\.zarr; wait"):
                extract(few, small, options)
            refused.append(progress.done)

    assert extract(few, small, progress=second).computed == 6
    assert len(refused) >= 12
    assert extract(few, small).computed == 0


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_nothing_is_left_open(few, small):
    def count():
        gc.collect()
        return (
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(os.listdir("/proc/self/task")),
        )

    counts = []
    for i in range(8):
        shutil.rmtree(few.folder / "features", ignore_errors=True)
        assert extract(few, small, ExtractConfig(workers=3)).computed == 6
        if i >= 3:
            counts.append(count())
    # Libraries of C++ have pools, which may grow a little later than at first.
    assert counts[-1][:2] == counts[0][:2]
    assert counts[-1][2] <= counts[0][2] + 2


def test_memory_does_not_grow_with_the_tracks(write_table, list_tracks, small, tmp_path):
    # A buffer of 160,000 bytes for a clip, of which a file fills a little.
    config = dataclasses.replace(small, clip_s=5.0)
    catalogue = list_tracks(write_table(tmp_path / "music", 120), tmp_path / "data")
    one = dataclasses.replace(catalogue, folder=tmp_path, table=catalogue.table[:1])
    extract(one, config)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert extract(catalogue, config, ExtractConfig(workers=2)).computed == 120
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All clips would be 19 MB; two workers and two cores have 9 buffers, 1.4 MB.
    assert peak - before < 6e6


def test_without_a_cache_and_room_for_temporary_files(few, tmp_path):
    (tmp_path / "file").write_text("in the way")
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "file/x"), "TMPDIR": str(tmp_path / "gone")}
    run = subprocess.run(
        [sys.executable, "-m", "kit", "features", str(few.folder), "--isolate", *FEATURES],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stdout) == (0, "")
    assert "features of 6 tracks, 6 computed now" in run.stderr
    assert "Traceback" not in run.stderr
    assert not Path(nowhere["TMPDIR"]).exists()


@pytest.fixture
def command(monkeypatch, capfd):
    """A function: arguments of `kit features` -> exit code and stderr."""
    # The tests compile into no cache, neither the user's nor one that outlives a test.
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kit", "features", *map(str, arguments), *FEATURES])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert out == ""
        return ended.value.code, err

    return run


def test_exit_codes(write_table, list_tracks, command, tmp_path):
    music = write_table(tmp_path / "music", 6, short=(4,))
    folder = list_tracks(music, tmp_path / "data").folder
    code, err = command(folder, "--strict", "--workers", 1)
    assert code == 1
    assert err.splitlines()[-1].startswith("kit: stopped at the first track that failed: ")
    code, err = command(folder)
    assert code == 1
    assert "1 left out (1 shorter than 0.15 s: 0.05 s;" in err
    assert f"see {folder / 'failures.csv'}" in err
    (music / "a/004.wav").write_bytes((music / "b/001.wav").read_bytes())
    list_tracks(music, folder)
    code, err = command(folder, "--quiet")
    assert (code, err) == (0, "")
    code, err = command(folder, "--workers", 0)
    assert code == 2
    assert "--workers is 0" in err

"""The whole stage: real files, real threads, a process that is killed."""

import hashlib
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from kit.catalogue import Scan, load, read_failures, save, write_table
from kit.descriptors import COLUMNS, SOURCE, describe
from kit.descriptors.cache import NAME, read_records
from kit.errors import KitError
from kit.features.storage import only_one

RATE = 8000


def clip(seed, seconds=6.0):
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    y = 0.02 * rng.standard_normal(n) + 0.2 * np.sin(
        2 * np.pi * (200 + 20 * seed) * np.arange(n) / RATE
    )
    y[:: RATE // 2] += 0.5
    return y, RATE


@pytest.fixture
def three(catalogue_of):
    return catalogue_of({name: clip(i) for i, name in enumerate("abc")})


def tables(catalogue):
    folder = catalogue.folder
    names = ("tracks.csv", NAME, "failures.csv")
    return {name: (folder / name).read_bytes() for name in names}


def test_columns_are_filled_and_nothing_is_done_twice(three):
    seen = []
    result = describe(three, workers=2, progress=seen.append)
    assert (result.computed, result.filled, result.failures) == (3, 3, [])
    assert [(p.done, p.total) for p in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    table = load(three.folder).table
    assert list(table["feature_source"]) == [SOURCE] * 3
    assert table[list(COLUMNS)].notna().all(axis=None)
    assert list(table["duration_ms"]) == [6000] * 3
    unit = [c for c in COLUMNS if c not in ("key", "mode", "loudness", "tempo", "duration_ms")]
    assert table[unit].min(axis=None) >= 0
    assert table[unit].max(axis=None) <= 1
    before = tables(three)
    again = describe(load(three.folder), workers=1)
    assert (again.computed, again.filled) == (0, 3)
    assert tables(three) == before


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_the_number_of_workers_changes_nothing(three):
    describe(three, workers=1)
    before = tables(three)
    (three.folder / NAME).unlink()
    describe(load(three.folder), workers=3)
    assert tables(three) == before


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_processes_come_to_the_same_bytes(catalogue_of):
    clips = {"a": clip(0, 70.0), "b": clip(1), "silent": (np.zeros(6 * RATE), RATE)}
    catalogue = catalogue_of(clips)
    first = describe(catalogue, whole=True)
    before = tables(catalogue)
    (catalogue.folder / NAME).unlink()
    result = describe(load(catalogue.folder), whole=True, isolate=True)
    assert (result.computed, result.failures) == (2, first.failures)
    assert tables(catalogue) == before


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_changed_file_is_done_again(three):
    describe(three)
    old = load(three.folder).table
    path = three.audio_root / "b.wav"
    soundfile.write(path, *clip(9))
    # Before a new scan: the file is not the one that the table names, but its numbers are known.
    result = describe(load(three.folder))
    assert (result.computed, result.filled) == (0, 3)
    table = load(three.folder).table
    table.loc[1, "source_hash"] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_table(table, three.folder)
    result = describe(load(three.folder))
    assert (result.computed, result.filled) == (1, 3)
    new = load(three.folder).table
    pd.testing.assert_frame_equal(new.drop(1), old.drop(1))
    assert new["loudness"][1] != old["loudness"][1] or new["key"][1] != old["key"][1]
    assert {r.source_hash for r in read_records(three.folder)} == set(new["source_hash"])


def test_what_cannot_be_described_is_listed(catalogue_of):
    catalogue = catalogue_of(
        {
            "good": clip(0),
            "short": clip(1, 2.0),
            "silent": (np.zeros(6 * RATE), RATE),
            "changed": clip(2),
            "gone": clip(3),
        }
    )
    soundfile.write(catalogue.audio_root / "changed.wav", *clip(8))
    (catalogue.audio_root / "gone.wav").unlink()
    result = describe(catalogue)
    assert (result.computed, result.filled) == (1, 1)
    found = {f.track_id: (f.stage, f.reason) for f in read_failures(catalogue.folder)}
    assert found == {
        "short": ("describe", "too_short"),
        "silent": ("describe", "silent"),
        "changed": ("describe", "changed_file"),
        "gone": ("describe", "unreadable"),
    }
    table = load(catalogue.folder).table
    assert list(table["feature_source"]) == [SOURCE, "", "", "", ""]
    # What lies in the surroundings is tried again, what lies in the file is not.
    tried = []
    soundfile.write(catalogue.audio_root / "gone.wav", *clip(3))
    again = describe(load(catalogue.folder), progress=tried.append)
    assert (again.computed, len(again.failures)) == (1, 3)
    assert (tried[0].done, tried[-1].done) == (3, 5)
    retried = []
    describe(load(catalogue.folder), progress=retried.append, retry_failed=True)
    assert retried[0].done == 2


def test_tracks_without_audio_and_twins(tmp_path, catalogue_of):
    catalogue = catalogue_of({"a": clip(0), "b": clip(0)})
    table = pd.concat(
        [catalogue.table, pd.DataFrame({"track_id": ["none"], "label": ["a"], "path": [""]})]
    )
    table["source_hash"] = table["source_hash"].where(table["track_id"] != "b", "")
    save(Scan(table, [], catalogue.audio_root), catalogue.folder)
    result = describe(load(catalogue.folder))
    # The same bytes are described once, and a file without a hash in the table gets one.
    assert (result.computed, result.filled) == (1, 2)
    assert [(f.track_id, f.reason) for f in result.failures] == [("none", "no_audio")]


def test_spotify_and_kit_are_never_mixed(three):
    table = three.table.assign(feature_source=["spotify", "", ""], tempo=[99.0, np.nan, np.nan])
    write_table(table, three.folder)
    result = describe(load(three.folder))
    assert (result.computed, result.filled, result.kept) == (2, 2, {"spotify": 1})
    table = load(three.folder).table
    assert list(table["feature_source"]) == ["spotify", SOURCE, SOURCE]
    assert (table["tempo"][0], table["energy"].isna()[0]) == (99.0, True)
    result = describe(load(three.folder), replace=True)
    assert (result.computed, result.filled, result.kept.total()) == (1, 3, 0)
    assert load(three.folder).table["energy"].notna().all()


def test_the_whole_file_is_another_record(catalogue_of):
    catalogue = catalogue_of({"a": clip(0, 70.0), "b": clip(1, 8.0)})
    describe(catalogue)
    of_clip = load(catalogue.folder).table
    result = describe(load(catalogue.folder), whole=True)
    assert result.computed == 2
    assert {r.extent for r in read_records(catalogue.folder)} == {"whole"}
    whole = load(catalogue.folder).table
    assert list(whole["duration_ms"]) == list(of_clip["duration_ms"]) == [70000, 8000]
    # Of a file shorter than a clip, the whole and the clip are the same.
    pd.testing.assert_series_equal(whole.loc[1], of_clip.loc[1])


def test_stopped_and_started_again(three):
    describe(three)
    want = tables(three)
    fresh = (three.folder / NAME, three.folder / "tracks.csv")
    fresh[0].unlink()
    write_table(three.table, three.folder)
    asked = []

    def stop():
        asked.append(None)
        return len(asked) > 1

    result = describe(load(three.folder), workers=1, stop=stop)
    assert result.stopped
    assert 0 < result.computed < 3
    describe(load(three.folder))
    assert tables(three) == want


def test_what_another_command_changes_meanwhile_stays(three):
    """Such as a download, which fills in a path while other tracks are described."""

    def download(progress):
        if progress.done == 1:
            write_table(load(three.folder).table.assign(preview_url=["x", "", ""]), three.folder)

    describe(three, progress=download)
    table = load(three.folder).table
    assert list(table["preview_url"]) == ["x", "", ""]
    assert list(table["feature_source"]) == [SOURCE] * 3


def test_one_at_a_time(three):
    with (
        only_one(three.folder / NAME),
        pytest.raises(KitError, match="another run is at work on"),
    ):
        describe(three)


CHILD = """
import sys
from pathlib import Path
from kit.catalogue import load
from kit.descriptors import describe

def say(progress):
    print(progress.done, flush=True)

describe(load(Path(sys.argv[1])), workers=2, flush_every_s=0.0, progress=say)
"""


def test_killed_and_started_again(catalogue_of):
    catalogue = catalogue_of({f"t{i:02d}": clip(i) for i in range(16)})
    describe(catalogue)
    want = tables(catalogue)
    (catalogue.folder / NAME).unlink()
    write_table(catalogue.table, catalogue.folder)
    command = [sys.executable, "-c", CHILD, str(catalogue.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < 6:
            pass
        time.sleep(0.01)
        process.kill()
    assert process.returncode == -9
    known = len(read_records(catalogue.folder))
    assert 0 < known < 16
    result = describe(load(catalogue.folder))
    assert result.computed == 16 - known
    assert tables(catalogue) == want

"""Decoders that hang or die cost their own file: with real decoders that do, side by side."""

import csv
from collections import Counter
from queue import SimpleQueue
from threading import Thread

import pandas as pd
import pytest

from kit.catalogue import Scan, load, read_failures, save
from kit.config import ExtractConfig
from kit.errors import KitError
from kit.features import extract
from kit.features.layout import SHARD_TRACKS

HOW = pytest.mark.parametrize("isolate", [False, True], ids=["threads", "processes"])


def reasons(result):
    return {f.track_id: f.reason for f in result.failures}


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize(("workers", "isolate"), [(2, False), (4, False), (1, True), (4, True)])
def test_workers_do_not_change_a_byte(many, small, contents, tmp_path, workers, isolate):
    catalogue = many.copy(tmp_path / "data")
    extract(catalogue, small, ExtractConfig(workers=workers, isolate=isolate))
    assert contents(catalogue.folder) == many.whole


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize(("workers", "isolate"), [(3, False), (2, True)])
def test_workers_do_not_change_a_byte_of_several_excerpts(
    some, contents, tmp_path, workers, isolate
):
    catalogue = some.copy(tmp_path / "data")
    extract(catalogue, some.config, ExtractConfig(workers=workers, isolate=isolate))
    assert contents(catalogue.folder) == some.whole


@HOW
def test_a_decoder_that_hangs_costs_its_file(
    ffmpeg, write_table, list_tracks, small, tmp_path, isolate
):
    music = write_table(tmp_path / "music", 6)
    for name in ("hangs-1", "hangs-2", "plays"):
        ffmpeg.file(music / "a" / name)
    catalogue = list_tracks(music, tmp_path / "data")
    options = ExtractConfig(workers=2, isolate=isolate, timeout_s=2.0)
    result = extract(catalogue, small, options)
    assert reasons(result) == {"hangs-1": "timeout", "hangs-2": "timeout"}
    assert result.computed == len(result.store) == 7
    assert read_failures(catalogue.folder) == result.failures
    for failure in result.failures:
        assert "was not decoded within 2 s" in failure.message
        assert "--timeout-s (and --retry-failed" in failure.message

    # Not tried again, unless it is asked for: not even opened.
    assert ffmpeg.count("hangs") == 2
    again = extract(catalogue, small, options)
    assert (again.computed, again.failures) == (0, result.failures)
    assert ffmpeg.count("hangs") == 2
    ffmpeg.end()
    retry = ExtractConfig(workers=2, isolate=isolate, timeout_s=1.0, retry_failed=True)
    again = extract(catalogue, small, retry)
    assert (again.computed, reasons(again)) == (0, reasons(result))
    assert ffmpeg.count("hangs") == 4
    assert ffmpeg.count("plays") == 1
    assert "within 1 s" in again.failures[0].message


def test_a_decoder_that_hangs_is_given_up_while_others_go_on(
    ffmpeg, write_table, list_tracks, small, tmp_path
):
    music = write_table(tmp_path / "music", 1)
    ffmpeg.file(music / "a/hangs")
    for i in range(40):
        ffmpeg.file(music / f"a/slow-{i:02d}", i)
    catalogue = list_tracks(music, tmp_path / "data")
    with pytest.raises(KitError, match=r"hangs\.wv was not decoded within 1 s"):
        extract(catalogue, small, ExtractConfig(workers=2, timeout_s=1.0, strict=True))
    # It was noticed before the others were done, or there would be nothing to stop.
    assert ffmpeg.count("slow") < 30


def test_a_decoder_that_dies_costs_its_file(
    ffmpeg, write_table, list_tracks, small, contents, tmp_path
):
    music = write_table(tmp_path / "music", 6)
    for name in ("kills-1", "kills-2", "plays"):
        ffmpeg.file(music / "a" / name)
    catalogue = list_tracks(music, tmp_path / "data")
    options = ExtractConfig(workers=2, isolate=True)
    result = extract(catalogue, small, options)
    assert reasons(result) == {"kills-1": "crashed", "kills-2": "crashed"}
    assert result.computed == len(result.store) == 7
    assert all("process ended with code -9" in f.message for f in result.failures)
    before = contents(catalogue.folder)

    assert extract(catalogue, small, options).failures == result.failures
    assert ffmpeg.count("kills") == 2
    again = ExtractConfig(workers=2, isolate=True, retry_failed=True)
    assert extract(catalogue, small, again).failures == result.failures
    assert ffmpeg.count("kills") == 4
    assert contents(catalogue.folder) == before


def test_a_file_that_was_mended_is_tried_again(many, small, list_tracks, tmp_path, write_table):
    music = write_table(tmp_path / "music", 4, short=(1,), broken=(2,))
    catalogue = list_tracks(music, tmp_path / "data")
    first = extract(catalogue, small)
    assert reasons(first) == {"001": "too_short", "002": "not_audio"}
    (music / "a/002.wav").write_bytes((music / "a/000.wav").read_bytes())
    result = extract(list_tracks(music, tmp_path / "data"), small)
    assert (result.computed, reasons(result)) == (1, {"001": "too_short"})
    twins = result.store.read(["000", "002"])
    assert (twins[0] == twins[1]).all()
    with (catalogue.folder / "failures.csv").open(newline="") as stream:
        assert [row["track_id"] for row in csv.DictReader(stream)] == ["001"]


@HOW
def test_strict_stops_at_the_first_failure(small, write_table, list_tracks, tmp_path, isolate):
    music = write_table(tmp_path / "music", 80, broken=(40, 41))
    catalogue = list_tracks(music, tmp_path / "data")
    options = ExtractConfig(workers=1, strict=True, isolate=isolate)
    with pytest.raises(KitError, match=r"stopped at the first .* failed: .*/040\.wav is not audio"):
        extract(catalogue, small, options)
    found = read_failures(catalogue.folder)
    assert [f.track_id for f in found][:1] == ["040"]
    # What had been computed is kept.
    result = extract(catalogue, small)
    assert 10 < result.computed < 60
    assert reasons(result) == {"040": "not_audio", "041": "not_audio"}
    # What failed before does not stop it; tried again, it does.
    assert extract(catalogue, small, ExtractConfig(strict=True)).computed == 0
    with pytest.raises(KitError, match=r"040\.wav"):
        extract(catalogue, small, ExtractConfig(workers=1, strict=True, retry_failed=True))


@pytest.fixture
def sparse(ffmpeg, tmp_path, write_table, list_tracks):
    """A catalogue of five shards, most tracks without a file, and one that hangs in each of the
    first three, while the fourth one is begun."""
    music = write_table(tmp_path / "music", 8)
    for shard in range(3):
        ffmpeg.file(music / f"a/hangs-{shard}")
    catalogue = list_tracks(music, tmp_path / "data")
    table = catalogue.table.set_index("track_id")
    rows = [{"track_id": f"x{i}", "label": "a", "path": ""} for i in range(5 * SHARD_TRACKS)]
    for at, name in enumerate(["000", "hangs-0", "001", "hangs-1", "002", "hangs-2"]):
        rows[at // 2 * SHARD_TRACKS + 25 * (at % 2)] = {"track_id": name, **table.loc[name]}
    for at in range(3, 8):
        rows[3 * SHARD_TRACKS + at - 3] = {"track_id": f"00{at}", **table.loc[f"00{at}"]}
    save(Scan(pd.DataFrame(rows), [], music), tmp_path / "data")
    return load(tmp_path / "data")


def test_tracks_that_hang_in_all_shards_at_hand_do_not_hold_up_the_run_for_ever(sparse, small):
    result = ended(extract, sparse, small, ExtractConfig(workers=4, timeout_s=2.0))
    assert Counter(f.reason for f in result.failures) == {
        "timeout": 3,
        "no_audio": 5 * SHARD_TRACKS - 11,
    }
    assert result.computed == 8


def test_such_a_run_can_be_stopped(sparse, small, ffmpeg, contents):
    def stop():
        return ffmpeg.count("hangs") == 3

    options = ExtractConfig(workers=4, timeout_s=2.0)
    assert ended(extract, sparse, small, options, stop=stop).stopped
    ffmpeg.end()
    result = ended(extract, sparse, small, options)
    assert len(result.store) == 8


def test_tracks_without_a_file_alone(sparse, small):
    table = sparse.table.query("path == ''")
    save(Scan(table, [], sparse.audio_root), sparse.folder)
    result = ended(extract, load(sparse.folder), small)
    assert (result.computed, len(result.failures)) == (0, len(table))


def ended(function, *arguments, **options):
    """What a function gives that has to come to an end."""
    found = SimpleQueue()

    def call():
        found.put(function(*arguments, **options))

    Thread(target=call, daemon=True).start()
    return found.get(timeout=60)

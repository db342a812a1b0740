"""A whole table: what is written, who waits for whom, and what a second run does."""

import csv
import dataclasses
import json
import time

import pandas as pd
import pytest
import soundfile

from kit.catalogue import Failure, from_csv, load, read_failures, save, write_failures
from kit.catalogue.inspect import hash_file
from kit.catalogue.rights import NOTICE
from kit.errors import KitError, UsageError
from kit.ingest.previews.download import download
from kit.lock import only_one


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def many(server, count, **paths):
    return {f"t{n:03}": f"{server.url}/ok/{n}" for n in range(count)} | paths


def state(catalogue):
    """All that a catalogue says."""
    names = ("tracks.csv", "failures.csv", "catalogue.json")
    return {name: (catalogue.folder / name).read_text() for name in names}


def test_a_table_becomes_a_catalogue(server, catalogue, quick):
    made = catalogue(many(server, 5), label=["techno", "edm", "a/../b", "edm", "techno"], mine="x")
    seen = []
    result = download(made, quick, progress=seen.append)
    assert (result.downloaded, result.found, result.failures, result.stopped) == (5, 0, [], False)
    assert result.bytes == sum(p.stat().st_size for p in made.folder.glob("audio/*/*.mp3"))
    assert (seen[0].done, seen[0].total) == (0, 5)
    assert (seen[-1].done, seen[-1].total) == (5, 5)
    got = load(made.folder)
    assert list(got.table["track_id"]) == list(made.table["track_id"])
    assert set(got.table["mine"]) == {"x"}
    for _, row in got.table.iterrows():
        path = got.path_of(row)
        assert row["path"].startswith("audio/")
        assert path.name == f"{row['track_id']}.mp3"
        assert row["source_hash"] == hash_file(path)
        assert row["audio_source"] == "127.0.0.1"
        info = soundfile.info(path)
        assert (row["sample_rate"], row["channels"]) == (info.samplerate, info.channels)
        assert row["duration_s"] == pytest.approx(0.3, abs=0.06)
    folders = {p.name for p in (made.folder / "audio").iterdir()}
    assert len(folders) == 3
    assert {"techno", "edm"} < folders
    assert not [name for name in files(made.folder) if ".part" in name]
    assert got.notices == ()


def test_done_once_it_is_done(server, catalogue, quick):
    made = catalogue(many(server, 4))
    download(made, quick)
    before = state(made)
    stamps = [p.stat().st_mtime_ns for p in sorted(made.folder.rglob("*.*"))]
    result = download(load(made.folder), quick)
    assert (result.downloaded, result.found) == (0, 0)
    assert state(made) == before
    assert [p.stat().st_mtime_ns for p in sorted(made.folder.rglob("*.*"))][:-1] == stamps[:-1]
    assert set(server.asked.values()) == {1}


def test_bad_rows_do_not_end_the_run(server, catalogue, quick):
    urls = many(
        server, 6, a=f"{server.url}/gone", b="", c="file:///etc/passwd", d=f"{server.url}/html",
        e="https://10.0.0.1/x", f=f"{server.url}/large",
    )  # fmt: skip
    server.answers["/html"] = lambda h: server.respond(h, b"<html>", kind="text/html")
    server.answers["/large"] = lambda h: server.respond(h, bytes(1_000_001))
    made = catalogue(dict(sorted(urls.items())))
    other = Failure("x", "scan", "y", "z")
    write_failures(made.folder, "scan", [other])
    result = download(made, quick)
    reasons = {f.track_id: f.reason for f in result.failures}
    assert reasons == {
        "a": "http_404", "b": "no_preview", "c": "not_https", "d": "wrong_type",
        "e": "refused_host", "f": "too_large",
    }  # fmt: skip
    assert read_failures(made.folder) == [other, *result.failures]
    assert [f.track_id for f in result.failures] == list("abcdef")
    assert all(f.stage == "previews" for f in result.failures)
    table = load(made.folder).table.set_index("track_id")
    assert list(table.loc[list("abcdef"), "path"]) == [""] * 6
    assert list(table.loc[list("abcdef"), "audio_source"]) == [""] * 6
    # They are asked for again, and what has come by then is taken.
    server.answers["/gone"] = lambda h: server.respond(h, server.audio)
    result = download(load(made.folder), quick)
    assert result.downloaded == 1
    assert "a" not in {f.track_id for f in read_failures(made.folder)}
    assert server.asked["/ok/1"] == 1


def test_what_is_there_and_whole_is_not_asked_for(server, catalogue, quick):
    made = catalogue(many(server, 4))
    whole = catalogue(many(server, 4), "whole")
    download(whole, quick)
    folder = made.folder / "audio/techno"
    folder.mkdir(parents=True)
    source = whole.folder / "audio/techno"
    (folder / "t000.mp3").write_bytes((source / "t000.mp3").read_bytes())
    (folder / "t001.mp3").write_bytes((source / "t001.mp3").read_bytes()[:700])
    (folder / ".t002.mp3.part").write_bytes((source / "t002.mp3").read_bytes()[:700])
    (folder / ".gone.mp3.part").write_bytes(b"of another run")
    (folder / "t003.mp3").write_bytes(b"")
    server.asked.clear()
    result = download(made, quick)
    assert (result.downloaded, result.found) == (3, 1)
    assert server.asked == {"/ok/1": 1, "/ok/2": 1, "/ok/3": 1}
    assert state(made) == state(whole)
    assert files(made.folder) == files(whole.folder)
    # Lost, and got again.
    (folder / "t002.mp3").unlink()
    download(load(made.folder), quick)
    assert server.asked["/ok/2"] == 2
    assert state(made) == state(whole)


def test_a_folder_where_a_file_should_be(server, catalogue, quick):
    made = catalogue(many(server, 2))
    (made.folder / "audio/techno/t001.mp3").mkdir(parents=True)
    result = download(made, quick)
    assert [(f.track_id, f.reason) for f in result.failures] == [("t001", "unwritable")]


def test_ids_that_would_leave_the_folder_are_no_ids(server, tmp_path, quick):
    for bad in ("../../x", "a/b", "..", "a\\b", "a.b", "x" * 65, "a\nb", "ünï"):
        path = tmp_path / "t.csv"
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([("track_id", "preview_url"), (bad, f"{server.url}/ok/1")])
        with pytest.raises(UsageError, match="column track_id"):
            from_csv(path)


# --- manners


def test_no_more_connections_than_agreed(server, catalogue, quick):
    server.delay_s = 0.01
    made = catalogue(many(server, 30))
    result = download(made, quick)
    assert result.downloaded == 30
    assert server.most[f"127.0.0.1:{server.port}"] == 2
    assert server.connections == 2
    server.most.clear()
    config = dataclasses.replace(quick, connections=1)
    download(catalogue(many(server, 10), "other"), config)
    assert server.most[f"127.0.0.1:{server.port}"] == 1


def test_a_host_that_is_away_is_not_asked_for_all_of_its_rows(server, catalogue, quick):
    server.answers["/x"] = lambda h: server.respond(h, b"", status=502)
    urls = {f"t{n:02}": f"https://127.0.0.2:{server.port}/x" for n in range(40)}
    made = catalogue(urls | {"good": f"{server.url}/ok/1"})
    result = download(made, dataclasses.replace(quick, tries=2))
    assert result.downloaded == 1
    reasons = [f.reason for f in result.failures]
    assert set(reasons) == {"http_502", "host_away"}
    assert 10 <= reasons.count("http_502") <= 11
    assert server.asked["/x"] == 2 * reasons.count("http_502")


def test_a_host_that_wants_to_be_left_alone_is(server, catalogue, quick):
    server.answers["/x"] = lambda h: server.respond(h, b"", status=429, Retry_After="9999")
    made = catalogue({f"t{n:02}": f"{server.url}/x" for n in range(20)})
    result = download(made, quick)
    assert {f.reason for f in result.failures} == {"rate_limited", "host_away"}
    assert server.asked["/x"] <= 2


def test_a_pause_is_kept_and_told(server, catalogue, quick):
    times = []

    def answer(handler):
        times.append(time.monotonic())
        first = len(times) == 1
        status = 429 if first else 200
        server.respond(handler, server.audio, status=status, Retry_After="1" if first else None)

    server.answers["/x"] = answer
    made = catalogue({f"t{n}": f"{server.url}/x" for n in range(8)})
    said = []
    config = dataclasses.replace(quick, connections=1)
    result = download(made, config, progress=lambda p: said.append(p.waiting))
    assert result.downloaded == 8
    assert times[1] - times[0] >= 1
    assert set(said) == {"", "127.0.0.1: asked to wait, 1 s"}


# --- being stopped


def test_asked_to_stop_it_finishes_what_is_in_flight(server, catalogue, quick):
    made, whole = catalogue(many(server, 20)), catalogue(many(server, 20), "whole")
    download(whole, quick)
    server.asked.clear()
    done = []
    result = download(
        made, quick, progress=lambda p: done.append(p.done),
        stop=lambda: bool(done) and done[-1] >= 5,
    )  # fmt: skip
    assert result.stopped
    assert 5 <= result.downloaded < 20
    assert len(load(made.folder).table.query("path != ''")) == result.downloaded
    result = download(load(made.folder), quick)
    assert not result.stopped
    assert state(made) == state(whole)
    assert set(server.asked.values()) == {1}


def test_asked_to_stop_it_waits_for_no_one(server, catalogue, quick):
    server.answers["/x"] = lambda h: server.respond(h, b"", status=429, Retry_After="100")
    made = catalogue({f"t{n}": f"{server.url}/x" for n in range(4)})
    result = download(made, quick, stop=lambda: server.asked["/x"] > 0 and time.sleep(0.01) is None)
    assert result.stopped


def test_one_run_at_a_time(server, catalogue, quick):
    made = catalogue(many(server, 1))
    said = "another run matches files or downloads previews for"
    with only_one(made.folder / "audio"), pytest.raises(KitError, match=said):
        download(made, quick)


def test_a_full_disk_ends_the_run_and_keeps_what_there_is(server, catalogue, quick, full_disk):
    made = catalogue(many(server, 3, z=f"{server.url}/big"))
    big = server.audio + bytes(200_000)
    server.answers["/big"] = lambda h: server.respond(h, big)
    with full_disk(100_000), pytest.raises(KitError, match=r"cannot write .*z\.mp3"):
        download(made, dataclasses.replace(quick, connections=1))
    assert [bool(p) for p in load(made.folder).table["path"]] == [True, True, True, False]
    assert not [name for name in files(made.folder) if ".part" in name]
    assert download(load(made.folder), quick).downloaded == 1


def test_a_table_that_changes_meanwhile_keeps_its_changes(server, catalogue, quick):
    made = catalogue(many(server, 6))

    def describe(progress):
        if progress.done == 3:
            table = load(made.folder).table
            table.assign(tempo=128.0).to_csv(made.folder / "tracks.csv", index=False)

    download(made, quick, progress=describe)
    table = load(made.folder).table
    assert set(table["tempo"]) == {128.0}
    assert (table["path"] != "").all()


# --- where the audio lies


def test_a_table_of_a_csv_elsewhere(server, tmp_path, quick):
    (tmp_path / "tables").mkdir()
    lines = [f"{i},{url},Tekno" for i, url in many(server, 3).items()]
    text = "\n".join(["track_id,mp3,artist_name", *lines])
    (tmp_path / "tables/techno.csv").write_text(text)
    save(from_csv(tmp_path / "tables/techno.csv"), tmp_path / "data")
    download(load(tmp_path / "data"), quick)
    (tmp_path / "data").rename(tmp_path / "moved")
    got = load(tmp_path / "moved")
    assert all(got.path_of(row).is_file() for _, row in got.table.iterrows())
    assert json.loads((tmp_path / "moved/catalogue.json").read_text())["audio_root"] == "."


def test_audio_inside_already_stays(server, catalogue, quick):
    made = catalogue(many(server, 2), path=["", "own/a.mp3"])
    result = download(made, quick)
    assert result.downloaded == 1
    assert list(load(made.folder).table["path"]) == ["audio/techno/t000.mp3", "own/a.mp3"]
    assert not pd.isna(load(made.folder).table["duration_s"][0])


@pytest.fixture
def elsewhere(server, catalogue, tmp_path):
    """A function: a catalogue of a file below `music` and of previews, and what that folder is."""
    (tmp_path / "music/own").mkdir(parents=True)
    (tmp_path / "music/own/a.mp3").write_bytes(server.audio)

    def snapshot():
        of = tmp_path / "music"
        return {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in of.rglob("*")}

    def make(name="data", **columns):
        made = catalogue(many(server, 3), name, path=["own/a.mp3", "", ""], **columns)
        meta = made.folder / "catalogue.json"
        root = {"audio_root": str(tmp_path / "music")}
        meta.write_text(json.dumps(json.loads(meta.read_text()) | root))
        return load(made.folder), snapshot

    return make


def test_audio_elsewhere_stays_where_it_is(server, elsewhere, tmp_path, quick):
    made, snapshot = elsewhere(audio_source=["own", "", ""])
    before = snapshot()
    result = download(made, quick)
    assert (result.downloaded, result.failures) == (2, [])
    got = load(made.folder)
    own = tmp_path / "music/own/a.mp3"
    downloads = [made.folder / f"audio/techno/t{n:03}.mp3" for n in (1, 2)]
    assert [got.path_of(row) for _, row in got.table.iterrows()] == [own, *downloads]
    assert all(path.is_file() for path in (own, *downloads))
    assert list(got.table["audio_source"]) == ["own", "127.0.0.1", "127.0.0.1"]
    assert snapshot() == before
    assert set(server.asked) == {"/ok/1", "/ok/2"}
    # Once more, and nothing is asked for; lost, and got again.
    told = state(made)
    assert download(got, quick).downloaded == 0
    downloads[0].unlink()
    assert download(got, quick).downloaded == 1
    assert state(made) == told


def test_nothing_to_download_changes_no_path(server, elsewhere, quick):
    made, _ = elsewhere(preview_url="")
    tracks, meta = state(made)["tracks.csv"], state(made)["catalogue.json"]
    assert [f.reason for f in download(made, quick).failures] == ["no_preview"] * 2
    assert (state(made)["tracks.csv"], state(made)["catalogue.json"]) == (tracks, meta)


def test_a_folder_that_no_path_can_name(server, elsewhere, quick):
    made, _ = elsewhere("da\nta")
    before = state(made)
    with pytest.raises(UsageError, match="bytes that are not UTF-8; rename it"):
        download(made, quick)
    assert state(made) == before
    assert not server.asked


def test_spotifys_audio_is_named_and_its_terms_are_kept(server, catalogue, quick):
    server.answers["/x"] = lambda h: server.respond(h, server.audio)
    urls = {"a": f"{server.url}/x", "b": f"{server.url}/x", "c": f"{server.url}/gone"}
    made = catalogue(urls, feature_source=["spotify", "", ""])
    download(made, quick)
    got = load(made.folder)
    assert list(got.table["audio_source"]) == ["spotify", "127.0.0.1", ""]
    assert got.notices == (NOTICE,)
    assert json.loads(state(made)["catalogue.json"])["duplicates"] == [["a", "b"]]
    # The notice that this left behind makes nothing else Spotify's.
    server.answers["/gone"] = server.answers["/x"]
    download(got, quick)
    assert list(load(made.folder).table["audio_source"]) == ["spotify", "127.0.0.1", "127.0.0.1"]

"""Rows are dealt out by the table and the catalogue's order alone, however often it is done."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import Catalogue
from kit.features.manifest import Entry, from_bytes, to_bytes
from kit.features.schedule import Track, make_plan

ROOT = Path("/music")
NAMES = [f"t{i}" for i in range(12)]


def digest(name, version=0):
    return f"{name}-{version}"


def catalogue(names, *, without=(), version=None, path=None):
    """A catalogue of tracks by name; those in `without` have no file, the others `name.wav`."""
    version = version or {}
    table = pd.DataFrame(
        {
            "track_id": names,
            "label": ["a"] * len(names),
            "path": ["" if n in without else path or f"{n}.wav" for n in names],
            "source_hash": ["" if n in without else digest(n, version.get(n, 0)) for n in names],
        },
        dtype=str,
    )
    return Catalogue(Path("/data"), table, ROOT)


def done(offset, name):
    return Entry(offset, name, digest(name), 6)


def failed(offset, name, reason, version=0):
    return Entry(offset, name, digest(name, version), 0, reason, f"{name}.wav", f"{name} is odd")


def planned(entries, of, *, retry_failed=False):
    return make_plan(entries, of, retry_failed=retry_failed)


def rows_of(plan):
    tracks = {track.track_id: track.offset for track in plan.tracks}
    return tracks | {entry.track_id: entry.offset for entry in plan.without_audio}


def test_a_new_store_has_the_catalogue_s_order():
    plan = planned([], catalogue(["c", "a", "b"]))
    assert plan.tracks == [
        Track(row, name, digest(name), ROOT / f"{name}.wav") for row, name in enumerate("cab")
    ]
    assert (plan.rows, plan.done, plan.total) == (3, 0, 3)
    assert plan.without_audio == []
    assert not plan.nothing_to_do


def test_holes_are_filled_before_rows_are_added():
    entries = [done(1, "b"), done(3, "gone"), done(4, "d")]
    plan = planned(entries, catalogue(["x", "b", "y", "d", "z"]))
    assert rows_of(plan) == {"x": 0, "y": 2, "z": 5}
    assert plan.rows == 6
    assert plan.done == 2


def test_tracks_come_by_row_and_not_by_name():
    entries = [failed(7, "a", "unreadable"), done(0, "b")]
    plan = planned(entries, catalogue(["a", "b", "c"]))
    assert [(t.offset, t.track_id) for t in plan.tracks] == [(1, "c"), (7, "a")]
    assert plan.rows == 8


def test_nothing_to_do():
    entries = [done(0, "a"), failed(1, "b", "too_short"), done(2, "left the catalogue")]
    plan = planned(entries, catalogue(["b", "a"]))
    assert plan.nothing_to_do
    assert (plan.rows, plan.done, plan.total) == (3, 2, 2)
    assert planned([], catalogue([])).nothing_to_do


@given(
    names=st.permutations(NAMES),
    kept=st.sets(st.sampled_from(NAMES)),
    without=st.sets(st.sampled_from(NAMES)),
    bad=st.sets(st.sampled_from(NAMES)),
)
def test_a_resumed_run_gives_every_track_its_row(names, kept, without, bad):
    """Whichever parts were written before a run ended."""
    of = catalogue(names, without=without)
    first = planned([], of)
    rows = rows_of(first)
    assert sorted(rows.values()) == list(range(12))
    whole = list(first.without_audio)
    for track in first.tracks:
        if track.track_id in bad:
            whole.append(failed(track.offset, track.track_id, "truncated"))
        else:
            whole.append(done(track.offset, track.track_id))
    entries = [entry for entry in whole if entry.track_id in kept]
    again = planned(entries, of)
    assert rows_of(again) == {name: row for name, row in rows.items() if name not in kept}
    assert again.rows == (12 if kept != set() else first.rows)
    assert again.done == len(kept)
    assert again.nothing_to_do == (len(kept) == 12)


@given(
    names=st.permutations(NAMES),
    old=st.lists(st.sampled_from(NAMES), unique=True),
    left=st.integers(0, 3),
    kept=st.sets(st.sampled_from(NAMES)),
)
def test_a_catalogue_that_has_grown_keeps_its_rows(names, old, left, kept):
    """Old tracks stay where they were, whatever the order now; a resumed run deals as the first."""
    before = planned([], catalogue([*old, *(f"left{i}" for i in range(left))]))
    entries = [done(track.offset, track.track_id) for track in before.tracks]
    of = catalogue(names)
    plan = planned(entries, of)
    new = rows_of(plan)
    assert set(new) == set(NAMES) - set(old)
    # No row twice, none left out.
    assert sorted([*new.values(), *(e.offset for e in entries)]) == list(range(plan.rows))
    assert [new[n] for n in names if n in new] == sorted(new.values())
    written = [done(row, name) for name, row in new.items() if name in kept]
    again = planned([*entries, *written], of)
    assert rows_of(again) == {name: row for name, row in new.items() if name not in kept}


def test_a_row_that_is_damaged_is_made_again_in_its_place():
    of = catalogue(NAMES)
    entries = [done(row, name) for row, name in enumerate(NAMES)]
    plan = planned(entries[:3] + entries[7:], of)
    assert rows_of(plan) == {name: row for row, name in enumerate(NAMES) if 3 <= row < 7}


def test_a_changed_file_is_computed_in_its_old_row():
    entries = [done(0, "a"), done(1, "b")]
    plan = planned(entries, catalogue(["a", "b"], version={"b": 1}))
    assert plan.tracks == [Track(1, "b", digest("b", 1), ROOT / "b.wav")]
    assert plan.done == 1


@pytest.mark.parametrize(
    ("reason", "always"),
    [
        ("unreadable", True),
        ("changed_file", True),
        ("no_audio", True),
        ("too_short", False),
        ("truncated", False),
        ("timeout", False),
        ("crashed", False),
        ("unexpected", False),
    ],
)
def test_which_failures_are_tried_again(reason, always):
    old = failed(4, "a", reason)
    for retry_failed in (False, True):
        plan = planned([old], catalogue(["a"]), retry_failed=retry_failed)
        again = always or retry_failed
        assert [track.offset for track in plan.tracks] == ([4] if again else [])
        assert plan.done == (not again)
        assert plan.nothing_to_do == (not again)
    # The file is another one now.
    plan = planned([old], catalogue(["a"], version={"a": 1}))
    assert [(t.offset, t.source_hash) for t in plan.tracks] == [(4, digest("a", 1))]


def test_a_track_without_audio_is_a_row_that_is_written_once():
    of = catalogue(["a", "b", "c"], without=["b"])
    plan = planned([], of)
    (entry,) = plan.without_audio
    assert dataclasses.replace(entry, message="") == Entry(1, "b", "", 0, "no_audio")
    assert entry.message == "track b has no audio; fill in its path in tracks.csv"
    assert rows_of(plan) == {"a": 0, "b": 1, "c": 2}
    assert not planned([done(0, "a"), done(2, "c")], of).nothing_to_do
    settled = planned([done(0, "a"), entry, done(2, "c")], of)
    assert settled.nothing_to_do
    assert settled.done == 3
    # Even if asked to retry: there is no file to try.
    assert planned([done(0, "a"), entry, done(2, "c")], of, retry_failed=True).nothing_to_do
    # It has got its file.
    found = planned([done(0, "a"), entry, done(2, "c")], catalogue(["a", "b", "c"]))
    assert found.tracks == [Track(1, "b", digest("b"), ROOT / "b.wav")]


def test_a_track_that_lost_its_file_keeps_its_features():
    plan = planned([done(0, "a"), done(1, "b")], catalogue(["a", "b"], without=["b"]))
    assert plan.nothing_to_do
    assert (plan.done, plan.without_audio) == (2, [])


def test_features_without_a_file_go_only_if_the_table_names_another_file():
    of = catalogue(["a"], without=["a"])
    for source_hash, kept in ((digest("a"), True), ("", True), (digest("a", 1), False)):
        table = of.table.assign(source_hash=source_hash)
        plan = planned([done(0, "a")], dataclasses.replace(of, table=table))
        assert plan.nothing_to_do == kept
        assert [e.reason for e in plan.without_audio] == ([] if kept else ["no_audio"])


def test_a_path_that_leaves_the_audio_s_folder_is_no_audio():
    plan = planned([], catalogue(["a"], path="../../etc/passwd"))
    assert plan.tracks == []
    assert plan.without_audio[0].reason == "no_audio"
    assert "is outside /music" in plan.without_audio[0].message


def test_a_message_is_text_whatever_the_folder_s_name():
    of = dataclasses.replace(catalogue(["a"], path="../x"), audio_root=Path("/m\udcff\n"))
    (entry,) = planned([], of).without_audio
    assert entry.message.isprintable()
    assert from_bytes(to_bytes([entry]), 0, 1) == [entry]
    assert planned([entry], of).nothing_to_do

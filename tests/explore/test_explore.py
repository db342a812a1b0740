"""From catalogues to figures; what cannot be read is reported."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kit.catalogue import from_folder, load, save, validate
from kit.config import FeatureConfig
from kit.errors import UsageError
from kit.explore import explore
from kit.explore.explore import file_names
from kit.explore.tracks import readable, tracks_of
from kit.features import FeatureStore

from .conftest import CONFIG, of_table

KINDS = (".png", ".svg")
WALLS = ["track-edm", "track-techno", "wall-edm", "wall-techno"]
TABLE_FIGURES = ["histograms-edm", "histograms-techno", "map", "overlaid", "ranking"]


def names(result):
    """The figures' names without the suffixes, each of which is there as PNG and as SVG."""
    found = [{p.stem if p.suffix == kind else "" for p in result.figures} - {""} for kind in KINDS]
    assert found[0] == found[1]
    assert len(result.figures) == 2 * len(found[0])
    return sorted(found[0])


def test_features_and_audio_have_their_figures_and_one_page(explored):
    result = explored.result
    chosen = f"track-{explored.clips.table['track_id'][6]}"
    assert names(result) == sorted([*TABLE_FIGURES, "tempo-by-year", *WALLS, chosen])
    written = sorted(result.page.parent.iterdir())
    assert written == sorted([*result.figures, result.page])
    for path in result.figures:
        begins = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(begins)
    assert result.said[0].startswith("instrumentalness: median 0.")


def test_every_step_is_counted(explored):
    # The features; three tracks and a wall of two labels; a track.
    assert [done for done, _, _ in explored.calls] == list(range(1, 11))
    assert {total for _, total, _ in explored.calls} == {10}


def test_what_is_left_out_is_told(explored):
    notes = explored.result.notes
    assert notes[0] == "5 rows are left out, since an earlier row has the same id."
    assert any("those of spotify are shown, and 10 rows of kit-proxy-1" in n for n in notes)
    assert "100 of 108 tracks have no audio file." in notes
    # The row of each clip is of no source, and lacks its features.
    assert any("Tempo by year leaves out 15 tracks" in note for note in notes)
    (failure,) = explored.result.failures
    assert (failure.stage, failure.reason) == ("explore", "not_audio")
    assert failure.track_id in set(explored.clips.table["track_id"])


def test_a_table_with_one_feature_has_no_map_and_says_why(two_labels, tmp_path):
    table = two_labels[["track_id", "label", "tempo"]]
    result = explore([of_table(tmp_path, table)], CONFIG, tmp_path / "out")
    assert names(result) == [n for n in TABLE_FIGURES if n != "map"]
    assert "There are no figures of audio: no track has an audio file." in result.notes
    assert any(note.startswith("There is no map: 100 tracks have") for note in result.notes)
    assert any("release_date" in note for note in result.notes)


def test_audio_alone_has_no_figures_of_features_nor_of_a_label_that_cannot_be_read(clips, tmp_path):
    for path in (clips.audio_root / "edm").iterdir():
        path.write_bytes(b"")
    calls = []
    result = explore(
        [clips], CONFIG, tmp_path / "out", count=1, progress=lambda *done: calls.append(done)
    )
    assert names(result) == ["track-techno", "wall-techno"]
    assert len(result.failures) == 4
    assert calls[-1][:2] == (4, 4)
    assert result.said == ()
    assert result.notes[0].startswith("There are no figures of the table: no track has audio feat")


def test_a_store_is_read_in_place_of_the_files(clips, tmp_path):
    plain = [frames for _, frames in readable(tracks_of([clips], [None], CONFIG)[0], CONFIG, {})]
    assert [frames.shape for frames in plain] == [(30, 16)] * 8
    store = FeatureStore.create(tmp_path / "store.zarr", CONFIG)
    ids = clips.table["track_id"].tolist()[:4]
    marked = np.zeros((4, 30, 16), np.float32)
    marked[:, :15] = -80
    store.write(ids, ["x"] * 4, marked)
    tracks, _ = tracks_of([clips], [store], CONFIG)
    mixed = [frames for _, frames in readable(tracks, CONFIG, {})]
    np.testing.assert_allclose(mixed[:4], marked, atol=0.1)
    np.testing.assert_array_equal(mixed[4:], plain[4:])


def test_unreadable_tracks_are_skipped_and_reported(clips):
    first, second, third, _ = sorted((clips.audio_root / "edm").iterdir())
    first.write_text("this is text")
    second.unlink()
    soundfile.write(third, np.full(100, 0.1), 8000)
    clips.table.loc[1, "path"] = "../secret.wav"
    failures = {}
    tracks, _ = tracks_of([clips], [None], CONFIG)
    read = [track.track_id for track, _ in readable(tracks, CONFIG, failures)]
    found = {f.path and Path(f.path).name: f.reason for f in failures.values()}
    reasons = {"0.wav": "not_audio", "2.wav": "unreadable", "4.wav": "too_short", "": "no_audio"}
    # The row that leaves the catalogue is one of those above, or another.
    assert {*found.items()} <= {*reasons.items()}
    assert failures[str(clips.table["track_id"][1])].reason == "no_audio"
    assert {*read} | {*failures} == set(clips.table["track_id"])


def test_labels_become_safe_names_of_their_own():
    found = file_names(["../up", "a/b", "A_B", "é ü", "n" * 300])
    assert found == {
        "../up": ".._up",
        "a/b": "a_b",
        "A_B": "A_B-2",
        "é ü": "é_ü",
        "n" * 300: "n" * 60,
    }


def test_what_cannot_be_done_is_refused(clips, two_labels, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="count is 0"):
        explore([clips], CONFIG, out, count=0)
    other = FeatureStore.create(tmp_path / "other.zarr", FeatureConfig())
    with pytest.raises(UsageError, match="is of configuration"):
        explore([clips], CONFIG, out, stores=[other])
    with pytest.raises(UsageError, match="there is no track 'nobody'"):
        explore([clips], CONFIG, out, track_ids=["nobody"])
    with pytest.raises(UsageError, match="no features of the source 'x'"):
        explore([of_table(tmp_path, two_labels)], CONFIG, out, source="x")
    with pytest.raises(UsageError, match="neither audio features nor audio"):
        explore([of_table(tmp_path, two_labels[["track_id", "label"]])], CONFIG, out)
    assert not out.exists()


def test_a_clip_with_features_is_of_both_parts(clips, two_labels, tmp_path):
    columns = two_labels[["instrumentalness", "tempo", "energy"]]
    table = clips.table.assign(**{n: columns[n].to_numpy()[:8] for n in columns}).iloc[[0, 1]]
    both = dataclasses.replace(
        clips, table=validate(table.reset_index(drop=True), source="the test")
    )
    tracks, notes = tracks_of([both], [None], CONFIG)
    assert notes == []
    assert all(track.has_audio and track.row["tempo"] > 0 for track in tracks)


def test_real_music_can_be_drawn(tmp_path):
    shared = os.environ.get("KIT_SHARED_DATA")
    if not shared:
        pytest.skip("KIT_SHARED_DATA is not set: no real music")
    (tmp_path / "music" / "ambient").mkdir(parents=True)
    for path in sorted((Path(shared) / "music" / "ambient").iterdir())[:3]:
        shutil.copy(path, tmp_path / "music" / "ambient")
    save(from_folder(tmp_path / "music"), tmp_path / "catalogue")
    result = explore([load(tmp_path / "catalogue")], FeatureConfig(), tmp_path / "out", count=3)
    assert names(result) == ["track-ambient", "wall-ambient"]
    assert result.failures == ()

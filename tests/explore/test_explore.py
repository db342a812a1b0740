"""From a catalogue of real files to figures; what cannot be read is reported."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kit.catalogue import Catalogue, from_folder, load, save, validate
from kit.config import FeatureConfig, FrontendConfig
from kit.errors import UsageError
from kit.explore import Features, explore
from kit.features import FeatureStore

CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=16),
    n_frames=30,
    clip_s=1.0,
)


KINDS = (".png", ".svg")
WALLS = ["track-edm", "track-techno", "wall-edm", "wall-techno"]


@pytest.fixture
def catalogue(tmp_path):
    """Two labels of four noise clips of a second and more."""
    for i in range(8):
        folder = tmp_path / "music" / ("edm", "techno")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, 8000 + 500 * i)
        soundfile.write(folder / f"{i}.wav", noise, 8000)
    save(from_folder(tmp_path / "music"), tmp_path / "catalogue")
    return load(tmp_path / "catalogue")


def only(catalogue, label):
    table = catalogue.table[catalogue.table["label"] == label]
    return dataclasses.replace(catalogue, table=table.reset_index(drop=True))


def names(result):
    """The figures' names without the suffixes, each of which is there as PNG and as SVG."""
    found = [{p.stem if p.suffix == kind else "" for p in result.figures} - {""} for kind in KINDS]
    assert found[0] == found[1]
    assert len(result.figures) == 2 * len(found[0])
    return sorted(found[0])


def test_each_label_has_its_two_figures(catalogue, tmp_path):
    calls = []
    result = explore(
        [catalogue], CONFIG, tmp_path / "out", progress=lambda *done: calls.append(done)
    )
    assert names(result) == WALLS
    written = sorted((tmp_path / "out").iterdir())
    assert written == sorted([*result.figures, result.page])
    for path in result.figures:
        begins = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(begins)
    assert result.failures == ()
    # Eight tracks and two walls.
    assert [done for done, _, _ in calls] == list(range(1, 11))
    assert {total for _, total, _ in calls} == {10}


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_store_gives_the_same_wall_as_the_files(catalogue, tmp_path):
    catalogue = only(catalogue, "edm")
    plain = explore([catalogue], CONFIG, tmp_path / "plain", count=2)
    store = FeatureStore.create(tmp_path / "store.zarr", CONFIG)
    assert isinstance(store, Features)
    ids = catalogue.table["track_id"].tolist()
    marked = np.zeros((4, 30, 16), np.float32)
    marked[:, :15] = -80
    store.write(ids, ["x"] * 4, marked)
    stored = explore([catalogue], CONFIG, tmp_path / "stored", count=2, stores=[store])
    by_name = [{p.name: p.read_bytes() for p in r.figures} for r in (plain, stored)]
    # Other features, another wall: they came from the store. The track is decoded either way.
    assert by_name[0]["wall-edm.png"] != by_name[1]["wall-edm.png"]
    assert by_name[0]["track-edm.png"] == by_name[1]["track-edm.png"]

    # A store without any track leaves all to be decoded.
    empty = FeatureStore.create(tmp_path / "empty.zarr", CONFIG)
    decoded = explore([catalogue], CONFIG, tmp_path / "decoded", count=2, stores=[empty])
    assert {p.name: p.read_bytes() for p in decoded.figures} == by_name[0]


def test_unreadable_tracks_are_skipped_and_reported(catalogue, tmp_path):
    first, second, third, _ = sorted((catalogue.audio_root / "edm").iterdir())
    first.write_text("this is text")
    second.unlink()
    soundfile.write(third, np.full(100, 0.1), 8000)
    result = explore([catalogue], CONFIG, tmp_path / "out", count=3)
    assert names(result) == WALLS
    found = {Path(f.path).name: f.reason for f in result.failures}
    assert found == {"0.wav": "not_audio", "2.wav": "unreadable", "4.wav": "too_short"}
    assert {f.stage for f in result.failures} == {"explore"}
    ids = set(catalogue.table["track_id"])
    assert {f.track_id for f in result.failures} <= ids


def test_a_label_without_a_readable_track_has_no_figures(catalogue, tmp_path):
    for path in (catalogue.audio_root / "edm").iterdir():
        path.write_bytes(b"")
    calls = []
    result = explore(
        [catalogue], CONFIG, tmp_path / "out", progress=lambda *done: calls.append(done)
    )
    assert names(result) == ["track-techno", "wall-techno"]
    assert len(result.failures) == 4
    assert calls[-1][:2] == (10, 10)


def test_rows_without_audio_are_counted_and_a_path_that_leaves_is_reported(catalogue, tmp_path):
    catalogue = only(catalogue, "edm")
    catalogue.table.loc[0, "path"] = ""
    catalogue.table.loc[1, "path"] = "../secret.wav"
    result = explore([catalogue], CONFIG, tmp_path / "out")
    assert "1 of 4 tracks have no audio file." in result.notes
    assert [(f.reason, f.track_id) for f in result.failures] == [
        ("no_audio", catalogue.table.loc[1, "track_id"])
    ]


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_labels_become_safe_names_of_their_own(catalogue, tmp_path):
    labels = ["../up", "a/b", "A_B", "é ü", "n" * 300]
    catalogue = dataclasses.replace(catalogue, table=catalogue.table.head(5).assign(label=labels))
    result = explore([catalogue], CONFIG, tmp_path / "out")
    walls = [n for n in names(result) if n.startswith("wall-")]
    assert len({n.casefold() for n in walls}) == 5
    assert {"wall-.._up", "wall-a_b", "wall-A_B-2", "wall-é_ü"} < set(walls)


def test_what_cannot_be_done_is_refused(catalogue, tmp_path):
    with pytest.raises(UsageError, match="count is 0"):
        explore([catalogue], CONFIG, tmp_path / "out", count=0)
    other = FeatureStore.create(tmp_path / "other.zarr", FeatureConfig())
    with pytest.raises(UsageError, match="is of configuration"):
        explore([catalogue], CONFIG, tmp_path / "out", stores=[other])
    assert not (tmp_path / "out").exists()


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


# --- tables, and several catalogues


def of_table(folder, table):
    return Catalogue(folder, validate(table, source="the test"), folder)


TABLE_FIGURES = ["histograms-edm", "histograms-techno", "map", "overlaid", "ranking"]
# Figures of two features are drawn faster than those of all; test_report.py draws these once.
FEW = ["track_id", "label", "artists", "instrumentalness", "tempo"]


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_table_without_audio_has_the_tables_figures_only(two_labels, tmp_path):
    calls = []
    result = explore(
        [of_table(tmp_path, two_labels[[*FEW, "energy", "release_date"]])],
        CONFIG,
        tmp_path / "out",
        progress=lambda *done: calls.append(done),
    )
    assert names(result) == sorted([*TABLE_FIGURES, "tempo-by-year"])
    assert result.notes == ("There are no figures of audio: no track has an audio file.",)
    assert result.said[0].startswith("instrumentalness: median 0.")
    assert calls[-1][0] == calls[-1][1] == len(calls) == 6


def test_audio_without_features_has_no_figures_of_the_table(catalogue, tmp_path):
    result = explore([catalogue], CONFIG, tmp_path / "out", count=1)
    assert names(result) == WALLS
    assert result.said == ()
    assert result.notes[0].startswith("There are no figures of the table: no track has audio feat")


def test_a_catalogue_with_both_has_both(catalogue, two_labels, tmp_path):
    columns = two_labels[["instrumentalness", "tempo", "energy"]]
    table = catalogue.table.assign(**{n: columns[n].to_numpy()[:8] for n in columns})
    both = dataclasses.replace(catalogue, table=validate(table, source="the test"))
    result = explore([both], CONFIG, tmp_path / "out", count=1)
    assert names(result) == sorted([*TABLE_FIGURES, *WALLS])
    assert any("tempo by year" in note for note in result.notes)


def test_a_figure_without_its_column_is_left_out_with_the_reason(two_labels, tmp_path):
    table = two_labels[["track_id", "label", "tempo"]]
    result = explore([of_table(tmp_path, table)], CONFIG, tmp_path / "out")
    assert names(result) == [n for n in TABLE_FIGURES if n != "map"]
    assert any(note.startswith("There is no map: 100 tracks have") for note in result.notes)
    assert any("release_date" in note for note in result.notes)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_catalogues_come_together_by_label_and_a_track_counts_once(catalogue, two_labels, tmp_path):
    two_labels = two_labels[FEW]
    table = of_table(tmp_path, two_labels)
    again = of_table(tmp_path, two_labels.head(5).assign(label="house"))
    result = explore([table, catalogue, again], CONFIG, tmp_path / "out", count=1)
    assert {"overlaid", "ranking", *WALLS} < set(names(result))
    assert "5 rows are of tracks that an earlier row has, by their ids" in result.notes[0]
    assert "100 of 108 tracks have no audio file." in result.notes
    text = result.page.read_text()
    assert "64 techno, 44 edm" in text
    assert "house" not in text


def test_sources_are_told_of_and_can_be_chosen(two_labels, tmp_path):
    source = np.where(np.arange(60) % 5 == 0, "kit-proxy-1", "spotify")
    table = of_table(tmp_path, two_labels[FEW].head(60).assign(feature_source=source))
    result = explore([table], CONFIG, tmp_path / "out")
    assert any("those of spotify are shown, and 12 rows of kit-proxy-1" in n for n in result.notes)
    assert "their source is spotify" in result.page.read_text()
    other = explore([table], CONFIG, tmp_path / "out", source="kit-proxy-1")
    assert any("48 rows of spotify left out" in note for note in other.notes)
    with pytest.raises(UsageError, match="no features of the source 'x'"):
        explore([table], CONFIG, tmp_path / "new", source="x")
    assert not (tmp_path / "new").exists()


def test_any_track_can_be_drawn_in_detail(catalogue, tmp_path):
    chosen = catalogue.table["track_id"][3]
    result = explore([catalogue], CONFIG, tmp_path / "out", count=1, track_ids=[chosen])
    assert names(result) == sorted([f"track-{chosen}", *WALLS])
    with pytest.raises(UsageError, match="there is no track 'nobody'"):
        explore([catalogue], CONFIG, tmp_path / "new", track_ids=["nobody"])


def test_neither_features_nor_audio_is_refused(two_labels, tmp_path):
    table = of_table(tmp_path, two_labels[["track_id", "label"]])
    with pytest.raises(UsageError, match="neither audio features nor audio"):
        explore([table], CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Changes made by hand in a catalogue survive another scan into the same folder."""

import shutil

import mutagen
import pytest
from mutagen.id3 import TPE1

from kit.catalogue import from_csv, from_folder, load, write_table
from kit.catalogue.edits import save_with_edits, with_edits, with_known_ids
from kit.errors import UsageError


@pytest.fixture
def scan(track, tmp_path):
    """`kit scan` of a folder with four tracks in two labels; called again, the next scan."""
    for seed, name in enumerate(("x/a.flac", "x/b.flac", "y/c.flac", "y/d.flac")):
        track(f"m/{name}", seed, artist=name)

    def again(found=None):
        return save_with_edits(found or from_folder(tmp_path / "m"), tmp_path / "c")

    again()
    return again


def edit(tmp_path, old, new):
    path = tmp_path / "c/tracks.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def column(tmp_path, name):
    table = load(tmp_path / "c").table
    return dict(zip(table["path"].str[-6:], table[name], strict=True))


def test_labels_put_right_by_hand_survive(scan, track, tmp_path):
    edit(tmp_path, ",x,x/a.flac", ",y,x/a.flac")
    for seed in (10, 11):
        track(f"m/y/{seed}.flac", seed, artist="new")
        kept = scan()
        labels = {"a.flac": "y", "b.flac": "x", "c.flac": "y", "d.flac": "y"}
        assert column(tmp_path, "label").items() >= labels.items()
        assert kept.warnings[0].endswith("since the last scan are kept: 1 of label")
    assert len(load(tmp_path / "c").table) == 6


def test_all_that_a_person_changes_survives(scan, tmp_path):
    edit(tmp_path, ",x/b.flac,x/b.flac,", ",x/b.flac,Somebody,")
    table = load(tmp_path / "c").table
    write_table(
        table.assign(mine=["1", "", "", "4"], tag_bpm=[120, None, 130, None]), tmp_path / "c"
    )
    said = scan().warnings[0]
    assert said.endswith("1 of artists, 2 of mine, 2 of tag_bpm") or "2 of mine" in said
    assert column(tmp_path, "artists")["b.flac"] == "Somebody"
    assert column(tmp_path, "mine") == {"a.flac": "1", "b.flac": "", "c.flac": "", "d.flac": "4"}
    assert column(tmp_path, "tag_bpm")["c.flac"] == 130


def test_what_nobody_changed_follows_the_files(scan, track, tmp_path):
    (tmp_path / "m/x/a.flac").rename(tmp_path / "m/y/a.flac")
    (tmp_path / "m/y/d.flac").unlink()
    track("m/x/b.flac", 20, artist="other")
    kept = scan()
    assert column(tmp_path, "label") == {"b.flac": "x", "a.flac": "y", "c.flac": "y"}
    assert column(tmp_path, "artists")["b.flac"] == "other"
    assert kept.warnings == ()
    assert set(scan(from_folder(tmp_path / "m", label="all")).table["label"]) == {"all"}


def test_a_change_stays_with_a_file_whose_tags_are_new(scan, track, tmp_path):
    edit(tmp_path, ",x,x/a.flac", ",y,x/a.flac")
    track("m/x/a.flac", 0, artist="x/a.flac", title="new tag")
    scan()
    assert column(tmp_path, "label")["a.flac"] == "y"
    assert column(tmp_path, "title")["a.flac"] == "new tag"


@pytest.mark.parametrize("suffix", ["flac", "mp3", "wav", "aiff"])
def test_a_track_keeps_its_id_where_only_its_tags_are_new(scan, track, tmp_path, suffix):
    for seed, name in ((9, "x/e"), (9, "x/copy"), (8, "y/f")):
        track(f"m/{name}.{suffix}", seed)
    scan()
    before = column(tmp_path, "track_id")
    # The copy had the same bytes, and gets other tags; f moves and gets tags.
    for name in ("x/copy", "y/f"):
        file = mutagen.File(tmp_path / f"m/{name}.{suffix}", easy=suffix == "mp3")
        if file.tags is None:
            file.add_tags()
        chunk = suffix in ("wav", "aiff")
        file["TPE1" if chunk else "artist"] = TPE1(text="An artist") if chunk else "An artist"
        file.save()
    (tmp_path / f"m/y/f.{suffix}").rename(tmp_path / f"m/x/f.{suffix}")
    scan()
    after = column(tmp_path, "track_id")
    assert column(tmp_path, "artists")[f"x/f.{suffix}"[-6:]] == "An artist"
    assert set(after.values()) == set(before.values())
    assert after[f"x/f.{suffix}"[-6:]] == before[f"y/f.{suffix}"[-6:]]


def test_other_audio_under_an_old_name_is_another_track(scan, track, tmp_path):
    before = column(tmp_path, "track_id")
    track("m/x/a.flac", 30, artist="x/a.flac")
    shutil.copy(tmp_path / "m/x/b.flac", tmp_path / "m/x/z.flac")
    scan()
    after = column(tmp_path, "track_id")
    assert after["a.flac"] not in before.values()
    # A copy beside its original is a track of its own.
    assert after["b.flac"] == before["b.flac"]
    assert len(set(after.values())) == 5


def test_ids_that_a_table_gives_are_not_replaced(scan, csv, tmp_path):
    table = csv("track_id,label,path\nmine,x,m/x/a.flac\n", "t.csv")
    assert list(with_known_ids(from_csv(table), tmp_path / "c").table["track_id"]) == ["mine"]


def test_rows_removed_and_added_by_hand(scan, tmp_path):
    table = load(tmp_path / "c").table
    more = table.iloc[:1].assign(track_id="mine", path="", source_hash="", title="No file")
    write_table(
        type(table)(table.iloc[1:].to_dict("records") + more.to_dict("records")), tmp_path / "c"
    )
    for _ in range(2):
        warnings = scan().warnings
        assert any("1 tracks removed from" in text and "x/a.flac" in text for text in warnings)
        assert any("1 rows added to" in text for text in warnings)
        assert any("delete" in text for text in warnings)
        assert list(load(tmp_path / "c").table["title"])[-1] == "No file"
        assert "x/a.flac" not in set(load(tmp_path / "c").table["path"])


def test_files_of_a_match_are_not_thrown_away(track, csv, tmp_path):
    table = csv("track_id,label,title\na,x,A\nb,y,B\n")
    folder = tmp_path / "c"
    save_with_edits(from_csv(table), folder)
    track("m/a.flac")
    write_table(load(folder).table.assign(path=["m/a.flac", ""]), folder)
    before = (folder / "tracks.csv").read_bytes()
    with pytest.raises(UsageError, match=r"has files for 1 tracks .* --out, or delete it"):
        with_edits(from_csv(table), folder)
    assert (folder / "tracks.csv").read_bytes() == before
    (folder / "tracks.csv").unlink()
    assert len(with_edits(from_csv(table), folder).table) == 2


def test_a_change_that_breaks_a_rule_is_said(scan, tmp_path):
    edit(tmp_path, ",x,x/a.flac", ",,x/a.flac")
    said = r"tracks.csv, line 2, column label is empty; .*; correct it, or delete the file"
    with pytest.raises(UsageError, match=said):
        scan()


def test_a_catalogue_of_other_music(scan, track, tmp_path):
    track("n/z/e.flac", 30, artist="E")
    other = from_folder(tmp_path / "n")
    edit(tmp_path, ",x,x/a.flac", ",y,x/a.flac")
    with pytest.raises(UsageError, match=r"has 1 tracks that were changed by hand, but this scan"):
        scan(other)
    assert column(tmp_path, "label")["a.flac"] == "y"
    edit(tmp_path, ",y,x/a.flac", ",x,x/a.flac")
    assert list(scan(other).table["label"]) == ["z"]


def test_a_changed_track_whose_file_is_gone_is_said(scan, tmp_path):
    edit(tmp_path, ",x,x/a.flac", ",y,x/a.flac")
    (tmp_path / "m/x/a.flac").unlink()
    assert scan().warnings[0].startswith("1 changed tracks of ")
    assert scan().warnings == ()

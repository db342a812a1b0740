import json
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest

from kit.catalogue import (
    from_csv,
    from_folder,
    load,
    read_failures,
    save,
    write_table,
)
from kit.catalogue.io import move_root
from kit.errors import KitError, UsageError


def test_save_and_load(track, tmp_path):
    track(
        "music/a/1.wav",
        1,
    )
    track("music/a/2.mp3", 2, artist="Ä; B", title='q "x", y')
    track("music/b/3.wav", 3)
    (tmp_path / "music/b/4.wav").write_text("text")
    scan = from_folder(tmp_path / "music")
    save(scan, tmp_path / "data/mine")
    catalogue = load(tmp_path / "data/mine")
    pd.testing.assert_frame_equal(catalogue.table, scan.table)
    assert read_failures(tmp_path / "data/mine") == scan.failures
    for _, row in catalogue.table.iterrows():
        assert catalogue.path_of(row).read_bytes()
    head = (tmp_path / "data/mine/tracks.csv").read_bytes().split(b"\n")[0]
    assert head.startswith(b"track_id,label,path,artists,title,album,release_date,duration_s")
    meta = json.loads((tmp_path / "data/mine/catalogue.json").read_text())
    assert meta["format"] == 1
    assert meta["audio_root"] == str((tmp_path / "music").resolve())
    assert meta["labels"] == {"a": 2, "b": 1}
    # Once more, and it is the same.
    save(scan, tmp_path / "data/mine")
    pd.testing.assert_frame_equal(load(tmp_path / "data/mine").table, scan.table)


def test_audio_inside_the_folder_moves_with_it(track, tmp_path):
    track("demo/audio/a/1.wav", 1)
    save(from_folder(tmp_path / "demo/audio"), tmp_path / "demo")
    assert json.loads((tmp_path / "demo/catalogue.json").read_text())["audio_root"] == "audio"
    (tmp_path / "demo").rename(tmp_path / "moved")
    catalogue = load(tmp_path / "moved")
    assert catalogue.path_of(catalogue.table.iloc[0]).is_file()


def test_audio_that_has_moved_is_said_once(track, tmp_path):
    paths = [track(f"music/{label}/1.wav", seed) for seed, label in enumerate("ab")]
    save(from_folder(tmp_path / "music"), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""
    shutil.rmtree(paths[0].parent)
    assert load(tmp_path / "c").missing_audio() == ""
    (tmp_path / "music").rename(tmp_path / "moved")
    said = load(tmp_path / "c").missing_audio()
    assert f"none of the audio of {tmp_path / 'c'} is still in {tmp_path / 'music'}" in said
    assert said.endswith(f"kit scan NEW_FOLDER --out {tmp_path / 'c'}")
    # A mount point that is empty now.
    (tmp_path / "music").mkdir()
    assert load(tmp_path / "c").missing_audio() == said
    save(from_folder(tmp_path / "moved"), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""


def test_a_table_without_audio_misses_none(csv, tmp_path):
    save(from_csv(csv("track_id,title\n1pXeZ,A\n2Y7iO,B\n")), tmp_path / "c")
    assert load(tmp_path / "c").missing_audio() == ""


# --- another folder that paths start from


KILLED = """
import os, signal, sys
from pathlib import Path
from kit.catalogue import Scan, load, save
from kit.catalogue.io import move_root
from kit.catalogue.scan_warnings import duplicates

folder, root, left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def before_a_rename(event, _):
    global left
    if event == "os.rename":
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(before_a_rename)
if load(folder).audio_root == root:
    save(Scan(load(folder).table.assign(mine="x"), [], root), folder)
else:
    move_root(folder, root)
"""


def audio_of(folder):
    """Where the rows of a catalogue lead to, and whether it is there."""
    catalogue = load(folder)
    paths = [catalogue.path_of(row) for _, row in catalogue.table.iterrows()]
    return paths, all(path.is_file() for path in paths)


@pytest.fixture
def catalogued(track, tmp_path):
    for n in (1, 2):
        track(f"music/a/{n}.wav", n)
    save(from_folder(tmp_path / "music"), tmp_path / "data/c")
    return tmp_path / "data/c"


def test_paths_from_a_folder_further_up(catalogued, tmp_path):
    paths, there = audio_of(catalogued)
    assert there
    table = load(catalogued).table
    # A path that leaves the root is still refused, and does not come to lie inside.
    write_table(table.assign(path=["a/1.wav", "../x"]), catalogued)
    moved = move_root(catalogued, tmp_path)
    assert moved.audio_root == tmp_path
    assert list(moved.table["path"]) == ["music/a/1.wav", "../x"]
    assert moved.path_of(moved.table.iloc[0]) == paths[0]
    with pytest.raises(KitError, match=r"path '\.\./x' is outside"):
        moved.path_of(moved.table.iloc[1])
    meta = json.loads((catalogued / "catalogue.json").read_text())
    assert meta["labels"] == {"a": 2}
    assert set(meta) == {"format", "audio_root", "tracks", "labels", "duplicates", "notices"}


def killed(folder, root, renames):
    """A process that dies before its rename of this number: `move_root`, or `save` after that."""
    command = [sys.executable, "-c", KILLED, str(folder), str(root), str(renames)]
    return subprocess.run(command).returncode == -signal.SIGKILL


@pytest.mark.parametrize("renames", range(3))
def test_killed_between_two_files_every_path_leads_to_its_file(catalogued, tmp_path, renames):
    want = audio_of(catalogued)
    assert killed(catalogued, tmp_path, renames)
    assert audio_of(catalogued) == want
    # Also after another command has written the table that it read.
    write_table(load(catalogued).table.assign(mine="x"), catalogued)
    assert audio_of(catalogued) == want
    moved = move_root(catalogued, tmp_path)
    assert list(moved.table["path"]) == ["music/a/1.wav", "music/a/2.wav"]
    assert audio_of(catalogued) == want
    assert "coming" not in (catalogued / "catalogue.json").read_text()


def test_killed_twice(catalogued, tmp_path):
    want = audio_of(catalogued)
    assert killed(catalogued, tmp_path, 2)
    for renames in range(3):
        again = tmp_path / f"data/{renames}"
        shutil.copytree(catalogued, again)
        assert killed(again, tmp_path, renames)
        assert audio_of(again) == want


def test_text_survives(csv, tmp_path):
    values = ["a\rb", "a\nb", 'q"', ",", " spaces ", "NA", "", "ünï 音", "-1", "=1+1", "1e5"]
    table = "\n".join(["track_id,label,title,other"] + [f"t{i},x,T,T" for i in range(len(values))])
    scan = from_csv(csv(table))
    scan.table["title"] = values
    scan.table["other"] = values
    save(scan, tmp_path / "out")
    got = load(tmp_path / "out").table
    assert list(got["title"]) == values
    assert list(got["other"]) == values


def test_what_is_no_catalogue(csv, track, tmp_path):
    with pytest.raises(UsageError, match=r"is not a catalogue .* kit scan FOLDER"):
        load(tmp_path / "none")
    track("music/a/1.wav")
    save(from_folder(tmp_path / "music"), tmp_path / "c")
    meta = tmp_path / "c/catalogue.json"
    for text, said in [
        ('{"format": 2, "audio_root": "."}', "not in format 1"),
        ("[]", "not in format 1"),
        ('{"format": 1}', "audio_root is None"),
        ("{", "not valid JSON"),
    ]:
        meta.write_text(text)
        with pytest.raises(KitError, match=said):
            load(tmp_path / "c")


def test_path_of_a_row_without_audio(csv, tmp_path):
    save(from_csv(csv("track_id,title\n1pXeZ,A\n2Y7iO,B\n")), tmp_path / "c")
    catalogue = load(tmp_path / "c")
    with pytest.raises(KitError, match="track 1pXeZ has no audio"):
        catalogue.path_of(catalogue.table.iloc[0])
    with pytest.raises(KitError, match=r"track x: path '\.\./x' is outside"):
        catalogue.path_of({"track_id": "x", "path": "../x"})


def test_nothing_is_written_where_it_cannot_be(track, tmp_path):
    track("music/a/1.wav")
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="cannot write"):
        save(from_folder(tmp_path / "music"), tmp_path / "file/c")

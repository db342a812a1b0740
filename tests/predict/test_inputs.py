"""Files, folders, playlists and catalogues as a list of audio files."""

import os
import shutil

import pytest

from kit.catalogue import Failure, load, save
from kit.catalogue.scan import from_folder
from kit.errors import KitError, UsageError
from kit.predict.inputs import inputs_of


@pytest.fixture(scope="module")
def music(write_music, tmp_path_factory):
    return write_music(tmp_path_factory.mktemp("inputs") / "müsic", 2)


def names(inputs):
    return [one.reason if isinstance(one, Failure) else one.name for one in inputs]


def test_order_is_kept_and_a_file_counts_once(music, tmp_path, monkeypatch):
    monkeypatch.chdir(music)
    (tmp_path / "link.flac").symlink_to(music / "low/00.flac")
    os.link(music / "low/01.flac", tmp_path / "hard.flac")
    found = inputs_of([music / "low/01.flac", tmp_path / "none.mp3", music, tmp_path])
    assert found[:2] == [music / "low/01.flac", tmp_path / "none.mp3"]
    assert names(found[2:]) == ["00.flac", "01.flac", "00.flac"]
    assert inputs_of([music / "low/00.flac", music / "high/../low/00.flac"]) == [
        music / "low/00.flac"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u", "#EXTM3U\nlow/01.flac\ngone.flac\nhttp://radio/x\nhigh/00.flac\n"),
        (
            "a.pls",
            "[playlist]\nFile1=low/01.flac\nFile2=gone.flac\nFile3=http://radio/x\n"
            "File4=high/00.flac\n",
        ),
        (
            "a.xspf",
            '<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>'
            "<track><location>low/01.flac</location></track>"
            "<track><location>gone.flac</location></track>"
            "<track><location>http://radio/x</location></track>"
            "<track><location>high/00.flac</location></track></trackList></playlist>",
        ),
    ],
)
def test_a_playlist_with_missing_files(music, tmp_path, name, text):
    folder = shutil.copytree(music, tmp_path / "music")
    (folder / name).write_text(text)
    found = inputs_of([folder / name])
    assert names(found) == ["01.flac", "missing_file", "not_a_file", "00.flac"]
    assert [found[0], found[3]] == [folder / "low/01.flac", folder / "high/00.flac"]


def test_a_catalogue(music, tmp_path):
    save(from_folder(music), tmp_path / "data")
    paths = [music / path for path in load(tmp_path / "data").table["path"]]
    assert inputs_of([tmp_path / "data"]) == paths
    table = tmp_path / "data/tracks.csv"
    table.write_text(table.read_text().replace("high/00.flac", ""))
    assert names(inputs_of([tmp_path / "data"])) == ["no_audio", "01.flac", "00.flac", "01.flac"]
    shutil.copytree(music, tmp_path / "moved")
    save(from_folder(tmp_path / "moved"), tmp_path / "data")
    shutil.rmtree(tmp_path / "moved")
    with pytest.raises(KitError, match="none of the audio"):
        inputs_of([tmp_path / "data"])


def test_odd_names_and_folders(tmp_path, unprivileged):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no audio below"):
        inputs_of([tmp_path / "empty"])
    with pytest.raises(UsageError, match=r"none\.m3u cannot be read"):
        inputs_of([tmp_path / "none.m3u"])
    assert names(inputs_of([tmp_path / "a\nb.mp3"])) == ["bad_name"]
    (tmp_path / "shut/in").mkdir(parents=True)
    (tmp_path / "shut/in").chmod(0)
    with unprivileged():
        (found,) = inputs_of([tmp_path / "shut"])
    (tmp_path / "shut/in").chmod(0o755)
    assert isinstance(found, Failure)
    assert found.reason == "unreadable"
    assert str(tmp_path / "shut") in found.message

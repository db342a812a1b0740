import os
import resource
import stat

import pytest

from kit.errors import KitError
from kit.files import atomic_write, read_json, require_room, write_json, write_text


def test_round_trip_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "ü.json"
    write_json(path, {"ключ": [1, None, "x"]})
    assert read_json(path) == {"ключ": [1, None, "x"]}
    assert list(path.parent.iterdir()) == [path]


def test_bytes(tmp_path):
    with atomic_write(tmp_path / "x", "wb") as stream:
        stream.write(b"\x00\r\n")
    assert (tmp_path / "x").read_bytes() == b"\x00\r\n"


def test_new_files_are_as_readable_as_any(tmp_path):
    write_text(tmp_path / "x", "1")
    (tmp_path / "y").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "xy"}
    assert len(modes) == 1


def test_an_exception_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "x") as stream:
        stream.write("new")
        raise RuntimeError
    assert (tmp_path / "x").read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_full_disk_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(KitError, match=r"cannot write .*x: File too large; free some space"):
            write_text(tmp_path / "x", "n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "x").read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(KitError, match="cannot write"):
        write_text(tmp_path / "x" / "y", "1")


@pytest.mark.parametrize("text", ["{", "\xff"])
def test_damaged_json_is_named(tmp_path, text):
    (tmp_path / "x.json").write_text(text, encoding="latin-1")
    with pytest.raises(KitError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")


def test_missing_json_is_named(tmp_path):
    with pytest.raises(KitError, match=r"cannot read .*x\.json"):
        read_json(tmp_path / "x.json")


def test_room_is_asked_for_and_nothing_is_left(tmp_path, full_disk):
    require_room(tmp_path / "new", 3_000_000)
    with full_disk(2_000_000), pytest.raises(KitError, match=r"cannot write 3000000 .*free some"):
        require_room(tmp_path / "new", 3_000_000)
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="choose a folder that you may write to"):
        require_room(tmp_path / "file", 1)

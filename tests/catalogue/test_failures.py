import pytest

from kit.catalogue import Failure, read_failures, write_failures
from kit.errors import KitError

A = Failure("a/ä.mp3", "scan", "not_audio", 'a, "quoted" message', "id1")
B = Failure("b.mp3", "features", "too_short", "b", "id2")


def test_a_stage_replaces_its_own_rows_only(tmp_path):
    assert read_failures(tmp_path) == []
    write_failures(tmp_path, "scan", [A])
    write_failures(tmp_path, "features", [B])
    assert read_failures(tmp_path) == [A, B]
    write_failures(tmp_path, "scan", [])
    assert read_failures(tmp_path) == [B]
    write_failures(tmp_path, "scan", [A, A])
    assert read_failures(tmp_path) == [B, A, A]


def test_no_failures_is_a_header(tmp_path):
    write_failures(tmp_path, "scan", [])
    text = (tmp_path / "failures.csv").read_text()
    assert text == "path,stage,reason,message,track_id\n"


def test_a_message_is_one_line_of_the_file(tmp_path):
    write_failures(tmp_path, "scan", [Failure("a", "scan", "x", "two\nlines\r\nand more")])
    assert len((tmp_path / "failures.csv").read_text().splitlines()) == 2
    assert read_failures(tmp_path)[0].message == "two lines and more"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "path,stage,reason,message,track_id\n1,2\n"])
def test_another_file_of_that_name_is_not_overwritten(tmp_path, text):
    (tmp_path / "failures.csv").write_text(text)
    with pytest.raises(KitError, match="should have the columns path, stage"):
        write_failures(tmp_path, "scan", [A])
    assert (tmp_path / "failures.csv").read_text() == text


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "failures.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KitError, match="delete it"):
        read_failures(tmp_path)

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
    assert text == "path,stage,reason,message,track_id,length_s\n"


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


def test_the_length_of_a_short_track_is_kept(tmp_path):
    failures = [
        Failure("x.mp3", "features", "too_short", "is short", "t", 9.7),
        Failure("y.mp3", "features", "silent", "is silent", "u"),
    ]
    write_failures(tmp_path, "features", failures)
    assert read_failures(tmp_path) == failures


def test_a_file_without_lengths_is_read(tmp_path):
    """As kit wrote them before it kept excerpts."""
    (tmp_path / "failures.csv").write_text(
        "path,stage,reason,message,track_id\nx.mp3,scan,empty,has no bytes,t\n"
    )
    assert read_failures(tmp_path) == [Failure("x.mp3", "scan", "empty", "has no bytes", "t")]


def test_a_length_that_is_not_a_number_is_refused(tmp_path):
    write_failures(tmp_path, "scan", [Failure("x", "scan", "empty", "x", "t", 1.5)])
    path = tmp_path / "failures.csv"
    path.write_text(path.read_text().replace("1.5", "long"))
    with pytest.raises(KitError, match=r"failures\.csv.*long.*delete it"):
        read_failures(tmp_path)
